"""Settings of the loop, of the optimiser and of layers by depth; imports no torch."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from evergrow.config import Config, PositiveCount, Workers
from evergrow.models.config import LoraConfig


class OptimizerConfig(Config):
    """AdamW; the defaults are OLMo 2's. Embeddings never decay, of vision models only maps do."""

    beta1: float = Field(default=0.9, ge=0, lt=1, description="decay of the first moment")
    beta2: float = Field(default=0.95, ge=0, lt=1, description="decay of the second moment")
    epsilon: float = Field(default=1e-8, gt=0, description="added to the root of the second")
    weight_decay: float = Field(default=0.1, ge=0, description="times the rate, of all that decays")


class LoopConfig(Config):
    """What one optimiser step is made of, and on what it is computed."""

    # How a step is computed, not which: they may change when a run goes on, and are no part of it.
    RESOURCES: ClassVar = frozenset(
        {
            "micro_batch_size",
            "activation_checkpointing",
            "device",
            "precision",
            "compile",
            "threads",
            "log_every",
        }
    )

    batch_size: PositiveCount = Field(
        le=1_000_000, description="windows, pictures or examples a step"
    )
    micro_batch_size: PositiveCount | None = Field(
        default=None, description="windows a forward pass; default: the whole batch"
    )
    optimizer: OptimizerConfig = OptimizerConfig()
    lora: LoraConfig | None = Field(
        default=None, description="adapters are trained, and the weights stay as they are"
    )
    clip_norm: float = Field(default=1.0, gt=0, description="largest norm of the gradient")
    skip_sigma: float = Field(
        default=6.0,
        gt=0,
        description="skip a step whose loss or gradient norm is so many deviations high",
    )
    activation_checkpointing: bool = Field(
        default=False, description="compute activations twice and keep less of them in memory"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="auto: cuda, else mps, else cpu"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="auto: bf16 on a GPU, fp32 elsewhere"
    )
    compile: bool | None = Field(default=None, description="default: on a GPU only")
    threads: Workers | None = Field(
        default=None,
        description="CPU threads; default: the cores shared among the recipe's workers",
    )
    log_every: PositiveCount = Field(
        default=10, description="steps between writes to metrics.jsonl"
    )

    @model_validator(mode="after")
    def _micro_batches_fit(self) -> "LoopConfig":
        if self.micro_batch_size and self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"batch_size {self.batch_size} must be a multiple of micro_batch_size, "
                f"got {self.micro_batch_size}"
            )
        return self


class TwoStage(Config):
    """Sub-models of bottom layers first, then the whole model (bert2BERT, section 3.5)."""

    layers: PositiveCount = Field(
        default=3, description="layers from one sub-model to the next, and how many are trained"
    )
    fraction: float = Field(
        default=0.125,  # 5 of 40 epochs; 20 of 40 lose half of the saving
        gt=0,
        lt=1,
        description="share of the stage's steps that train sub-models",
    )


class Refill(Config):
    """Train some steps at rate 0, so that fresh Adam moments fill before the weights move."""

    refill: PositiveCount = Field(description="steps at rate 0")


OptimizerState = Literal["keep", "reset"] | Refill


class DepthConfig(Config):
    """Which groups of layers train, when, and at which share of the rate.

    Groups: ``embed``, blocks ``0``, ``1`` ... from the bottom (``-1`` is the top one), ``head``.
    """

    unfreeze: dict[str, float] = Field(
        default={},
        description="group: share of the stage after which it trains; a group not named never does",
    )
    freeze: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="FreezeOut: share of the stage after which the bottom group stops; the head "
        "stops at its end",
    )
    freeze_shape: Literal["linear", "cubic"] = Field(
        default="cubic", description="of freeze: how the layers' ends lie between first and last"
    )
    rates: dict[str, float] = Field(default={}, description="group: multiple of the rate")
    decay: float = Field(
        default=1.0, gt=0, le=1, description="multiple of the rate from one group to that below it"
    )
    clock: Literal["global", "since_opening"] = Field(
        default="global", description="the schedule's progress: the stage's, or since the opening"
    )

    @model_validator(mode="after")
    def _one_direction(self) -> "DepthConfig":
        if self.unfreeze and self.freeze is not None:
            raise ValueError("unfreeze opens layers and freeze closes them; keep one of the two")
        shares = [*self.unfreeze.values()]
        if any(not 0 <= share < 1 for share in shares):
            raise ValueError(f"shares of unfreeze lie in [0, 1), got {self.unfreeze}")
        if self.unfreeze and min(shares) > 0:
            raise ValueError(f"one group must train from the start (0), got {self.unfreeze}")
        if self.rates and min(self.rates.values()) < 0:
            raise ValueError(f"multiples of the rate are 0 or more, got {self.rates}")
        return self

    @property
    def moves(self) -> bool:
        """Whether other groups train late in a stage than early in it."""
        return self.freeze is not None or any(share > 0 for share in self.unfreeze.values())
