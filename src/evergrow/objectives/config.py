"""Settings of the objectives, one class each, and of what they read; imports no torch.

``form`` is how data must lie on disk for an objective (FORMS in data/); ``trains`` are the kinds
of model it trains, as ``models.kind`` calls it.
"""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from evergrow.config import Config, PositiveCount
from evergrow.images.config import AugmentConfig, Label, Labels
from evergrow.train.config import LoopConfig

Form = Literal["tokens", "pictures", "examples"]


class CausalConfig(Config):
    """Tell each token from those before it."""

    form: ClassVar[Form] = "tokens"
    trains: ClassVar[tuple[str, ...]] = ("causal",)
    kind: Literal["causal"] = "causal"


class MaskedConfig(Config):
    """Tell tokens from both of their sides (BERT): 80 % hidden, 10 % exchanged, 10 % left."""

    form: ClassVar[Form] = "tokens"
    trains: ClassVar[tuple[str, ...]] = ("masked",)
    kind: Literal["masked"] = "masked"
    fraction: float = Field(default=0.15, gt=0, lt=1, description="share of tokens to be told")
    whole_words: bool = Field(default=False, description="all pieces of a word, or none")


class MaskedPatchesConfig(Config):
    """Draw hidden patches of a picture from those in sight (masked autoencoder)."""

    form: ClassVar[Form] = "pictures"
    trains: ClassVar[tuple[str, ...]] = ("patches",)
    kind: Literal["masked_patches"] = "masked_patches"
    fraction: float = Field(default=0.75, gt=0, lt=1, description="share of patches to be drawn")
    normalised: bool = Field(
        default=True, description="each patch less its mean, over its deviation"
    )


class ClassificationConfig(Config):
    """Tell what a picture shows."""

    form: ClassVar[Form] = "pictures"
    trains: ClassVar[tuple[str, ...]] = ("classes",)
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


class FindingsConfig(Config):
    """Tell several things of a picture, each by itself; some may be unknown."""

    form: ClassVar[Form] = "pictures"
    trains: ClassVar[tuple[str, ...]] = ("classes",)
    kind: Literal["findings"] = "findings"
    labels: Annotated[list[Label], Field(min_length=1)] | None = Field(
        default=None,
        description="all findings, in order, also such as only a later stage brings; default: "
        "those of the sources",
    )
    uncertain: Literal["ignore", "ones", "zeros"] = Field(
        default="ignore",
        description="what -1 counts as in training: U-Ignore, U-Ones, U-Zeros (Irvin et al. 2019)",
    )
    unmentioned: Literal["ignore", "zeros"] = Field(
        default="ignore",
        description="what a blank counts as: unknown, or absent as in that paper",
    )


class SftConfig(Config):
    """Answer as the assistants of chats do: the loss is on what they said."""

    form: ClassVar[Form] = "examples"
    trains: ClassVar[tuple[str, ...]] = ("causal",)
    kind: Literal["sft"] = "sft"
    loss_on: Literal["assistant", "last", "all"] = Field(
        default="assistant",
        description="assistant: all that assistants say; last: the last answer alone, as of a "
        "prompt and its completion; all: every token",
    )
    pack: bool = Field(
        default=True, description="several chats in a row of sequence_length, kept apart"
    )


ObjectiveConfig = Annotated[
    CausalConfig
    | MaskedConfig
    | MaskedPatchesConfig
    | ClassificationConfig
    | FindingsConfig
    | SftConfig,
    Field(discriminator="kind"),
]


class TrainConfig(LoopConfig):
    """How a stage is trained: the loop's settings, what is learnt, and what of the data is read."""

    objective: ObjectiveConfig | None = Field(
        default=None,
        description="default: sft for chats, masked for a masked model (BERT), masked_patches for "
        "a masked autoencoder, classification for other vision models, else causal",
    )
    sequence_length: PositiveCount = Field(
        default=1, description="tokens a window; a picture is one whole"
    )
    augment: AugmentConfig | None = Field(
        default=None, description="random changes of training pictures; default: none"
    )
    z_loss: float = Field(default=1e-5, ge=0, description="weight of the squared log-normaliser")
    mask_repeats: bool = Field(
        default=True, description="no loss on windows with an n-gram 32 times in a row"
    )
    separate_documents: bool = Field(
        default=False, description="no attention across documents of a window; slower on a CPU"
    )

    @property
    def tokens_per_step(self) -> int:
        """Tokens of an optimiser step; pictures or examples, where those are what is read."""
        return self.batch_size * self.sequence_length


OBJECTIVE_CONFIGS = get_args(get_args(ObjectiveConfig)[0])
_SEES = {"masked": "both sides of a token", "causal": "only what stands before a token"}


def resolved(train: TrainConfig, form: Form, kind: str, model: str) -> ObjectiveConfig:
    """What trains ``model``, which is of ``kind``, on data of ``form``: as asked, or by default.

    Raises ValueError for an objective that reads data of another form or trains another kind of
    language model, and for documents to be kept apart where only causal attention can do that. A
    vision model's body takes the head that the objective needs.
    """
    asked = train.objective or _usual(form, kind)
    if asked.form != form:
        raise ValueError(
            f"train.objective: {asked.kind} is not for these sources, which are {form}; remove it "
            f"or choose {' or '.join(kinds_of(form))}"
        )
    if (form == "pictures") == (kind in _SEES):
        reads = "text" if kind in _SEES else "pictures"
        raise ValueError(f"{model} reads {reads}, the sources are not; choose another")
    if kind == "masked" and train.separate_documents:
        raise ValueError(
            f"train.separate_documents: is for causal models, got true with {model}; remove it"
        )
    if form == "pictures" or kind in asked.trains:
        return asked
    fits = " or ".join(kinds_of(form, kind)) or "one for it, which there is not"
    raise ValueError(
        f"train.objective: {model} sees {_SEES[kind]}, got kind {asked.kind}; "
        f"set kind: {fits}, or choose a {' or '.join(asked.trains)} model"
    )


def kinds_of(form: Form, kind: str | None = None) -> list[str]:
    """The objectives that read ``form``, of those that train a ``kind`` of model when given."""
    return [
        each.model_fields["kind"].default
        for each in OBJECTIVE_CONFIGS
        if each.form == form and (kind is None or kind in each.trains)
    ]


def _usual(form: Form, kind: str) -> ObjectiveConfig:
    """The first objective that reads ``form`` and trains ``kind``, else the first that reads it."""
    fit = [each for each in OBJECTIVE_CONFIGS if each.form == form]
    return next((each for each in fit if kind in each.trains), fit[0])()
