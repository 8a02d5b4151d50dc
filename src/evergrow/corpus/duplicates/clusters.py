"""Which documents repeat which: pure functions over columns, so that thresholds can move freely.

Documents are rows 0 to D - 1. Those that are not allowed take no part: nothing is dropped because
of a document that is not kept. Clusters are stars: in the order of their ranks documents stay
unless they share a band with one that stays. A union-find would also drop what only a chain of
dropped ones joins to it: of 727 licence texts it drops 239, 24 % of them less than half similar to
the one it keeps; this drops 211, 10 % of them so. Pairs of 0.8 and more that both leave: none. (Two
other draws of the permutations: 18 and 14 % against 6.5 and 1.5 %; pairs left 0 and 1, 0 and 2.)
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

import numpy as np

KEPT = -1
ROWS_AT_A_TIME = 1 << 20
ROUNDS = 20  # real sets took two or three
Keep = Literal["longest", "newest", "first"]
_UNKNOWN = float("-inf")
_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?")


def rank_documents(
    keep: Keep, num_bytes_D: np.ndarray, dates: Sequence[str | None] | None = None
) -> np.ndarray:
    """int64 [D]: 0 for the document to keep before all others; equals rank in the order of rows.

    ``longest`` compares bytes; ``newest`` compares ISO 8601 dates (a year or a month is its first
    instant, no zone is UTC), and a document without a date that can be read comes last.
    """
    num = len(num_bytes_D)
    if keep == "first":
        return np.arange(num)
    if keep == "longest":
        order = np.argsort(-np.asarray(num_bytes_D, np.int64), kind="stable")
    else:
        assert dates is not None and len(dates) == num
        order = np.argsort([-_instant(date) for date in dates], kind="stable")
    rank_D = np.empty(num, np.int64)
    rank_D[order] = np.arange(num)
    return rank_D


def _instant(date: str | None) -> float:
    """Seconds since 1970."""
    if date is None:
        return _UNKNOWN
    try:
        if match := _DATE.fullmatch(date.strip()):
            year, month, day = (int(part or 1) for part in match.groups())
            return datetime(year, month, day, tzinfo=UTC).timestamp()
        moment = datetime.fromisoformat(date.strip())
    except ValueError:
        return _UNKNOWN
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def cluster(
    bands_DB: np.ndarray, rank_D: np.ndarray, allowed_D: np.ndarray, num_fixed: int = 0
) -> np.ndarray:
    """int64 [D]: KEPT (-1), or the row of lowest rank that stays and shares a band with this one.

    The first ``num_fixed`` rows stay in any case: documents of earlier corpora.
    """
    return cluster_columns(bands_DB.T, rank_D, allowed_D, num_fixed)


def cluster_columns(
    bands: Iterable[np.ndarray], rank_D: np.ndarray, allowed_D: np.ndarray, num_fixed: int = 0
) -> np.ndarray:
    """The same from one band's uint64 [D] at a time; 0 stands for a document without words.

    Beside the inputs it costs about 16 bytes of memory a document, however many bands there are,
    and 35 more for every band that a document shares (measured: 63 when 10 % share all of 14).
    """
    rows, groups, num_groups = [np.empty(0, np.int32)], [np.empty(0, np.int64)], 0
    for band_D in bands:
        shared, group, num = _shared(band_D, allowed_D)
        rows.append(shared)
        groups.append(group + num_groups)
        num_groups += num
    return _stars(np.concatenate(rows), np.concatenate(groups), rank_D, num_fixed)


def repeats(
    hashes_D2: np.ndarray, rank_D: np.ndarray, allowed_D: np.ndarray, num_fixed: int = 0
) -> np.ndarray:
    """The same for exact repeats, from ``digest_halves`` of the content hashes."""
    rows, _, _ = _shared(hashes_D2[:, 0], allowed_D)
    _, groups = np.unique(hashes_D2[rows], axis=0, return_inverse=True)
    return _stars(rows, groups, rank_D, num_fixed)


def doubles(values_DX: np.ndarray) -> np.ndarray:
    """bool [D]: True where an earlier row is the same."""
    order = np.lexsort(values_DX.T[::-1])  # stable: equal rows stay in order
    double_D = np.zeros(len(values_DX), bool)
    double_D[order[1:]] = np.all(values_DX[order[1:]] == values_DX[order[:-1]], axis=1)
    return double_D


def digest_halves(digests: Sequence[str]) -> np.ndarray:
    """uint64 [D, 2]: the first 128 bits of hexadecimal digests."""
    data = bytes.fromhex("".join(digest[:32] for digest in digests))
    return np.frombuffer(data, "<u8").reshape(-1, 2)


def _shared(hash_D: np.ndarray, allowed_D: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """The rows, ascending, whose hash another allowed row has; the number of each one's hash among
    these hashes; and how many they are.

    Only a sorted copy of the hashes is as long as the corpus; what repeats is a small part of it.
    """
    ordered = hash_D[allowed_D]
    ordered.sort()
    again = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    again = again[again != 0]
    del ordered
    rows, groups = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
    for start in range(0, len(hash_D) if len(again) else 0, ROWS_AT_A_TIME):
        hashes = hash_D[start : start + ROWS_AT_A_TIME]
        place = np.minimum(np.searchsorted(again, hashes), len(again) - 1)
        member = (again[place] == hashes) & allowed_D[start : start + ROWS_AT_A_TIME]
        rows.append((np.flatnonzero(member) + start).astype(np.int32))
        groups.append(place[member])
    return np.concatenate(rows), np.concatenate(groups), len(again)


def _stars(
    rows_M: np.ndarray, groups_M: np.ndarray, rank_D: np.ndarray, num_fixed: int
) -> np.ndarray:
    """Who repeats whom, from M memberships of a row in a group."""
    assert len(rank_D) < 1 << 31
    shares_D = np.zeros(len(rank_D), bool)
    shares_D[rows_M] = True
    members_U = np.flatnonzero(shares_D)
    order = np.lexsort((members_U, rank_D[members_U], members_U >= num_fixed))
    members_U = members_U[order]  # the first to stay comes first; its standing is 0
    standing_D = np.empty(len(rank_D), np.int32)
    standing_D[members_U] = np.arange(len(members_U), dtype=np.int32)
    standing_M = standing_D[rows_M]
    stays_U = _staying(standing_M, groups_M, int(np.count_nonzero(members_U < num_fixed)))
    nobody = len(members_U)
    star_G = np.full(int(groups_M.max(initial=-1)) + 1, nobody, np.int32)
    there_M = stays_U[standing_M]
    np.minimum.at(star_G, groups_M[there_M], standing_M[there_M])
    star_U = np.full(nobody, nobody, np.int32)
    np.minimum.at(star_U, standing_M[~there_M], star_G[groups_M[~there_M]])
    repeat_of_D = np.full(len(rank_D), KEPT)
    gone = np.flatnonzero(~stays_U)
    repeat_of_D[members_U[gone]] = members_U[star_U[gone]]
    return repeat_of_D


def _staying(standing_M: np.ndarray, groups_M: np.ndarray, num_fixed: int) -> np.ndarray:
    """bool [U]: who stays.

    Rounds on arrays: who is first in all its groups stays, who shares a group with it goes. After
    ROUNDS of them only long chains of ever higher standings are left, which one walk settles.
    """
    num = int(standing_M.max(initial=-1)) + 1
    first_G = np.empty(int(groups_M.max(initial=-1)) + 1, np.int32)
    gone_U = np.zeros(num, bool)
    for _ in range(ROUNDS):
        if not len(standing_M):
            break
        first_G[groups_M] = num
        np.minimum.at(first_G, groups_M, standing_M)
        first_M = first_G[groups_M]
        waits_U = np.zeros(num, bool)
        waits_U[standing_M[standing_M > first_M]] = True
        waits_U[:num_fixed] = False
        gone_U[standing_M[waits_U[standing_M] & ~waits_U[first_M]]] = True
        open_M = (waits_U & ~gone_U)[standing_M]
        standing_M, groups_M = standing_M[open_M], groups_M[open_M]
    gone_U[_walk(standing_M, groups_M, num_fixed)] = True
    return ~gone_U


def _walk(standing_M: np.ndarray, groups_M: np.ndarray, num_fixed: int) -> list[int]:
    """Who goes, settled one after another."""
    groups_of: dict[int, list[int]] = {}
    for standing, group in zip(standing_M.tolist(), groups_M.tolist(), strict=True):
        groups_of.setdefault(standing, []).append(group)
    taken: set[int] = set()
    gone = []
    for standing in sorted(groups_of):
        if standing < num_fixed or taken.isdisjoint(groups_of[standing]):
            taken.update(groups_of[standing])
        else:
            gone.append(standing)
    return gone


def between_sources(repeat_of_D: np.ndarray, source_D: np.ndarray, num_sources: int) -> np.ndarray:
    """int64 [S, S]: how many documents of source i repeat a kept one of source j.

    The diagonal is what repeats inside a source. ``source_D`` numbers the sources; rows of earlier
    corpora may have numbers of their own.
    """
    dropped = np.flatnonzero(repeat_of_D != KEPT)
    pairs = source_D[dropped] * num_sources + source_D[repeat_of_D[dropped]]
    counts = np.bincount(pairs, minlength=num_sources * num_sources)
    return counts.reshape(num_sources, num_sources)
