"""Settings of training; imports no torch."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from evergrow.config import Config, PositiveCount
from evergrow.images.config import AugmentConfig, Label, Labels


class OptimizerConfig(Config):
    """AdamW; the defaults are OLMo 2's. Embeddings never decay."""

    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)


class CausalConfig(Config):
    """Tell each token from those before it."""

    kind: Literal["causal"] = "causal"


class MaskedConfig(Config):
    """Tell tokens from both of their sides (BERT): 80 % hidden, 10 % exchanged, 10 % left."""

    kind: Literal["masked"] = "masked"
    fraction: float = Field(default=0.15, gt=0, lt=1, description="share of tokens to be told")
    whole_words: bool = Field(default=False, description="all pieces of a word, or none")


class MaskedPatchesConfig(Config):
    """Draw hidden patches of a picture from those in sight (masked autoencoder)."""

    kind: Literal["masked_patches"] = "masked_patches"
    fraction: float = Field(default=0.75, gt=0, lt=1, description="share of patches to be drawn")
    normalised: bool = Field(
        default=True, description="each patch less its mean, over its deviation"
    )


class ClassificationConfig(Config):
    """Tell what a picture shows."""

    kind: Literal["classification"] = "classification"
    labels: Labels | None = Field(
        default=None,
        description="all that occur, in order; default: those of the sources",
    )
    expected: list[Label] = Field(
        default=[],
        description="more labels, which no picture has yet: the head cannot grow when a later "
        "stage brings them",
    )
    weights: Literal["none", "balanced"] = Field(
        default="none", description="balanced: every class weighs the same in the loss"
    )
    order: Literal["natural", "balanced"] = Field(
        default="natural", description="balanced: every class is read equally often"
    )

    @model_validator(mode="after")
    def _balanced_once(self) -> "ClassificationConfig":
        if self.weights == self.order == "balanced":
            raise ValueError(
                "weights and order are both balanced, which makes rare classes weigh twice; "
                "keep one of the two"
            )
        return self


ObjectiveConfig = Annotated[
    CausalConfig | MaskedConfig | MaskedPatchesConfig | ClassificationConfig,
    Field(discriminator="kind"),
]
OF_PICTURES = ("masked_patches", "classification")


class TrainConfig(Config):
    """How a stage is trained."""

    objective: ObjectiveConfig | None = Field(
        default=None,
        description="default: masked for a masked model (BERT), masked_patches for a masked "
        "autoencoder, classification for other vision models, else causal",
    )
    sequence_length: PositiveCount = Field(
        default=1, description="tokens a window; a picture is one whole"
    )
    batch_size: PositiveCount = Field(description="windows or pictures an optimiser step")
    augment: AugmentConfig | None = Field(
        default=None, description="random changes of training pictures; default: none"
    )
    micro_batch_size: PositiveCount | None = Field(
        default=None, description="windows a forward pass; default: the whole batch"
    )
    optimizer: OptimizerConfig = OptimizerConfig()
    clip_norm: float = Field(default=1.0, gt=0, description="largest norm of the gradient")
    z_loss: float = Field(default=1e-5, ge=0, description="weight of the squared log-normaliser")
    skip_sigma: float = Field(
        default=6.0,
        gt=0,
        description="skip a step whose loss or gradient norm is so many deviations high",
    )
    mask_repeats: bool = Field(
        default=True, description="no loss on windows with an n-gram 32 times in a row"
    )
    separate_documents: bool = Field(
        default=False, description="no attention across documents of a window; slower on a CPU"
    )
    activation_checkpointing: bool = False
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="auto: bf16 on a GPU, fp32 elsewhere"
    )
    compile: bool | None = Field(default=None, description="default: on a GPU only")
    threads: PositiveCount | None = Field(
        default=None,
        description="CPU threads; default: the cores shared among the recipe's workers",
    )
    log_every: PositiveCount = Field(
        default=10, description="steps between writes to metrics.jsonl"
    )

    @property
    def tokens_per_step(self) -> int:
        """Tokens of an optimiser step; pictures, where those are what is read."""
        return self.batch_size * self.sequence_length

    @model_validator(mode="after")
    def _micro_batches_fit(self) -> "TrainConfig":
        if self.micro_batch_size and self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"batch_size {self.batch_size} must be a multiple of micro_batch_size, "
                f"got {self.micro_batch_size}"
            )
        return self

    def objective_of(self, is_masked: bool, model: str) -> ObjectiveConfig:
        """What trains ``model``; ``is_masked`` says that it sees both sides of a token.

        Raises ValueError for an objective that the model's attention does not fit, and for
        documents to be kept apart where only causal attention can do that.
        """
        own = MaskedConfig() if is_masked else CausalConfig()
        asked = self.objective or own
        if is_masked and self.separate_documents:
            raise ValueError(
                f"train.separate_documents: is for causal models, got true with {model}; remove it"
            )
        if asked.kind == own.kind:
            return asked
        sees = "both sides of a token" if is_masked else "only what stands before a token"
        raise ValueError(
            f"train.objective: {model} sees {sees}, got kind {asked.kind}; "
            f"set kind: {own.kind}, or choose a {asked.kind} model"
        )


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
    freeze_shape: Literal["linear", "cubic"] = "cubic"
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
