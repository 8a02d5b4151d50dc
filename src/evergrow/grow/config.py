"""What a model grows to and how; imports no torch."""

from typing import Literal

from pydantic import Field

from evergrow.config import Config, PositiveCount

Axis = Literal["hidden", "heads", "kv_heads", "head_dim", "ffn", "layers", "vocab"]
Method = Literal[
    "auto", "fpi", "fpi_random", "aki", "lemon", "hyperclone", "zero", "sqrt", "average"
]
Depth = Literal["auto", "identity", "stack", "interleave", "interpolate"]

AUTO_NOISE = 0.05  # 1e-3 beside weights of 0.02 broke every tie within 40 steps


class GrowConfig(Config):
    """A larger size for any of the axes, and the operators that lead there."""

    to: dict[Axis, PositiveCount] = Field(
        min_length=1, description="axis: new size; an axis not named keeps its size"
    )
    method: Method = Field("auto", description="operator of the widths")
    depth: Depth = Field("auto", description="operator of layers: identity blocks or copies")
    goal: Literal["keep", "speed"] = Field(
        "keep", description="what depth: auto serves, old knowledge or the speed of pre-training"
    )
    vocab_rows: Literal["mean", "zero"] = Field("mean", description="rows of new ids")
    noise: float | None = Field(
        None,
        ge=0,
        description="deviation of the noise the function does not see, as a multiple of the "
        "matrix's root mean square; default: 0.05 with auto and hyperclone, else 0",
    )
    seed: int = Field(0, ge=0, description="of random copies, splits and noise")
    optimizer_state: Literal["asymmetric", "copy", "drop"] = Field(
        "asymmetric",
        description="moments: kept for old elements and 0 for new ones, kept for all, or none",
    )
    rho: float = Field(1.3, gt=0, description="peak rate of new parameters over the trunk's rate")
    warm_steps: int = Field(250, ge=0, description="optimiser steps to warm new parameters up in")

    @property
    def noise_ratio(self) -> float:
        """The noise that is used: the one given, else the method's own."""
        if self.noise is not None:
            return self.noise
        return AUTO_NOISE if self.method in ("auto", "hyperclone") else 0.0
