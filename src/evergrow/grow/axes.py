"""One axis that grows: a pair of matrices (M, R) with R M = I, kept as index, scale and weight.

Each coordinate j of the grown axis is a copy of source coordinate g(j), or 0, or the mean of all:

    M[j, g(j)] = scale[j]      how the grown model holds it: a producer's W' = M W
    R[g(j), j] = weight[j]     how it is read: a consumer's W' = W R + Z (I - M R), any Z

sum of scale * weight over the copies of each source coordinate is 1, so R M = I and W' M = W.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

ZERO, MEAN = -1, -2  # in place of a source coordinate: the coordinate is 0, or the mean of all

Indices = NDArray[np.int64]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Doubled:
    """Places of coordinates that are alone, and both places of those that have a copy."""

    single: Indices
    first: Indices
    second: Indices


@dataclass(frozen=True, eq=False)
class AxisMap:
    """``before`` coordinates become ``len(source)``; see the module's equations."""

    before: int
    source: Indices
    scale: Numbers
    weight: Numbers

    @property
    def after(self) -> int:
        """The grown size."""
        return len(self.source)

    @cached_property
    def is_identity(self) -> bool:
        """Whether nothing changes along this axis, not even a scale."""
        same = self.after == self.before and bool((self.source == np.arange(self.before)).all())
        return same and bool((self.scale == 1).all()) and bool((self.weight == 1).all())

    @cached_property
    def counts(self) -> Indices:
        """How many copies each source coordinate has, [before]."""
        return np.bincount(self.source[self.source >= 0], minlength=self.before)

    @cached_property
    def new(self) -> NDArray[np.bool_]:
        """True where a coordinate is not the first copy of its source, [after]."""
        is_new = np.ones(self.after, bool)
        found, first = np.unique(self.source, return_index=True)
        is_new[first[found >= 0]] = False
        return is_new

    @cached_property
    def is_copy(self) -> bool:
        """Whether every coordinate is one of the source's, held and read as it is."""
        plain = bool((self.scale == 1).all()) and bool((self.weight == 1).all())
        return plain and bool((self.source >= 0).all())

    @cached_property
    def doubled(self) -> "Doubled | None":
        """Where each source coordinate has one copy or two, read half and half."""
        if (self.source < 0).any() or not (self.scale == 1).all():
            return None
        counts = self.counts[self.source]
        if counts.max() != 2 or not (self.weight == 1 / counts).all():
            return None
        order = np.argsort(self.source, kind="stable")
        twice = order[counts[order] == 2]
        return Doubled(np.flatnonzero(counts == 1), twice[::2], twice[1::2])

    @cached_property
    def runs(self) -> list[tuple[int, int, int]]:
        """(first place, source coordinate, length) of copies that lie as their sources do."""
        copies = np.flatnonzero(self.source >= 0)
        places = self.source[copies]
        breaks = np.flatnonzero((np.diff(copies) != 1) | (np.diff(places) != 1)) + 1
        starts = np.concatenate([[0], breaks]) if len(copies) else breaks
        lengths = np.diff(np.concatenate([starts, [len(copies)]]))
        return [
            (int(copies[i]), int(places[i]), int(n)) for i, n in zip(starts, lengths, strict=True)
        ]

    def narrowed(self, start: int, stop: int) -> "AxisMap":
        """Grown coordinates ``start`` to ``stop`` of the same source."""
        here = slice(start, stop)
        return AxisMap(self.before, self.source[here], self.scale[here], self.weight[here])

    def matrices(self) -> tuple[Numbers, Numbers]:
        """M [after, before] and R [before, after] written out; for tests and small axes."""
        grow = np.zeros((self.after, self.before))
        read = np.zeros((self.before, self.after))
        copies = np.flatnonzero(self.source >= 0)
        grow[copies, self.source[copies]] = self.scale[copies]
        read[self.source[copies], copies] = self.weight[copies]
        means = np.flatnonzero(self.source == MEAN)
        grow[means] = self.scale[means, None] / self.before
        return grow, read


def unchanged(size: int) -> AxisMap:
    """M = R = I."""
    return AxisMap(size, np.arange(size), np.ones(size), np.ones(size))


def times(outer: AxisMap, inner: AxisMap) -> AxisMap:
    """The axis [outer, inner] flattened, outer slowest; neither may hold means."""
    source = outer.source[:, None] * inner.before + inner.source[None, :]
    lost = (outer.source < 0)[:, None] | (inner.source < 0)[None, :]
    source = np.where(lost, ZERO, source)
    return AxisMap(
        outer.before * inner.before,
        source.ravel(),
        np.outer(outer.scale, inner.scale).ravel(),
        np.outer(outer.weight, inner.weight).ravel(),
    )


def joined(parts: list[AxisMap]) -> AxisMap:
    """Several axes laid one after another, as in a fused projection."""
    offsets = np.cumsum([0] + [part.before for part in parts[:-1]])
    sources = [
        np.where(part.source >= 0, part.source + offset, part.source)
        for part, offset in zip(parts, offsets, strict=True)
    ]
    return AxisMap(
        sum(part.before for part in parts),
        np.concatenate(sources),
        np.concatenate([part.scale for part in parts]),
        np.concatenate([part.weight for part in parts]),
    )


def view(base: AxisMap, scale: Numbers, weight: Numbers) -> AxisMap:
    """The same copies held at another scale and read with other weights; means become 0."""
    source = np.where(base.source == MEAN, ZERO, base.source)
    held = base.source >= 0
    return AxisMap(base.before, source, np.where(held, scale, 0.0), np.where(held, weight, 0.0))


# Which source coordinate each grown one copies: the first ones are always the source's own.


def circular(before: int, after: int) -> Indices:
    """0 1 2 0 1 2 ...: the counts differ by at most one."""
    return np.arange(after) % before


def contiguous(before: int, after: int) -> Indices:
    """0 0 1 1 2 2 ...; ``after`` is a multiple of ``before``."""
    return np.arange(after) // (after // before)


def drawn(before: int, after: int, generator: np.random.Generator) -> Indices:
    """bert2BERT, section 3.2: the new ones copy a uniformly drawn one."""
    return np.concatenate(
        [np.arange(before), generator.integers(before, size=max(0, after - before))]
    )


# How much of a source coordinate each of its copies carries to the reader: sums to 1 per source.


def equal_split(source: Indices, before: int) -> Numbers:
    """1 / count, as in Net2Net and bert2BERT."""
    counts = np.bincount(source[source >= 0], minlength=before)
    return np.where(source >= 0, 1.0 / counts[source], 0.0)


def uneven_split(source: Indices, before: int, generator: np.random.Generator) -> Numbers:
    """LEMON, section 3: raw shares drawn from [0.5, 1.5], so that no two copies agree."""
    raw = np.where(source >= 0, generator.uniform(0.5, 1.5, len(source)), 0.0)
    totals = np.bincount(source[source >= 0], raw[source >= 0], minlength=before)
    return np.where(source >= 0, raw / totals[source], 0.0)


def first_only(source: Indices, before: int) -> Numbers:
    """1 for the first copy, 0 for the others: zero fan-out."""
    first = ~AxisMap(before, source, np.ones(len(source)), np.ones(len(source))).new
    return first.astype(float)
