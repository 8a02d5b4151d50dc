"""What the loop asks of what it trains: batches that can be split, and a loss with named parts."""

from typing import Any, NamedTuple, Protocol, Self

import torch
from torch import Tensor, nn


class Loss(NamedTuple):
    """Sums over the targets of a batch; divided by its weight outside, so micro-batches add up.

    ``total`` is what is minimised. ``parts`` are recorded by name, the first of them as the loss.
    """

    total: Tensor
    parts: dict[str, Tensor]


class Batch(Protocol):
    """What one optimiser step reads."""

    @property
    def weight(self) -> float:
        """How much its targets count together."""
        ...

    @property
    def passed(self) -> int:
        """By how much the clock moves: tokens of data, or pictures."""
        ...

    def split(self, size: int) -> list[Self]:
        """Micro-batches of at most ``size`` rows."""
        ...


class Learner(Protocol):
    """Turns a batch into a loss."""

    def __call__(self, model: nn.Module, batch: Any, device: torch.device) -> Loss: ...
