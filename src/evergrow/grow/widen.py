"""One tensor and its line: M W R, the noise that no reader sees, and which elements are new."""

import numpy as np
import torch
from torch import Tensor

from evergrow.grow.axes import MEAN, ZERO, AxisMap, Indices
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
    grown = _wide(tensor.index_select(place, torch.from_numpy(np.maximum(axis.source, 0))))
    means = torch.from_numpy(np.flatnonzero(axis.source == MEAN))
    if len(means):
        grown.index_fill_(place, means, 0)
        grown.index_add_(
            place, means, _repeated(_wide(tensor).mean(place, keepdim=True), place, means)
        )
    if (factors == 1).all():
        return grown
    return grown.mul_(torch.from_numpy(factors).to(grown.dtype).view(shape))


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
    line: Line, given: Tensor, deviation: float, rms: float, generator: torch.Generator
) -> Tensor:
    """M W R + Z (I - M R): noise which what the matrix reads cannot show.

    Z has ``deviation``. Columns that read a coordinate which is always 0 are drawn at ``rms``
    instead: else they and the rows that feed them would both be 0 and stay so.
    """
    grown = take(line, given)
    place, axis = _reading(line)
    spread = torch.from_numpy(np.where(axis.source < 0, rms, deviation)).to(given.dtype)
    shape = grown.transpose(place, -1).shape
    drawn = torch.randn(shape, generator=generator, dtype=given.dtype).mul_(spread)
    return grown.add_(_unseen(drawn, axis).transpose(place, -1))


def _reading(line: Line) -> tuple[int, AxisMap]:
    """The dimension that a matrix reads, and its map."""
    return next(
        (place, dimension.map)
        for place, dimension in enumerate(line.dimensions)
        if dimension is not None and dimension.side == "reads"
    )


def split_pairs(
    line: Line, given: Tensor, deviation: float, generator: torch.Generator, dtype: torch.dtype
) -> Tensor | None:
    """The same noise where every coordinate has two copies, exact in ``dtype`` too: W = A + B.

    A lies between W/2 and 2 W, so that B = W - A needs no rounding (Sterbenz 1974) and the stored
    halves sum to the source's weight in bf16 as in fp64. A draw says which copy gets A. None where
    what the matrix reads is not doubled.
    """
    place, axis = _reading(line)
    if axis.pairs is None or not deviation:
        return None
    whole = given.to(dtype).to(given.dtype)
    drawn = torch.randn(whole.shape, generator=generator, dtype=given.dtype)
    more = torch.minimum(drawn.abs().mul_(deviation), whole.abs().mul_(1.5)).copysign_(whole)
    larger = more.add_(whole, alpha=0.5).to(dtype).to(given.dtype)
    one = torch.where(drawn < 0, whole - larger, larger)
    shape = [axis.after if d == place else n for d, n in enumerate(given.shape)]
    grown = given.new_empty(shape)
    for places, part in zip(axis.pairs, (one, whole - one), strict=True):
        _put(grown, place, places, part)
    return grown


def _put(grown: Tensor, place: int, places: Indices, part: Tensor) -> None:
    """Write ``part`` at ``places`` along one dimension; a plain copy where they are a range."""
    start = int(places[0])
    if np.array_equal(places, np.arange(start, start + len(places))):
        grown.narrow(place, start, len(places)).copy_(part)
    else:
        grown.index_copy_(place, torch.from_numpy(places), part)


def _unseen(drawn: Tensor, axis: AxisMap) -> Tensor:
    """Z - (Z M) R along the last dimension."""
    copies = np.flatnonzero(axis.source >= 0)
    source, places = torch.from_numpy(axis.source[copies]), torch.from_numpy(copies)
    held = drawn * torch.from_numpy(np.where(axis.source == ZERO, 0.0, axis.scale)).to(drawn.dtype)
    seen = drawn.new_zeros(*drawn.shape[:-1], axis.before)
    seen.index_add_(-1, source, held.index_select(-1, places))
    means = torch.from_numpy(np.flatnonzero(axis.source == MEAN))
    if len(means):
        seen += held[..., means].sum(-1, keepdim=True) / axis.before
    weight = torch.from_numpy(axis.weight[copies]).to(drawn.dtype)
    return drawn.index_add_(-1, places, seen.index_select(-1, source).mul_(weight), alpha=-1)


def new_along(line: Line, shape: tuple[int, ...], sides: tuple[Side, ...]) -> Tensor:
    """True where an element belongs to a new unit on one of ``sides``; [shape]."""
    new = torch.zeros(shape, dtype=torch.bool)
    for place, dimension in enumerate(line.dimensions):
        if dimension is not None and dimension.side in sides:
            along = [1] * len(shape)
            along[place] = -1
            new |= torch.from_numpy(dimension.map.new).view(along)
    return new
