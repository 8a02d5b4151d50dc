"""The size of a gradient without the gradient: from what a layer reads and what comes back.

Over n tokens a gradient is L^T R: L [n, rows] what comes back, R [n, columns] what went in. Its
square is the sum of (L L^T) * (R R^T), n x n numbers in place of rows x columns.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

Watch = Callable[[str, Callable[[], Tensor]], None]


@dataclass(frozen=True)
class Factors:
    """A gradient L^T R: ``left`` [n, rows], or [n] ids that stand for rows with one 1."""

    left: Tensor
    right: Tensor
    rows: int

    def times(self, other: "Factors") -> float:
        """The sum over all elements of both gradients' products; in float64."""
        left = _products(self.left, other.left)
        return float((left * _products(self.right, other.right)).sum())

    def whole(self) -> Tensor:
        """The gradient itself [rows, columns]."""
        if self.left.ndim == 2:
            return self.left.T @ self.right
        return self.right.new_zeros(self.rows, self.right.shape[1]).index_add_(
            0, self.left, self.right
        )


def _products(one: Tensor, other: Tensor) -> Tensor:
    """Scalar products of all rows of one with all of the other [n, m], ids as unit vectors."""
    if one.ndim == 1 and other.ndim == 1:
        return (one[:, None] == other[None, :]).double()
    if one.ndim == 1:
        return other[:, one].T.double()
    if other.ndim == 1:
        return one[:, other].double()
    return one.double() @ other.double().T


def is_factored(module: nn.Module, inputs: tuple[Tensor, ...]) -> bool:
    """Whether the gradient of the module's weight is taken as ``Factors``: where that is less."""
    if not inputs or type(module) not in (nn.Linear, nn.Embedding, Conv1D):  # theirs may do more
        return False
    weight = module.weight
    assert isinstance(weight, Tensor)
    rows, columns = weight.shape
    tokens = inputs[0].numel() // (1 if isinstance(module, nn.Embedding) else inputs[0].shape[-1])
    return tokens * (rows + columns) < rows * columns


def factors_of(module: nn.Module, entered: Tensor, returned: Tensor) -> Factors:
    """Of an ``is_factored`` module's weight: what went in, and the gradient of what came out."""
    back = returned.detach().flatten(0, -2)
    if isinstance(module, nn.Embedding):
        return Factors(entered.flatten(), back, module.num_embeddings)
    went_in = entered.detach().flatten(0, -2)
    left, right = (went_in, back) if isinstance(module, Conv1D) else (back, went_in)
    return Factors(left, right, left.shape[1])


class GradientSquares:
    """Sums of squares of each stored weight's gradient, kept instead of the gradients.

    ``watch`` sees how to get each gradient before it is forgotten, but those of tied weights.
    """

    def __init__(self, stored: Mapping[str, str], watch: Watch | None = None) -> None:
        self._watch = watch
        uses = list(stored.values())
        self._shared = {name for name in uses if uses.count(name) > 1}
        self._whole: dict[str, Tensor] = {}
        self._factors: dict[str, list[Factors]] = {}
        self._squares: dict[str, float] = {}

    def take(self, name: str, parameter: Tensor) -> None:
        """Count and forget a parameter's gradient; that of a tied weight is the sum of its uses."""
        gradient, parameter.grad = parameter.grad, None
        assert gradient is not None
        if name in self._shared:
            known = self._whole.get(name)
            self._whole[name] = gradient if known is None else known.add_(gradient)
        else:
            self._count(name, _square(gradient), lambda: gradient)

    def take_factors(self, name: str, found: Factors) -> None:
        """The same of a gradient that was never made."""
        if name in self._shared:
            self._factors.setdefault(name, []).append(found)
        else:
            self._count(name, found.times(found), found.whole)

    def _count(self, name: str, square: float, gradient: Callable[[], Tensor]) -> None:
        assert name not in self._squares, f"{name} has two gradients"
        self._squares[name] = square
        if self._watch is not None:
            self._watch(name, gradient)

    def norm(self) -> float:
        """The L2 norm over all weights; in float64."""
        return (sum(self._squares.values()) + sum(map(self._tied, self._shared))) ** 0.5

    def _tied(self, name: str) -> float:
        """The square of the sum of a shared weight's uses."""
        uses, whole = self._factors.get(name, []), self._whole.get(name)
        if whole is not None:
            return _square(sum((use.whole() for use in uses), start=whole))
        return sum(one.times(other) for one in uses for other in uses)


def _square(tensor: Tensor) -> float:
    parts = tensor.flatten().split(1 << 20)  # sums of a million in its own type, theirs in float64
    return sum(float(torch.dot(part, part)) for part in parts)
