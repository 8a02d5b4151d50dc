"""What a verification found: written by the check, kept in growth.json as plain data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from evergrow.grow.difference import Difference
from evergrow.grow.freedom import Locked
from evergrow.grow.operators import Exactness


@dataclass(frozen=True)
class Other:
    """The largest difference of a further output, and what an exact growth may have."""

    maximum: float
    limit: float


@dataclass(frozen=True)
class Gradients:
    """L2 over all weights of both models; ``ratio`` is None where it is no number."""

    source: float
    grown: float
    ratio: float | None


@dataclass(frozen=True)
class Activation:
    """Root mean square of a grown block's output beside that of the block it stands for."""

    block: int
    source_block: int
    source: float
    grown: float
    ratio: float | None


@dataclass(frozen=True)
class Checked:
    """All numbers of a verification; ``problems`` has a sentence for each broken promise.

    inputs    shapes of what both models read
    unrounded the difference before the grown weights were stored in few bits, where that was asked
    noise     of the source: float32 against float64, and bfloat16 where it is stored so
    limit     of the difference; None where the function may change
    text      losses and differences on the user's text
    """

    exactness: Exactness
    inputs: Mapping[str, list[int]]
    difference: Difference
    unrounded: Difference | None
    others: list[Other]
    noise: Difference
    bfloat16: Difference | None
    limit: float | None
    gradients: Gradients
    activations: list[Activation]
    text: Mapping[str, float] | None
    symmetry: list[Locked]
    problems: list[str]

    def record(self) -> dict[str, object]:
        """Plain data for growth.json, where ``problems`` stand apart."""
        few = None if self.bfloat16 is None else self.bfloat16.record()
        return {
            "exactness": self.exactness,
            "inputs": dict(self.inputs),
            "difference": self.difference.record(),
            "difference_before_rounding": self.unrounded and self.unrounded.record(),
            "other_outputs": [asdict(other) for other in self.others],
            "noise": {"float32": self.noise.record(), "bfloat16": few},
            "limit": self.limit,
            "gradient_norm": asdict(self.gradients),
            "activation_rms": [asdict(block) for block in self.activations],
            "text": None if self.text is None else dict(self.text),
            "symmetry": [asdict(kind) | {"shape": list(kind.shape)} for kind in self.symmetry],
        }
