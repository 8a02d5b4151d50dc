"""Pictures that look alike, found without comparing each with every other.

Norouzi et al. 2012 (arXiv 1307.2982): two numbers of 64 bits that differ in at most 4 agree in one
of 5 bands at least, so only those that share a band are compared, and each pair once.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

NEAR_BITS = 4  # of 64; at 8 nine of ten radiographs of 28 pixels look alike (measured)
_AT_ONCE = 1 << 20  # pairs that are compared at once
_BANDS = np.array_split(np.arange(64, dtype=np.uint64), NEAR_BITS + 1)
_MASKS = [np.bitwise_or.reduce(np.uint64(1) << bits) for bits in _BANDS]


class NearPairs(NamedTuple):
    """How many pairs, how many of them with one in each part, and the nearest (i, j, distance)."""

    num_pairs: int
    across: int
    nearest: list[tuple[int, int, int]]


def near_pairs(
    looks: Sequence[int], contents: Sequence[str], in_train: Sequence[bool], listed: int
) -> NearPairs:
    """Pairs whose hashes differ in at most NEAR_BITS bits and whose contents are not the same.

    All are counted, the ``listed`` nearest kept. ``contents`` that are the same look the same.
    """
    hashes, group = np.unique(np.array(looks, np.uint64), return_inverse=True)
    groups = _Groups(group, contents, in_train)
    num_pairs, across = groups.num_alike, groups.alike_across
    found = [np.stack([groups.several, groups.several, np.zeros_like(groups.several)])]
    for first, second, distance in _close(hashes):
        num_pairs += int((groups.size[first] * groups.size[second]).sum())
        across += int((groups.train[first] * groups.held[second]).sum())
        across += int((groups.held[first] * groups.train[second]).sum())
        found = [_nearest(np.concatenate([*found, np.stack([first, second, distance])], 1), listed)]
    return NearPairs(num_pairs, across, groups.pairs(found[0].T.tolist(), listed))


class _Groups:
    """Pictures that have one hash: their numbers, parts and contents, by group."""

    def __init__(
        self, group: np.ndarray, contents: Sequence[str], in_train: Sequence[bool]
    ) -> None:
        train = np.asarray(in_train, bool)
        self._contents = np.unique(np.asarray(contents, str), return_inverse=True)[1]
        self._order = np.argsort(group, kind="stable")
        self.size = np.bincount(group)
        self._starts = np.concatenate([[0], np.cumsum(self.size)])
        self.train = np.bincount(group, weights=train).astype(np.int64)
        self.held = self.size - self.train
        same = np.bincount(self._contents)  # pictures of each content
        same_train = np.bincount(self._contents, weights=train).astype(np.int64)
        self.num_alike = int(_pairs(self.size).sum() - _pairs(same).sum())
        alike_across = (self.train * self.held).sum()
        self.alike_across = int(alike_across - (same_train * (same - same_train)).sum())
        contents_of = np.unique(np.stack([group, self._contents]), axis=1)[0]
        self.several = np.flatnonzero(np.bincount(contents_of) > 1)

    def pairs(
        self, chosen: Sequence[tuple[int, int, int]], listed: int
    ) -> list[tuple[int, int, int]]:
        """The first pairs of pictures of the chosen pairs of groups."""
        found: list[tuple[int, int, int]] = []
        for first, second, distance in chosen:
            for i, j in self._between(first, second):
                if len(found) == listed:
                    return found
                found.append((i, j, distance))
        return found

    def _between(self, first: int, second: int) -> Iterator[tuple[int, int]]:
        own, other = (
            self._order[self._starts[g] : self._starts[g + 1]].tolist() for g in (first, second)
        )
        for place, i in enumerate(own):
            for j in own[place + 1 :] if first == second else other:
                if self._contents[i] != self._contents[j]:
                    yield min(i, j), max(i, j)


def _pairs(counts: np.ndarray) -> np.ndarray:
    return counts * (counts - 1) // 2


def _nearest(found: np.ndarray, listed: int) -> np.ndarray:
    """The first ``listed`` columns (first, second, distance) by distance, then by place."""
    return found[:, np.lexsort(found[[1, 0, 2]])[:listed]]


def _close(hashes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Places and distances of unequal hashes that are near, each pair once."""
    for band, mask in enumerate(_MASKS):
        shared = hashes & mask
        order = np.argsort(shared, kind="stable")
        starts = np.flatnonzero(np.diff(shared[order], prepend=~shared[order[:1]]))
        for first, second in _candidates(order, starts):
            apart = hashes[first] ^ hashes[second]
            distance = np.bitwise_count(apart).astype(np.int64)
            near = distance <= NEAR_BITS
            for earlier in _MASKS[:band]:  # a band before this one had the pair
                near &= (apart & earlier) != 0
            if near.any():
                yield first[near], second[near], distance[near]


def _candidates(order: np.ndarray, starts: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All pairs within each run of ``order``, about _AT_ONCE at a time."""
    lengths = np.diff(starts, append=len(order))
    ends = np.repeat(starts + lengths, lengths)  # of each place: where its run ends
    partners = ends - np.arange(len(order)) - 1
    total = np.cumsum(partners)
    place = 0
    while place < len(order):
        before = total[place - 1] if place else 0
        after = max(int(np.searchsorted(total, before + _AT_ONCE, "right")), place + 1)
        counts = partners[place:after]
        own = np.repeat(np.arange(place, after), counts)
        offset = np.arange(len(own)) - np.repeat(np.cumsum(counts) - counts, counts)
        first, second = order[own], order[own + 1 + offset]
        if len(own):
            yield np.minimum(first, second), np.maximum(first, second)
        place = after
