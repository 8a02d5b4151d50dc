"""One tensor and its line: M W R, the noise that no reader sees, and which elements are new."""

import numpy as np
import torch
from torch import Tensor

from evergrow.grow.axes import MEAN, ZERO, AxisMap
from evergrow.grow.layout import Dimension, Line, Side


def widen(line: Line, name: str, tensor: Tensor) -> Tensor:
    """M W R of one source tensor, in at least fp32; InputError when its shape is not the line's."""
    line.grown_shape(name, tuple(tensor.shape))
    wide = tensor if tensor.dtype == torch.float64 else tensor.float()
    if line.norm is not None:
        return _gain(wide, *line.norm)
    for place, dimension in enumerate(line.dimensions):
        if dimension is not None and not dimension.map.is_identity:
            wide = _along(wide, place, dimension)
    return wide


def _along(tensor: Tensor, place: int, dimension: Dimension) -> Tensor:
    axis = dimension.map
    factors = axis.scale if dimension.side == "gives" else axis.weight
    shape = [1] * tensor.ndim
    shape[place] = axis.after
    source = torch.from_numpy(np.maximum(axis.source, 0))
    held = torch.from_numpy(np.where(axis.source == ZERO, 0.0, factors)).to(tensor.dtype)
    grown = tensor.index_select(place, source)
    means = torch.from_numpy(np.flatnonzero(axis.source == MEAN))
    if len(means):
        grown.index_copy_(
            place,
            means,
            tensor.mean(place, keepdim=True).expand(
                *(len(means) if d == place else n for d, n in enumerate(tensor.shape))
            ),
        )
    return grown.mul_(held.view(shape))


def _gain(gain: Tensor, reads: AxisMap, gives: AxisMap) -> Tensor:
    """gain[g(j)] t_j / s_j; where there is no source, the mean of the others: it trains from there.

    Such coordinates are 0 after the norm, so that any gain keeps the function.
    """
    held = (reads.source >= 0) & (gives.source >= 0)
    factor = np.divide(gives.scale, reads.scale, out=np.zeros(reads.after), where=held)
    grown = gain[np.maximum(reads.source, 0)] * torch.from_numpy(factor).to(gain.dtype)
    mask = torch.from_numpy(held)
    return torch.where(mask, grown, grown[mask].mean())


def free_noise(line: Line, like: Tensor, ratio: float, rms: float, seed: int) -> Tensor | None:
    """Z (I - M R) of the shape and dtype of ``like``, which what a matrix reads cannot show.

    Z has deviation ``ratio`` times ``rms``. Columns that read a coordinate which is always 0 are
    drawn at ``rms`` itself: else they and the rows that feed them would both be 0 and stay so.
    None where nothing is free.
    """
    for place, dimension in enumerate(line.dimensions):
        if dimension is None or dimension.side == "gives" or dimension.map.is_identity:
            continue
        free = dimension.map.source < 0
        if not ratio and not free.any():
            continue
        deviation = torch.from_numpy(np.where(free, rms, ratio * rms)).to(like.dtype)
        generator = torch.Generator().manual_seed(seed)
        shape = like.transpose(place, -1).shape
        drawn = torch.randn(shape, generator=generator, dtype=like.dtype).mul_(deviation)
        return _unseen(drawn, dimension.map).transpose(place, -1)
    return None


def split_unevenly(
    line: Line, grown: Tensor, ratio: float, rms: float, seed: int, dtype: torch.dtype
) -> Tensor | None:
    """The same noise where every coordinate has two copies, exact in ``dtype`` too: W = A + B.

    A lies between W/2 and 2 W, so that B = W - A needs no rounding (Sterbenz 1974) and the stored
    halves sum to the source's weight in bf16 as in fp64. A draw says which copy gets A. None where
    what the matrix reads is not doubled.
    """
    for place, dimension in enumerate(line.dimensions):
        pairs = dimension.map.pairs if dimension and dimension.side == "reads" else None
        if pairs is None or not ratio:
            continue
        first, second = (torch.from_numpy(places) for places in pairs)
        whole = grown.index_select(place, first).mul_(2).to(dtype).to(grown.dtype)
        generator = torch.Generator().manual_seed(seed)
        shape = whole.transpose(place, -1).shape
        drawn = torch.randn(shape, generator=generator, dtype=grown.dtype).transpose(place, -1)
        more = torch.minimum(drawn.abs() * (ratio * rms), 1.5 * whole.abs())
        larger = (whole / 2 + more.copysign(whole)).to(dtype).to(grown.dtype)
        rest, swapped = whole - larger, drawn < 0
        split = grown.clone()
        split.index_copy_(place, first, torch.where(swapped, rest, larger))
        return split.index_copy_(place, second, torch.where(swapped, larger, rest))
    return None


def _unseen(drawn: Tensor, axis: AxisMap) -> Tensor:
    """Z - (Z M) R along the last dimension."""
    copies = np.flatnonzero(axis.source >= 0)
    source = torch.from_numpy(axis.source[copies])
    places = torch.from_numpy(copies)
    scale = torch.from_numpy(axis.scale).to(drawn.dtype)
    held = drawn * scale
    seen = drawn.new_zeros(*drawn.shape[:-1], axis.before)
    seen.index_add_(-1, source, held[..., places])
    means = torch.from_numpy(np.flatnonzero(axis.source == MEAN))
    seen += held[..., means].sum(-1, keepdim=True) / axis.before
    weight = torch.from_numpy(axis.weight[copies]).to(drawn.dtype)
    return drawn.index_add(-1, places, seen[..., source] * weight, alpha=-1)


def new_along(line: Line, shape: tuple[int, ...], sides: tuple[Side, ...]) -> Tensor:
    """True where an element belongs to a new unit on one of ``sides``; [shape]."""
    new = torch.zeros(shape, dtype=torch.bool)
    for place, dimension in enumerate(line.dimensions):
        if dimension is not None and dimension.side in sides:
            along = [1] * len(shape)
            along[place] = -1
            new |= torch.from_numpy(dimension.map.new).view(along)
    return new
