"""The whole recipe as one strict model: what is trained on what, in which order, in which arms."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Discriminator, Field, JsonValue, Tag, model_validator

from evergrow.config import (
    Config,
    Count,
    Name,
    PositiveCount,
    decode,
    load_yaml,
    nearest,
    override,
)
from evergrow.corpus.config import HeldOutConfig, SourceConfig
from evergrow.corpus.curate.config import CorpusConfig
from evergrow.errors import InputError
from evergrow.grow.config import GrowConfig
from evergrow.images.config import ImageSourceConfig
from evergrow.models.config import RULES, ModelConfig
from evergrow.schedules import ScheduleConfig
from evergrow.stream.config import TokenizerConfig
from evergrow.train.config import (
    OF_PICTURES,
    ClassificationConfig,
    DepthConfig,
    MaskedPatchesConfig,
    OptimizerState,
    TrainConfig,
    TwoStage,
)


class Replay(Config):
    """Old data again: a share of every stage's samples, taken from what the ancestors read."""

    fraction: float = Field(
        default=0.0, ge=0, lt=1, description="share of the samples, exact to one"
    )
    order: Literal["seen", "reshuffled"] = "seen"


class StageConfig(Config):
    """One stream: its data, how much of it, and what differs from the recipe's settings."""

    name: Name
    data: Name | None = Field(default=None, description="the one source this stage reads")
    mixture: dict[Name, float] | None = Field(
        default=None, description="weights of sources, summing to 1"
    )
    tokens: PositiveCount
    schedule: ScheduleConfig | None = None
    replay: Replay | None = None
    optimizer_state: OptimizerState = "keep"
    grow: GrowConfig | None = Field(
        default=None, description="the larger model that this stage begins with"
    )
    two_stage: TwoStage | None = Field(
        default=None, description="sub-models of bottom layers are trained first"
    )
    depth: DepthConfig | None = Field(
        default=None, description="which layers train when, and at which share of the rate"
    )

    @model_validator(mode="before")
    @classmethod
    def _pictures_are_counted_too(cls, data: Any) -> Any:
        """``images`` is what ``tokens`` is for text: the one length of a stage."""
        if not isinstance(data, dict) or "images" not in data:
            return data
        if "tokens" in data:
            raise ValueError("give images (for pictures) or tokens (for text), got both")
        return {("tokens" if k == "images" else k): v for k, v in data.items()}

    @model_validator(mode="after")
    def _one_plan_of_layers(self) -> Self:
        if self.depth is not None and self.two_stage is not None:
            raise ValueError("depth and two_stage both say which layers train; keep one of them")
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

    @property
    def weights(self) -> dict[str, float]:
        """The mixture, also for a stage of one source."""
        return self.mixture if self.mixture is not None else {str(self.data): 1.0}


class EvaluateConfig(Config):
    """What is measured besides every stage's release."""

    every: Count = Field(
        default=0, description="tokens between measurements inside a stage; 0: none"
    )
    part: PositiveCount = Field(
        default=8_000,
        description="held-out tokens or pictures a source, inside a stage; of pictures to be "
        "classified a draw by a hash, else the first ones",
    )
    sources: list[Name] = Field(default=[], description="sources that are only ever measured")
    sample_tokens: Count = Field(
        default=60, description="length of the text sampled after each stage"
    )


class CheckpointConfig(Config):
    """How often a running stage is saved; branch points and ends always are."""

    every: PositiveCount | None = Field(
        default=None, description="tokens; default: a tenth of the stage"
    )


def refuse_corpora(sources: Collection[str], corpora: Mapping[str, CorpusConfig]) -> None:
    """Raise ValueError for a corpus that is called like a source, or made of an unknown one."""
    if taken := next((name for name in corpora if name in sources), None):
        raise ValueError(f"a source and a corpus are both called {taken!r}; rename one of them")
    for name, corpus in corpora.items():
        if unknown := next((source for source in corpus.sources if source not in sources), None):
            raise ValueError(
                f"corpus {name!r} is made of {unknown!r}, which is no source; "
                f"{nearest(unknown, sources, 'sources')}"
            )


