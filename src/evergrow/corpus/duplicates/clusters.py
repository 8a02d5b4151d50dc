"""Which documents repeat which: pure functions over columns, so that thresholds can move freely.

Documents are rows 0 to D - 1. Those that are not allowed take no part: nothing is dropped because
of a document that is not kept. A group of repeats keeps its member of the lowest rank.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

import numpy as np

KEPT = -1
ROWS_AT_A_TIME = 1 << 20
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


def cluster(bands_DB: np.ndarray, rank_D: np.ndarray, allowed_D: np.ndarray) -> np.ndarray:
    """int64 [D]: KEPT (-1), or the row that a document repeats, the kept one of its cluster.

    Documents that share a band are in one cluster, and so are those that a third one joins.
    """
    return cluster_columns(bands_DB.T, rank_D, allowed_D)


def cluster_columns(
    bands: Iterable[np.ndarray], rank_D: np.ndarray, allowed_D: np.ndarray
) -> np.ndarray:
    """The same from one band's uint64 [D] at a time; 0 stands for a document without words.

    Costs about 24 bytes of memory a document beside the inputs, however many bands there are.
    """
    roots_D = np.arange(len(rank_D))
    for band_D in bands:
        rows, hashes = _shared(band_D, allowed_D)
        _join(roots_D, rows, *_groups(hashes))
    return _kept_rows(roots_D, rank_D)


def repeats(hashes_D2: np.ndarray, rank_D: np.ndarray, allowed_D: np.ndarray) -> np.ndarray:
    """The same for exact repeats, from ``digest_halves`` of the content hashes."""
    roots_D = np.arange(len(rank_D))
    rows, _ = _shared(hashes_D2[:, 0], allowed_D)
    _, whole = np.unique(hashes_D2[rows], axis=0, return_inverse=True)
    _join(roots_D, rows, *_groups(whole))
    return _kept_rows(roots_D, rank_D)


def digest_halves(digests: Sequence[str]) -> np.ndarray:
    """uint64 [D, 2]: the first 128 bits of hexadecimal digests."""
    data = bytes.fromhex("".join(digest[:32] for digest in digests))
    return np.frombuffer(data, "<u8").reshape(-1, 2)


def _shared(hash_D: np.ndarray, allowed_D: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows, ascending, whose hash another allowed row has, with the hashes.

    Only a sorted copy of the hashes is as long as the corpus; what repeats is a small part of it.
    """
    ordered = hash_D[allowed_D]
    ordered.sort()
    again = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    again = again[again != 0]
    del ordered
    rows = []
    for start in range(0, len(hash_D) if len(again) else 0, ROWS_AT_A_TIME):
        hashes = hash_D[start : start + ROWS_AT_A_TIME]
        place = np.minimum(np.searchsorted(again, hashes), len(again) - 1)
        member = (again[place] == hashes) & allowed_D[start : start + ROWS_AT_A_TIME]
        rows.append(np.flatnonzero(member) + start)
    found = np.concatenate(rows) if rows else np.empty(0, np.int64)
    return found, hash_D[found]


def _groups(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of places (first of its group, another member) for equal keys."""
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=~keys[order][:1]))
    firsts = np.repeat(order[starts], np.diff(starts, append=len(order)))
    return firsts, order


def _join(roots_D: np.ndarray, rows: np.ndarray, firsts: np.ndarray, others: np.ndarray) -> None:
    """Unite the groups of pairs of rows; the root of a group is its lowest row.

    A union-find on arrays: every round hangs roots under lower roots, then shortens all new paths
    at once, so that rounds and steps grow with the logarithm of the longest chain.
    """
    one, other = rows[firsts], rows[others]
    while len(one):
        one, other = _roots(roots_D, one), _roots(roots_D, other)
        apart = one != other
        one, other = one[apart], other[apart]
        higher, lower = np.maximum(one, other), np.minimum(one, other)
        np.minimum.at(roots_D, higher, lower)
        while np.any(roots_D[higher] != (above := roots_D[roots_D[higher]])):
            roots_D[higher] = above


def _roots(roots_D: np.ndarray, rows: np.ndarray) -> np.ndarray:
    found = roots_D[rows]
    while np.any(found != (above := roots_D[found])):
        found = above
    roots_D[rows] = found
    return found


def _kept_rows(roots_D: np.ndarray, rank_D: np.ndarray) -> np.ndarray:
    """Turns the roots, in place, into KEPT or the lowest-ranked row of the group."""
    below = np.flatnonzero(roots_D != np.arange(len(roots_D)))
    roots = _roots(roots_D, below)
    rows = np.concatenate((np.unique(roots), below))
    groups = roots_D[rows]
    best_first = np.lexsort((rows, rank_D[rows], groups))
    rows, groups = rows[best_first], groups[best_first]
    first, _ = _groups(groups)
    roots_D[:] = KEPT
    roots_D[rows] = rows[first]
    roots_D[rows[first]] = KEPT
    return roots_D


def between_sources(repeat_of_D: np.ndarray, source_D: np.ndarray, num_sources: int) -> np.ndarray:
    """int64 [S, S]: how many documents of source i repeat a kept one of source j.

    The diagonal is what repeats inside a source. ``source_D`` numbers the sources; rows of earlier
    corpora may have numbers of their own.
    """
    dropped = np.flatnonzero(repeat_of_D != KEPT)
    pairs = source_D[dropped] * num_sources + source_D[repeat_of_D[dropped]]
    counts = np.bincount(pairs, minlength=num_sources * num_sources)
    return counts.reshape(num_sources, num_sources)
