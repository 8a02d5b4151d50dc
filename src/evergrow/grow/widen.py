"""One tensor and its line: M W R, the noise that no reader sees, and which elements are new."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from evergrow.grow.axes import MEAN, AxisMap, Indices
from evergrow.grow.layout import Dimension, Line, Side


def widen(line: Line, tensor: Tensor) -> Tensor:
    """M W R of one source tensor, in at least fp32; its shape must be the line's."""
    return take(line, give(line, tensor))


def give(line: Line, tensor: Tensor) -> Tensor:
    """M W, in at least fp32: what a tensor gives is grown, what it reads is not yet."""
    if line.norm is None:
        return _sides(line, tensor, "gives")
    return _gain(_wide(tensor) + line.offset, *line.norm) - line.offset


def take(line: Line, given: Tensor) -> Tensor:
    """W R of what ``give`` returned."""
    return _sides(line, given, "reads")


def _sides(line: Line, tensor: Tensor, side: Side) -> Tensor:
    for place, dimension in enumerate(line.dimensions):
        if dimension is not None and dimension.side == side and not dimension.map.is_identity:
            tensor = _along(tensor, place, dimension)
    return _wide(tensor)


def _wide(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _along(tensor: Tensor, place: int, dimension: Dimension) -> Tensor:
    axis = dimension.map
    factors = axis.scale if dimension.side == "gives" else axis.weight
    shape = [1] * tensor.ndim
    shape[place] = axis.after
    grown = _wide(picked(tensor, place, np.maximum(axis.source, 0)))
    means = torch.from_numpy(np.flatnonzero(axis.source == MEAN))
    if len(means):
        grown.index_fill_(place, means, 0)
        grown.index_add_(
            place, means, _repeated(_wide(tensor).mean(place, keepdim=True), place, means)
        )
    if (factors == 1).all():
        return grown
    return grown.mul_(torch.from_numpy(factors).to(grown.dtype).view(shape))


def copied(line: Line, tensor: Tensor) -> Tensor | None:
    """The grown tensor in its stored type where it holds nothing but copies, else None."""
    grown = [(place, d.map) for place, d in enumerate(line.dimensions) if d is not None]
    if line.norm is not None or not all(axis.is_copy for _, axis in grown):
        return None
    for place, axis in grown:
        if not axis.is_identity:
            tensor = picked(tensor, place, axis.source)
    return tensor


_FEW = 64  # ranges copied one by one; beyond, an index of each coordinate is faster


def picked(tensor: Tensor, place: int, source: Indices) -> Tensor:
    """The coordinates ``source`` of one dimension, in memory of their own."""
    breaks = np.flatnonzero(np.diff(source) != 1) + 1
    if len(breaks) >= _FEW:
        return tensor.index_select(place, torch.from_numpy(source))
    starts = [0, *breaks.tolist(), len(source)]
    return torch.cat(
        [
            tensor.narrow(place, int(source[start]), stop - start)
            for start, stop in pairwise(starts)
        ],
        place,
    )


def _repeated(mean: Tensor, place: int, means: Tensor) -> Tensor:
    return mean.expand(*(len(means) if d == place else n for d, n in enumerate(mean.shape)))


def _gain(gain: Tensor, reads: AxisMap, gives: AxisMap) -> Tensor:
    """gain[g(j)] t_j / s_j; where there is no source, the mean of the others: it trains from there.

    Such coordinates are 0 after the norm, so that any gain keeps the function.
    """
    held = (reads.source >= 0) & (gives.source >= 0)
    factor = np.divide(gives.scale, reads.scale, out=np.zeros(reads.after), where=held)
    grown = gain[np.maximum(reads.source, 0)] * torch.from_numpy(factor).to(gain.dtype)
    mask = torch.from_numpy(held)
    return torch.where(mask, grown, grown[mask].mean())


def noise_is_free(line: Line, ratio: float) -> bool:
    """Whether what the tensor reads leaves room for noise, or must have some (see below)."""
    read = [d.map for d in line.dimensions if d is not None and d.side == "reads"]
    return any((ratio > 0 and not m.is_identity) or (m.source < 0).any() for m in read)


def add_free_noise(
    line: Line, given: Tensor, deviation: float, rms: float, generator: np.random.Generator
) -> Tensor:
    """M W R + Z (I - M R): noise which what the matrix reads cannot show.

    Z has ``deviation``. Columns that read a coordinate which is always 0 are drawn at ``rms``
    instead: else they and the rows that feed them would both be 0 and stay so.
    """
    grown = take(line, given)
    place, axis = _reading(line)
    along = [1] * grown.ndim
    along[place] = axis.after
    spread = torch.from_numpy(np.where(axis.source < 0, rms, deviation)).to(given.dtype)
    drawn = _draw(grown.shape, generator, given.dtype).mul_(spread.view(along))
    return grown.add_(_unseen(drawn, place, axis))


def _draw(shape: Sequence[int], generator: np.random.Generator, dtype: torch.dtype) -> Tensor:
    """Uniform numbers of mean 0 and deviation 1, of 16 bits each and none of them 0.

    A draw of normal ones takes eight times as long, most of the time of a growth.
    """
    count = math.prod(shape)
    words = generator.integers(0, 1 << 64, -(-count // 4), dtype=np.uint64)
    drawn = torch.from_numpy(words.view(np.int16)[:count]).to(dtype)
    return drawn.add_(0.5).mul_(math.sqrt(12) / 65536).view(*shape)


def _reading(line: Line) -> tuple[int, AxisMap]:
    """The dimension that a matrix reads, and its map."""
    return next(
        (place, dimension.map)
        for place, dimension in enumerate(line.dimensions)
        if dimension is not None and dimension.side == "reads"
    )


def split_pairs(
    line: Line, given: Tensor, deviation: float, generator: np.random.Generator, dtype: torch.dtype
) -> Tensor | None:
    """The same noise where coordinates have one copy or two, exact in ``dtype`` too: W = A + B.

    A lies between W/2 and 2 W, so that B = W - A needs no rounding (Sterbenz 1974) and the stored
    halves sum to the source's weight in bf16 as in fp64. A draw says which copy gets A. None where
    what the matrix reads is held or read otherwise.
    """
    place, axis = _reading(line)
    found = axis.doubled
    if found is None or not deviation:
        return None
    shape = [axis.after if d == place else n for d, n in enumerate(given.shape)]
    grown = given.new_empty(shape)
    if len(found.single):
        _put(grown, place, found.single, picked(given, place, axis.source[found.single]))
    whole = picked(given, place, axis.source[found.first]).to(dtype).to(given.dtype)
    drawn = _draw(whole.shape, generator, given.dtype).mul_(deviation)
    more = torch.minimum(drawn.abs(), whole.abs().mul_(1.5)).copysign_(whole)
    larger = more.add_(whole, alpha=0.5).to(dtype).to(given.dtype)
    smaller = whole - larger
    here = (drawn >= 0).to(given.dtype)  # products with 1 and 0 are exact, and faster than a choice
    there = 1 - here
    _put(grown, place, found.first, (larger * here).addcmul_(smaller, there))
    _put(grown, place, found.second, (larger * there).addcmul_(smaller, here))
    return grown


def _put(grown: Tensor, place: int, places: Indices, part: Tensor) -> None:
    """Write ``part`` at ``places`` along one dimension; a plain copy where they are a range."""
    start = int(places[0])
    if np.array_equal(places, np.arange(start, start + len(places))):
        grown.narrow(place, start, len(places)).copy_(part)
    else:
        grown.index_copy_(place, torch.from_numpy(places), part)


def _unseen(drawn: Tensor, place: int, axis: AxisMap) -> Tensor:
    """Z - (Z M) R along one dimension."""
    along = [1] * drawn.ndim
    along[place] = -1
    scale, weight = (torch.from_numpy(f).to(drawn.dtype) for f in (axis.scale, axis.weight))
    seen = drawn.new_zeros([axis.before if d == place else n for d, n in enumerate(drawn.shape)])
    if len(axis.runs) < _FEW:
        for first, source, length in axis.runs:
            held = drawn.narrow(place, first, length) * scale[first : first + length].view(along)
            seen.narrow(place, source, length).add_(held)
    else:
        copies = np.flatnonzero(axis.source >= 0)
        source, places = torch.from_numpy(axis.source[copies]), torch.from_numpy(copies)
        held = drawn.index_select(place, places) * scale[places].view(along)
        seen.index_add_(place, source, held)
    means = torch.from_numpy(np.flatnonzero(axis.source == MEAN))
    if len(means):
        held = drawn.index_select(place, means) * scale[means].view(along)
        seen += held.sum(place, keepdim=True) / axis.before
    read = picked(seen, place, np.maximum(axis.source, 0)).mul_(weight.view(along))
    return drawn.sub_(read)


def new_along(line: Line, shape: tuple[int, ...], sides: tuple[Side, ...]) -> Tensor:
    """True where an element belongs to a new unit on one of ``sides``; [shape]."""
    new = torch.zeros(shape, dtype=torch.bool)
    for place, dimension in enumerate(line.dimensions):
        if dimension is not None and dimension.side in sides:
            along = [1] * len(shape)
            along[place] = -1
            new |= torch.from_numpy(dimension.map.new).view(along)
    return new