class CorpusRecipe(Config):
    """The part of a recipe that makes its corpora; it may stand alone, without model and stages."""

    name: Name
    description: str = ""
    workers: PositiveCount = Field(default=1, description="shards curated side by side")
    sources: dict[Name, SourceConfig] = Field(min_length=1)
    corpora: dict[Name, CorpusConfig] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        refuse_corpora(self.sources, self.corpora)
        return self


RESERVED = {"corpora", "data", "tokenizer"}  # folders beside the arms' own
SHARED = ("name", "seeds", "workers", "sources", "corpora", "held_out", "tokenizer", "arms")


def _kind_of_source(data: Any) -> str:
    given = data if isinstance(data, dict) else data.model_fields_set
    has_pictures = isinstance(data, ImageSourceConfig) or {"images", "pictures"} & set(given)
    return "ImageSourceConfig" if has_pictures else "SourceConfig"


AnySource = Annotated[
    Annotated[SourceConfig, Tag("SourceConfig")]
    | Annotated[ImageSourceConfig, Tag("ImageSourceConfig")],
    Discriminator(_kind_of_source),
]


class Recipe(Config):
    """One recipe; ``arms`` are dotted overrides of everything above them."""

    name: Name
    description: str = ""
    seeds: list[int] = Field(default=[0], min_length=1)
    workers: PositiveCount = Field(
        default=1, description="processes: arms trained, or shards curated, side by side"
    )
    sources: dict[Name, AnySource] = Field(min_length=1)
    corpora: dict[Name, CorpusConfig] = Field(
        default={}, description="curated sets made of sources; stages read them like sources"
    )
    held_out: HeldOutConfig = HeldOutConfig()
    tokenizer: TokenizerConfig | None = Field(
        default=None, description="default: the model's, else trained"
    )
    model: ModelConfig
    train: TrainConfig
    schedule: ScheduleConfig
    replay: Replay = Replay()
    stages: list[StageConfig] = Field(min_length=1)
    evaluate: EvaluateConfig = EvaluateConfig()
    checkpoints: CheckpointConfig = CheckpointConfig()
    arms: dict[Name, dict[str, JsonValue]] = Field(
        default={}, description="overrides by dotted path"
    )

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        names = [stage.name for stage in self.stages]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"stage names must differ, got {min(repeated)!r} twice")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must differ, got {self.seeds}")
        used = {s for stage in self.stages for s in stage.weights} | set(self.evaluate.sources)
        refuse_corpora(self.sources, self.corpora)
        known = [*self.sources, *self.corpora]
        if unknown := used - set(known):
            kind = "sources and corpora" if self.corpora else "sources"
            raise ValueError(
                f"no source is called {min(unknown)!r}; {nearest(min(unknown), known, kind)}"
            )
        if taken := self.arms.keys() & RESERVED:
            raise ValueError(f"an arm's folder cannot be called {min(taken)!r}; rename the arm")
        first = self.stages[0]
        if first.replay and first.replay.fraction:
            raise ValueError(
                f"stage {first.name!r} is the first and has nothing to replay, "
                f"got fraction {first.replay.fraction:g}; remove its replay"
            )
        if first.grow is not None:
            raise ValueError(
                f"stage {first.name!r} is the first and has no model to grow; "
                "set the sizes under model:, or grow before a later stage"
            )
        return self

    @model_validator(mode="after")
    def _one_modality(self) -> Self:
        pictured = [n for n, s in self.sources.items() if isinstance(s, ImageSourceConfig)]
        if 0 < len(pictured) < len(self.sources):
            text = next(name for name in self.sources if name not in pictured)
            raise ValueError(
                f"source {text!r} is text and {pictured[0]!r} is pictures; one model learns one of "
                "the two, so make two recipes"
            )
        preset, objective = self.model.preset, self.train.objective
        if preset is not None and (RULES[preset].pictures is not None) != bool(pictured):
            reads = "pictures" if RULES[preset].pictures else "text"
            raise ValueError(f"preset {preset} reads {reads}, the sources are not; choose another")
        if objective is not None and (objective.kind in OF_PICTURES) != bool(pictured):
            raise ValueError(
                f"train.objective: {objective.kind} is not for these sources; remove it or choose "
                f"{' or '.join(OF_PICTURES) if pictured else 'causal or masked'}"
            )
        if pictured and preset is None and objective is None:
            raise ValueError(
                "train.objective: missing; a loaded vision model draws patches or tells classes, "
                "so set {kind: masked_patches} or {kind: classification}"
            )
        if not pictured and "sequence_length" not in self.train.model_fields_set:
            raise ValueError("train.sequence_length: missing; text needs the tokens of a window")
        if pictured and (extra := _only_for_text(self)):
            raise ValueError(f"{extra} is for text; remove it, the sources are pictures")
        if self.train.augment is not None and not pictured:
            raise ValueError("train.augment is for pictures; remove it, the sources are text")
        return self

    @model_validator(mode="after")
    def _classes_are_mixed_by_cutmix_alone(self) -> Self:
        share = 0.0 if self.train.augment is None else self.train.augment.cutmix
        if share > 0 and isinstance(self.picture_objective, MaskedPatchesConfig):
            raise ValueError(
                f"train.augment.cutmix: mixes classes, got {share:g} where patches are drawn; "
                "remove it"
            )
        return self

    @model_validator(mode="after")
    def _a_file_of_weights_tells_classes(self) -> Self:
        source = self.model.from_ or ""
        if source.endswith(".safetensors") and self.picture_objective.kind == "masked_patches":
            raise ValueError(
                f"model.from: {source} is a ResNet-50, which masked_patches cannot train; set "
                "train.objective: {kind: classification}, or give a ViT-MAE folder"
            )
        return self

    @model_validator(mode="after")
    def _objective_fits_the_preset(self) -> Self:
        preset = self.model.preset
        if preset is not None and not self.of_pictures:
            self.train.objective_of(RULES[preset].masked, f"preset {preset}")
        return self

    @property
    def of_pictures(self) -> bool:
        """Whether the model learns pictures instead of text."""
        return any(isinstance(source, ImageSourceConfig) for source in self.sources.values())

    @property
    def picture_objective(self) -> MaskedPatchesConfig | ClassificationConfig:
        """The objective asked for, else the one that the preset is made for."""
        if isinstance(self.train.objective, MaskedPatchesConfig | ClassificationConfig):
            return self.train.objective
        return MaskedPatchesConfig() if self.model.preset == "vit_mae" else ClassificationConfig()

    @property
    def hides_tokens(self) -> bool:
        """Whether an arm is known to have the masked objective before its model is loaded."""
        if self.of_pictures:
            return False
        if self.arms:
            return any(self.resolve(arm).hides_tokens for arm in self.arms)
        if (preset := self.model.preset) is not None:
            return RULES[preset].masked
        return self.train.objective is not None and self.train.objective.kind == "masked"

    @property
    def tokenizer_config(self) -> TokenizerConfig:
        """The tokenizer asked for, else the model's own, else one trained on the first stage."""
        if self.tokenizer is None and self.model.from_ is not None:
            return TokenizerConfig(folder=self.model.from_)
        return self.tokenizer or TokenizerConfig()

    def schedule_of(self, index: int) -> Any:
        """The schedule of stage ``index``: its own or the recipe's."""
        return self.stages[index].schedule or self.schedule

    def replay_of(self, index: int) -> Replay:
        """The replay of stage ``index``; a first stage has nothing to replay."""
        return (self.stages[index].replay or self.replay) if index else Replay()

    @property
    def streams(self) -> list[str]:
        """The sources that are learnt, in the order in which stages first read them."""
        return list(dict.fromkeys(s for stage in self.stages for s in stage.weights))

    @property
    def measured(self) -> list[str]:
        """The sources that every evaluation measures: the streams and the eval-only ones."""
        return list(dict.fromkeys([*self.streams, *self.evaluate.sources]))

    def to_data(self) -> dict[str, Any]:
        """Plain data with every default written out, as ``recipe.yaml`` and manifests hold it."""
        return self.model_dump(mode="json", by_alias=True)

    def to_yaml(self) -> str:
        """The resolved recipe, ``name`` first."""
        return yaml.safe_dump(self.to_data(), sort_keys=False, allow_unicode=True, width=100)

    def resolve(self, arm: str) -> "Recipe":
        """The recipe of one arm: its overrides applied, no arms left.

        Raises InputError, naming the arm, when it changes what all arms share or is no recipe.
        """
        data = {**self.to_data(), "arms": {}}
        for path, value in self.arms.get(arm, {}).items():
            if (shared := path.partition(".")[0]) in SHARED:
                raise InputError(
                    f"recipe.arms.{arm}: {path} cannot differ, all arms share {shared}; "
                    "set it above the arms or make another recipe"
                )
            try:
                data = override(data, path, value)
            except InputError as error:
                raise InputError(f"recipe.arms.{arm}: {error}") from error
        resolved = decode(Recipe, data, f"recipe.arms.{arm}: recipe")
        if resolved.tokenizer_config != self.tokenizer_config:
            raise InputError(
                f"recipe.arms.{arm}: model {resolved.model.from_} would bring another tokenizer "
                "than the other arms have; set tokenizer.folder above the arms"
            )
        return resolved


