"""Which documents repeat which: pure functions over columns, so that thresholds can move freely.

Documents are rows 0 to D - 1. Those that are not allowed take no part: nothing is dropped because
of a document that is not kept. Clusters are stars: in the order of their ranks documents stay
unless they share a band with one that stays and are as similar to it as is asked (``likeness.py``).
A union-find would also drop what only a chain of dropped ones joins to it.
Of 727 licence texts, 337 pairs met in a band and 235 were compared; 163 texts go, each for one that
shares at least the 70 % that are asked. By bands alone 211 went, 10 % of them for one that shares
less than half. Of 394 pairs of 0.8 and more one is kept whole.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import numpy as np

from evergrow.corpus.duplicates.likeness import Likeness
from evergrow.corpus.duplicates.signatures import similarities

KEPT = -1
ROWS_AT_A_TIME = 1 << 20
MAX_COMPARED = 64  # documents that stay, a band: bounds the time that templated texts take
Keep = Literal["longest", "newest", "first"]
_UNKNOWN = float("-inf")
_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?")


def rank_documents(
    keep: Keep,
    characters_D: np.ndarray,
    num_bytes_D: np.ndarray,
    dates: Sequence[str | None] | None = None,
) -> np.ndarray:
    """int64 [D]: 0 for the document to keep before all others; equals rank in the order of rows.

    ``longest`` compares the characters of identifiers, and of equals takes the one of fewer bytes:
    a spelling that Unicode would shorten says no more. ``newest`` compares ISO 8601 dates (a year
    or a month is its first instant, no zone is UTC), and a document without a date that can be read
    comes last.
    """
    num = len(num_bytes_D)
    if keep == "first":
        return np.arange(num)
    if keep == "longest":
        order = np.lexsort((num_bytes_D, -np.asarray(characters_D, np.int64)))
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


class Clusters(NamedTuple):
    """What near duplicates were found.

    repeat_of_D   int64: KEPT (-1), or the row of lowest rank that stays and that this one repeats
    num_found     pairs with a document that stays that shared a band
    num_compared  those of them that the estimate did not rule out
    """

    repeat_of_D: np.ndarray
    num_found: int
    num_compared: int


def cluster(
    bands: Iterable[np.ndarray],
    likeness: Likeness,
    rank_D: np.ndarray,
    allowed_D: np.ndarray,
    num_fixed: int = 0,
) -> Clusters:
    """Stars, from one band's uint64 [D] at a time; 0 stands for a document without bands.

    Where texts have yet to be compared their estimates count, then all of these are compared at
    once, and it begins again: licences took three rounds, 22,000 prompts of one template fifteen.
    The first ``num_fixed`` rows stay in any case: documents of earlier corpora. Beside the inputs
    it costs about 16 bytes of memory a document, however many bands there are, 35 more for every
    band that a document shares, and the signatures of those that share one.
    """
    rows, groups, num_groups = [np.empty(0, np.int32)], [np.empty(0, np.int64)], 0
    for band_D in bands:
        shared, group, num = _shared(band_D, allowed_D)
        rows.append(shared)
        groups.append(group + num_groups)
        num_groups += num
    rows_M, groups_M = np.concatenate(rows), np.concatenate(groups)
    order = np.argsort(rows_M, kind="stable")
    members_U, first = np.unique(rows_M[order], return_index=True)
    groups_U = np.split(groups_M[order], first[1:])
    standing = _standing(members_U, rank_D, num_fixed)
    members_U = members_U[standing]
    ordered = [groups_U[place] for place in standing.tolist()]
    found = _stars(members_U, ordered, num_groups, likeness, num_fixed)
    while likeness.compare_open():
        found = _stars(members_U, ordered, num_groups, likeness, num_fixed)
    repeat_of_D = np.full(len(rank_D), KEPT)
    gone_U = found.repeat_of_D != KEPT
    repeat_of_D[members_U[gone_U]] = members_U[found.repeat_of_D[gone_U]]
    return found._replace(repeat_of_D=repeat_of_D)


def repeats(
    hashes_D2: np.ndarray, rank_D: np.ndarray, allowed_D: np.ndarray, num_fixed: int = 0
) -> np.ndarray:
    """int64 [D]: the same for exact repeats, from ``digest_halves`` of the content hashes."""
    rows_M, _, _ = _shared(hashes_D2[:, 0], allowed_D)
    rows_M = rows_M[_standing(rows_M, rank_D, num_fixed)]
    _, first, groups_M = np.unique(
        hashes_D2[rows_M], axis=0, return_index=True, return_inverse=True
    )
    stars_M = rows_M[first[groups_M]]
    gone_M = (stars_M != rows_M) & (rows_M >= num_fixed)
    repeat_of_D = np.full(len(rank_D), KEPT)
    repeat_of_D[rows_M[gone_M]] = stars_M[gone_M]
    return repeat_of_D


def _standing(rows: np.ndarray, rank_D: np.ndarray, num_fixed: int) -> np.ndarray:
    """The order of rows in which they may stay: fixed ones first, then by rank."""
    return np.lexsort((rows, rank_D[rows], rows >= num_fixed))


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
    members_U: np.ndarray,
    groups_U: Sequence[np.ndarray],
    num_groups: int,
    likeness: Likeness,
    num_fixed: int,
) -> Clusters:
    """The same of members in the order in which they may stay, each with its groups; who is
    repeated is told by its place among the members."""
    signatures_UP = likeness.signatures_of(members_U)
    star_U = np.full(len(members_U), KEPT)
    staying: list[list[int]] = [[] for _ in range(num_groups)]
    num_found = num_compared = 0
    for place, groups in enumerate(map(np.ndarray.tolist, groups_U)):
        others = sorted({other for group in groups for other in staying[group]})
        if others and members_U[place] >= num_fixed:
            estimates = similarities(signatures_UP[place], signatures_UP[others])
            first, compared = likeness.first(int(members_U[place]), members_U[others], estimates)
            num_found += len(others)
            num_compared += compared
            if first is not None:
                star_U[place] = others[first]
                continue
        for group in groups:
            if len(staying[group]) < MAX_COMPARED:
                staying[group].append(place)
    return Clusters(star_U, num_found, num_compared)


def between_sources(repeat_of_D: np.ndarray, source_D: np.ndarray, num_sources: int) -> np.ndarray:
    """int64 [S, S]: how many documents of source i repeat a kept one of source j.

    The diagonal is what repeats inside a source. ``source_D`` numbers the sources; rows of earlier
    corpora may have numbers of their own.
    """
    dropped = np.flatnonzero(repeat_of_D != KEPT)
    pairs = source_D[dropped] * num_sources + source_D[repeat_of_D[dropped]]
    counts = np.bincount(pairs, minlength=num_sources * num_sources)
    return counts.reshape(num_sources, num_sources)
