"""The settings of one stage: its data, how much of it, where it begins, and what differs there."""

from typing import Literal, NamedTuple, Self

from pydantic import Field, JsonValue, model_validator

from evergrow.config import Config, Name, PositiveCount
from evergrow.grow.config import GrowConfig
from evergrow.schedules import ScheduleConfig
from evergrow.train.config import DepthConfig, OptimizerState, TwoStage


class Replay(Config):
    """Old data again: a share of every stage's samples, taken from what the ancestors read."""

    fraction: float = Field(
        default=0.0, ge=0, lt=1, description="share of the samples, exact to one"
    )
    order: Literal["seen", "reshuffled"] = Field(
        default="seen", description="as the ancestors read them, or drawn anew"
    )


Length = Literal["tokens", "images", "examples"]
LENGTHS: dict[str, Length] = {"tokens": "tokens", "pictures": "images", "examples": "examples"}


class StageConfig(Config):
    """One stream: its data, how much of it, and what differs from the recipe's settings."""

    name: Name = Field(description="of the stage, its release and its rows in every table")
    from_: str | None = Field(
        default=None,
        alias="from",
        min_length=1,
        description="where it begins: start, STAGE (its trunk), STAGE.release, or a model (a "
        "folder, a run, a GGUF file, a hub id); default: the trunk of the stage before",
    )
    data: Name | None = Field(default=None, description="the one source this stage reads")
    mixture: dict[Name, float] | None = Field(
        default=None, description="weights of sources, summing to 1"
    )
    tokens: PositiveCount | None = Field(default=None, description="its length, of text")
    images: PositiveCount | None = Field(default=None, description="its length, of pictures")
    examples: PositiveCount | None = Field(default=None, description="its length, of chats")
    train: dict[str, JsonValue] = Field(
        default={}, description="settings of train that differ in this stage"
    )
    schedule: ScheduleConfig | None = Field(
        default=None, description="default: the recipe's, going on where the trunk is"
    )
    replay: Replay | None = Field(default=None, description="default: the recipe's")
    optimizer_state: OptimizerState = Field(
        default="keep",
        description="Adam's moments at its beginning: kept, empty, or filled at rate 0 first",
    )
    grow: GrowConfig | None = Field(
        default=None, description="the larger model that this stage begins with"
    )
    two_stage: TwoStage | None = Field(
        default=None, description="sub-models of bottom layers are trained first"
    )
    depth: DepthConfig | None = Field(
        default=None, description="which layers train when, and at which share of the rate"
    )
    orders: int | None = Field(
        default=None,
        description="trained under so many orders of its data; their average, or the best of them, "
        "is its release",
    )
    order: int = Field(
        default=1, ge=1, description="in which order it reads its data; set by orders"
    )

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        given = [word for word in LENGTHS.values() if getattr(self, word) is not None]
        if len(given) != 1:
            raise ValueError(
                f"stage {self.name!r} needs one length: tokens (of text), images (of pictures) or "
                f"examples (of chats), got {' and '.join(given) or 'none'}"
            )
        return self

    @model_validator(mode="after")
    def _one_plan_of_layers(self) -> Self:
        if self.depth is not None and self.two_stage is not None:
            raise ValueError("depth and two_stage both say which layers train; keep one of them")
        other = "depth" if self.depth is not None else "two_stage"
        new = self.grow is not None and self.grow.train == "new"
        if new and getattr(self, other) is not None:
            raise ValueError(
                f"grow.train and {other} both say which layers train; keep one of them"
            )
        return self

    @model_validator(mode="after")
    def _several_orders(self) -> Self:
        if self.orders is None:
            return self
        if self.orders < 2:
            raise ValueError(
                f"orders: expected 2 or more, got {self.orders}; the average of one order is that "
                "order, so remove it"
            )
        if self.order != 1:
            raise ValueError(
                f"orders are all of 1 to {self.orders}, got order {self.order} beside them; "
                "remove one of the two"
            )
        if self.grow is not None:
            raise ValueError(
                "a stage of several orders begins with one model for all of them, so it cannot "
                "grow; grow in a stage before it"
            )
        return self

    @model_validator(mode="after")
    def _mixture_is_whole(self) -> Self:
        if (self.data is None) == (self.mixture is None):
            found = "neither" if self.data is None else "both"
            raise ValueError(
                f"stage {self.name!r} needs either data: a source, or mixture: weights, got {found}"
            )
        if self.mixture is not None:
            total, least = sum(self.mixture.values()), min(self.mixture.values(), default=1)
            if abs(total - 1) > 1e-6 or least <= 0:
                also = f" and a weight of {least:g}" if least <= 0 else ""
                raise ValueError(
                    "the weights of mixture must be above 0 and sum to 1, "
                    f"got a sum of {total:g}{also}"
                )
        return self

    @model_validator(mode="after")
    def _growth_keeps_the_optimizer(self) -> Self:
        if self.grow is not None and self.optimizer_state != "keep":
            raise ValueError(
                "a stage that grows says in grow.optimizer_state what becomes of the optimiser "
                f"(asymmetric, copy or drop), got optimizer_state {self.optimizer_state!r}; "
                "remove it"
            )
        return self

    @model_validator(mode="after")
    def _one_tokenizer(self) -> Self:
        if self.grow is not None and self.grow.tokenizer is not None:
            raise ValueError(
                "grow.tokenizer: a run's data is made by one tokenizer, which never changes; grow "
                "a release by evergrow grow apply --tokenizer, and begin a new run from it"
            )
        return self

    @model_validator(mode="after")
    def _one_architecture(self) -> Self:
        if self.grow is not None and self.grow.experts is not None:
            raise ValueError(
                "grow.experts: a run's model stays of one architecture; grow a release by evergrow "
                "grow apply --experts, and begin a new run from it"
            )
        return self

    @property
    def weights(self) -> dict[str, float]:
        """The mixture, also for a stage of one source."""
        return self.mixture if self.mixture is not None else {str(self.data): 1.0}

    @property
    def length(self) -> int:
        """Tokens, pictures or examples, whichever it counts."""
        return next(n for n in (self.tokens, self.images, self.examples) if n is not None)

    def as_long_as(self, other: "StageConfig") -> "StageConfig":
        """This stage with the length of ``other``."""
        return self.model_copy(update={word: getattr(other, word) for word in LENGTHS.values()})


class Beginning(NamedTuple):
    """Where a stage begins, ``of`` the stage at that place or of the model called so."""

    kind: Literal["start", "trunk", "release", "model"]
    of: int | str | None = None