def _only_for_text(recipe: Recipe) -> str | None:
    """The first setting of a recipe on pictures that only text has; None when there is none."""
    if recipe.tokenizer is not None:
        return "tokenizer"
    if recipe.corpora:
        return "corpora"
    if "sequence_length" in recipe.train.model_fields_set and recipe.train.sequence_length > 1:
        return "train.sequence_length"
    if recipe.held_out.tokens != HeldOutConfig().tokens:
        return "held_out.tokens"
    fields = TrainConfig.model_fields
    for name in ("z_loss", "mask_repeats", "separate_documents"):
        if getattr(recipe.train, name) != fields[name].default:
            return f"train.{name}"
    two_stage = (f"stages.{s.name}.two_stage" for s in recipe.stages if s.two_stage is not None)
    return next(two_stage, None)


MAIN_ARM = "main"


def decode_recipe(data: dict[str, Any], overrides: dict[str, Any] | None = None) -> Recipe:
    """Validate a recipe given as plain data, with dotted overrides; every arm is validated too."""
    for path, value in (overrides or {}).items():
        data = override(data, path, value)
    recipe = decode(Recipe, data, "recipe")
    for arm in recipe.arms:
        recipe.resolve(arm)
    return recipe


def load_corpus_recipe(path: Path, overrides: dict[str, Any] | None = None) -> CorpusRecipe:
    """The corpora of a recipe file, whole or of name, sources and corpora alone.

    Raises InputError as ``load_recipe`` does, and when there is no corpus in it.
    """
    data = _read(path)
    if data.keys() & {"model", "train", "schedule", "stages"}:
        recipe = load_recipe(path, overrides)
        data, overrides = recipe.model_dump(include=set(CorpusRecipe.model_fields)), None
    for place, value in (overrides or {}).items():
        data = override(data, place, value)
    if not data.get("corpora"):
        raise InputError(
            f"{path}: has no corpora to curate; add corpora: {{NAME: {{sources: ...}}}}"
        )
    return decode(CorpusRecipe, data, "recipe")


def _read(path: Path) -> dict[str, Any]:
    data = load_yaml(path)
    if (first := next(iter(data), "no key at all")) != "name":
        raise InputError(f"{path}: the first key must be 'name', got {first!r}")
    return data


def load_recipe(path: Path, overrides: dict[str, Any] | None = None) -> Recipe:
    """Read a recipe file; ``name`` must be its first key. Raises InputError with path and rule.

    The folder or file that ``model.from`` gives is looked for from the recipe's folder, as files
    are.
    """
    data = _read(path)
    recipe = decode_recipe(data, overrides)
    folder = path.resolve().parent / (recipe.model.from_ or "")
    if recipe.model.from_ is None or not folder.exists():
        return recipe
    return decode_recipe(recipe.to_data(), {"model.from": str(folder)})
