"""Which sub-model each step of two-stage training trains: pure functions, without a model."""

from dataclasses import dataclass

from evergrow.errors import InputError
from evergrow.stream.order import key_of


def ladder(num_layers: int, step_layers: int) -> list[int]:
    """The depths of the sub-models: l, 2 l, ... and the whole, L layers.

    Raises InputError when ``step_layers`` leaves no sub-model below the whole.
    """
    if step_layers >= num_layers:
        raise InputError(
            f"two_stage.layers: {step_layers} of {num_layers} layers leave no smaller sub-model; "
            f"give {num_layers - 1} or less, or remove two_stage"
        )
    return [*range(step_layers, num_layers, step_layers), num_layers]


@dataclass(frozen=True)
class SubModels:
    """Which sub-model each step trains: a pure function of the seed and the step.

    Steps up to ``last_step`` train sub-models, later ones (and ``depth_at`` None) the whole.
    """

    depths: tuple[int, ...]
    step_layers: int
    last_step: int
    seed: int

    def depth_at(self, step: int) -> int | None:
        """The layers that step ``step`` runs; None when it trains the whole model."""
        if step > self.last_step:
            return None
        return self.depths[key_of("two-stage", self.seed, step) % len(self.depths)]
