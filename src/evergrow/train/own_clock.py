"""New parameters on their own clock: after a growth their updates warm up, the old ones' do not."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def multiplier(steps: int, rho: float, warm_steps: int) -> float:
    """What the update of a new element is multiplied by, ``steps`` after its growth (1 the first).

    It rises linearly to ``rho`` at ``warm_steps`` and returns linearly to 1 at twice that; it is
    exactly 1 before and after. Asymmetric re-warmup of SPARKLING (arXiv 2602.02472), which gives
    rho 1.3 and 250 steps, and lets the new follow the schedule of the old again afterwards; the
    straight way back is ours.
    """
    if not 0 < steps < 2 * warm_steps:
        return 1.0
    if steps <= warm_steps:
        return rho * steps / warm_steps
    return rho + (1 - rho) * (steps - warm_steps) / warm_steps


class OwnClock:
    """Slices of a model's tensors whose updates are scaled while their clock runs.

    ``masks`` holds a bool tensor by parameter name, True where an element is new; ``born`` is the
    optimiser step after which the model grew. The step is all the state there is.
    """

    def __init__(
        self,
        model: nn.Module,
        masks: Mapping[str, Tensor],
        born: int,
        rho: float,
        warm_steps: int,
    ) -> None:
        own = dict(model.named_parameters())
        self._slices = [(own[name], mask.to(own[name].device)) for name, mask in masks.items()]
        self._born, self._rho, self._warm_steps = born, rho, warm_steps

    @contextmanager
    def during(self, step: int) -> Iterator[None]:
        """Around the optimiser's ``step``: p <- p_before + m (p_after - p_before) where p is new.

        The whole update is scaled, weight decay too. Old elements keep the bits they have.
        """
        scale = multiplier(step - self._born, self._rho, self._warm_steps)
        if scale == 1.0:
            yield
            return
        before = [parameter.detach().clone() for parameter, _ in self._slices]
        yield
        with torch.no_grad():
            for (parameter, mask), old in zip(self._slices, before, strict=True):
                scaled = old + scale * (parameter - old)
                parameter.copy_(torch.where(mask, scaled, parameter))
