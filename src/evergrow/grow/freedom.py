"""Whether copies can become different: units that hold the same weights and get the same gradient.

A unit of an axis (a neuron, a coordinate of the residual) is alike to another for ever where every
matrix that gives or reads the axis holds and moves the two alike, under any optimiser that treats
elements alike: capacity that is not there. Copies part where their readers differ (noise, uneven
shares, zero fan-out), which only the gradient shows; the rank of one matrix says neither.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

_ELEMENTS = 1 << 22  # in float64 at a time: rows of a matrix may be as long as a vocabulary
_SAME = 1e-6  # of a row's largest weight: float32 rounding
_SAME_GRADIENT = 1e-4  # of a row's gradient: rounding of its sums; noise of 0.05 makes 1e-2


@dataclass(frozen=True)
class Freedom:
    """A matrix [outputs, inputs]: rows and columns that repeat another, by their first [units].

    weights   by its weights alone
    moves     by its gradient too, which is not 0
    """

    shape: tuple[int, int]
    weights: tuple[Tensor, Tensor]
    moves: tuple[Tensor, Tensor]


def freedom_of(weight: Tensor, gradient: Tensor) -> Freedom:
    """Both of one shape; more than two dimensions are taken as [first, rest]."""
    weight, gradient = weight.flatten(1), gradient.flatten(1)
    rows, columns = equal_rows(weight), equal_rows(weight.T)
    return Freedom(
        (weight.shape[0], weight.shape[1]),
        (_first(rows, weight.shape[0]), _first(columns, weight.shape[1])),
        (_alike_moving(rows, gradient), _alike_moving(columns, gradient.T)),
    )


@dataclass(frozen=True)
class Locked:
    """One kind of matrix, by the one of its middle block.

    duplicate  rows and columns that repeat another by their weights
    locked     units that every matrix of their axis holds and moves alike: alike for ever
    """

    kind: str
    tensor: str
    shape: tuple[int, int]
    duplicate_rows: int
    duplicate_columns: int
    locked_rows: int
    locked_columns: int


@final
class Watched:
    """Sees each gradient of a backward pass, and keeps the freedom of one matrix of each kind.

    ``axes`` gives the axes that a matrix's rows and columns lie on; those of one name are judged
    together.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        axes: Callable[[str], tuple[str, str]],
        read: Callable[[str], Tensor],
    ) -> None:
        kinds = middle_of_each_kind(shapes)
        self._kinds = {name: kind for kind, name in kinds.items() if kind != name}  # in blocks
        self._axes = axes
        self._read = read
        self._found: dict[str, Freedom] = {}

    def __call__(self, name: str, gradient: Callable[[], Tensor]) -> None:
        if name in self._kinds:
            self._found[name] = freedom_of(self._read(name).float(), gradient())

    def locked(self) -> list[Locked]:
        """Repeated units and locked ones, in the order of the weights."""
        by_axis: dict[str, list[Tensor]] = {}
        for name, found in self._found.items():
            for axis, moves in zip(self._axes(name), found.moves, strict=True):
                by_axis.setdefault(axis, []).append(moves)
        known = []
        for name, kind in self._kinds.items():
            if (found := self._found.get(name)) is not None:
                rows, columns = (_repeated(by_axis[axis]) for axis in self._axes(name))
                repeated, besides = (_repeated([first]) for first in found.weights)
                known.append(Locked(kind, name, found.shape, repeated, besides, rows, columns))
        return known


def _repeated(firsts: list[Tensor]) -> int:
    """How many units repeat another in all matrices of an axis."""
    return firsts[0].numel() - torch.unique(torch.stack(firsts), dim=1).shape[1]


def _first(pairs: Tensor, units: int) -> Tensor:
    """The first unit of each one's group [units], of pairs that join neighbours of a group."""
    first = torch.arange(units)
    while True:
        low = torch.minimum(first[pairs[:, 0]], first[pairs[:, 1]])
        joined = first.clone()
        for side in (0, 1):
            joined.scatter_reduce_(0, pairs[:, side], low, "amin")
        if torch.equal(joined, first):
            return first
        first = joined


def _alike_moving(pairs: Tensor, gradient: Tensor) -> Tensor:
    step = max(1, _ELEMENTS // gradient.shape[1])
    moves = torch.cat([rows.abs().amax(1) > 0 for rows in gradient.split(step)])
    alike = _alike(gradient, pairs, _SAME_GRADIENT, step) & moves[pairs[:, 0]]
    return _first(pairs[alike], len(gradient))


def equal_rows(matrix: Tensor) -> Tensor:
    """Pairs of neighbours among rows that are the same [pairs, 2]; a group of n has n - 1."""
    probe = torch.randn(
        matrix.shape[1], dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    step = max(1, _ELEMENTS // matrix.shape[1])
    keys = torch.cat([rows.double() @ probe for rows in matrix.split(step)])
    keys, order = torch.sort(keys, stable=True)  # equal rows are neighbours now
    close = keys.diff() <= 1e-5 * keys.abs().max()
    pairs = torch.stack([order[:-1], order[1:]], dim=1)[close]
    return pairs[_alike(matrix, pairs, _SAME, step)]


def _alike(matrix: Tensor, pairs: Tensor, tolerance: float, step: int) -> Tensor:
    """Whether the two rows of each pair differ by at most ``tolerance`` of the larger."""
    found = [torch.zeros(0, dtype=torch.bool)]
    for some in pairs.split(step):
        first, second = matrix[some[:, 0]].double(), matrix[some[:, 1]].double()
        size = torch.maximum(first.abs().amax(1), second.abs().amax(1))
        found.append((first - second).abs().amax(1) <= tolerance * size)
    return torch.cat(found)


def kinds_of(names: Iterable[str]) -> dict[str, list[str]]:
    """Names that differ in their block's number only, together: the kinds of weights."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(re.sub(r"\.\d+\.", ".*.", name), []).append(name)
    return kinds


def middle_of_each_kind(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """Kind -> the matrix of the block in the middle: one of each kind is measured."""
    matrices = [name for name, shape in shapes.items() if len(shape) > 1 and shape[0] > 1]
    return {kind: names[len(names) // 2] for kind, names in kinds_of(matrices).items()}
