"""The whole recipe as one strict model: what is trained on what, in which order, in which arms."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    model_validator,
)

from evergrow.config import (
    Config,
    Name,
    Workers,
    WrongSettings,
    decode,
    nearest,
    override,
    parse_count,
    refuse_alike,
)
from evergrow.corpus.config import ChatSourceConfig, HeldOutConfig, SourceConfig
from evergrow.corpus.curate.config import CorpusConfig
from evergrow.errors import InputError
from evergrow.evals.suites.config import AskedSuite
from evergrow.images.config import ImageSourceConfig
from evergrow.models.config import RULES, ModelConfig, Preset, kind_of_preset
from evergrow.objectives.config import (
    Form,
    ObjectiveConfig,
    TrainConfig,
    kinds_of,
    resolved,
)
from evergrow.recipe.adapters import refuse_beside, refuse_growth_after
from evergrow.recipe.corpora import refuse_corpora
from evergrow.recipe.evaluate import CheckpointConfig, EvaluateConfig
from evergrow.recipe.orders import ingredients, refuse_restless, spread
from evergrow.recipe.stages import LENGTHS, Beginning, Replay, StageConfig
from evergrow.schedules import ScheduleConfig
from evergrow.stream.config import TokenizerConfig
from evergrow.strict_yaml import Raw
from evergrow.train.config import Refill

MOST_SEEDS = 1_000


def _first_seeds(value: object) -> object:
    """``3`` as 0, 1 and 2; pydantic judges lists."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return value
    number = parse_count(value)
    if not isinstance(number, int) or not 0 < number <= MOST_SEEDS:
        raise ValueError(f"expected a number of seeds from 1 to {MOST_SEEDS:,}, got {value!r}")
    return list(range(number))


Seed = Annotated[int, Field(ge=0, lt=2**63)]  # what torch's generators take, and a sign bit
Seeds = Annotated[
    list[Seed], BeforeValidator(_first_seeds, json_schema_input_type=list[Seed] | int)
]

MAIN_ARM = "main"
RESERVED = {"corpora", "data", "scores", "tokenizer"}  # folders beside the arms' own
SHARED = (
    "name",
    "seeds",
    "workers",
    "sources",
    "corpora",
    "held_out",
    "tokenizer",
    "suites",
    "arms",
)


def _kind_of_source(data: Any) -> str:
    if isinstance(data, BaseModel):
        return type(data).__name__
    if {"images", "pictures"} & set(data):
        return "ImageSourceConfig"
    of_chats = "chats" in data or data.get("installed") == "questions"
    return "ChatSourceConfig" if of_chats else "SourceConfig"


AnySource = Annotated[
    Annotated[SourceConfig, Tag("SourceConfig")]
    | Annotated[ImageSourceConfig, Tag("ImageSourceConfig")]
    | Annotated[ChatSourceConfig, Tag("ChatSourceConfig")],
    Discriminator(_kind_of_source),
]


class Recipe(Config):
    """One recipe; ``arms`` are dotted overrides of everything above them."""

    name: Name = Field(description="of the run's folder, runs/NAME")
    description: str = Field(default="", description="in words, for whoever reads it")
    seeds: Seeds = Field(default=[0], min_length=1, description="a list; 3 is short for [0, 1, 2]")
    workers: Workers | None = Field(
        default=None,
        description="arms trained side by side (1), and shards curated (as many as cores)",
    )
    sources: dict[Name, AnySource] = Field(
        min_length=1, description="what there is to read, each under a name that stages use"
    )
    corpora: dict[Name, CorpusConfig] = Field(
        default={}, description="curated sets made of sources; stages read them like sources"
    )
    held_out: HeldOutConfig = HeldOutConfig()
    tokenizer: TokenizerConfig | None = Field(
        default=None, description="default: the model's, else trained"
    )
    model: ModelConfig
    train: TrainConfig
    schedule: ScheduleConfig = Field(description="the learning rate, of stages that have no own")
    replay: Replay = Replay()
    stages: list[StageConfig] = Field(
        min_length=1, description="streams in the order in which they are learnt"
    )
    evaluate: EvaluateConfig = EvaluateConfig()
    suites: dict[Name, AskedSuite] = Field(
        default={}, description="what every release is asked, by name; nothing of the training"
    )
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
        for names in (self.arms, [stage.name for stage in self.stages], known):
            refuse_alike(names)
        if taken := {arm for arm in self.arms if arm.lower() in RESERVED}:
            raise ValueError(f"an arm's folder cannot be called {min(taken)!r}; rename the arm")
        return self

    @model_validator(mode="after")
    def _stages_begin_somewhere(self) -> Self:
        for index, stage in enumerate(self.stages):
            kind = self.begin_of(index).kind
            refuse_restless(stage, self.schedule_of(index))
            if stage.replay and stage.replay.fraction and not self.path_of(index)[:-1]:
                raise ValueError(
                    f"stage {stage.name!r} is the first on its way and has nothing to replay, "
                    f"got fraction {stage.replay.fraction:g}; remove its replay"
                )
            if stage.grow is not None and kind != "trunk":
                place = stage.from_ or ("the start" if kind == "start" else "a release")
                raise ValueError(
                    f"stage {stage.name!r} begins at {place} and has no "
                    "trunk to grow from; set the sizes under model:, or grow before a stage that "
                    "begins at another's trunk"
                )
        return self

    @model_validator(mode="after")
    def _adapters_agree(self) -> Self:
        for index, stage in enumerate(self.stages):
            begin, lora = self.begin_of(index), self.train_of(index).lora
            if lora is not None:
                refuse_beside(stage, begin, lora, self.model)
            elif self.goes_on_from_adapters(index) and isinstance(begin.of, int):
                refuse_growth_after(stage, self.stages[begin.of])
        return self

    @model_validator(mode="after")
    def _forms_agree(self) -> Self:
        if "pictures" in self.forms and len(self.forms) > 1:
            pictured = self._first_of("pictures")
            text = next(n for n, s in self.sources.items() if s.form != "pictures")
            raise ValueError(
                f"source {text!r} is text and {pictured!r} is pictures; one model learns one of "
                "the two, so make two recipes"
            )
        for index, stage in enumerate(self.stages):
            found = {self.form_of(name) for name in stage.weights}
            if len(found) > 1:
                raise ValueError(
                    f"stage {stage.name!r} mixes {' and '.join(sorted(found))}, which are read "
                    "otherwise; make two stages, or replay one of them"
                )
            word = LENGTHS[self.form_at(index)]
            if getattr(stage, word) is None:
                raise ValueError(
                    f"stage {stage.name!r} reads {self.form_at(index)}; give its length as {word}"
                )
            train = self.train_of(index)
            if self.of_pictures and (extra := _only_for_text(self, train)):
                raise ValueError(f"{extra} is for text; remove it, the sources are pictures")
            if not self.of_pictures and train.augment is not None:
                raise ValueError("train.augment is for pictures; remove it, the sources are text")
            if not self.of_pictures and train.sequence_length == 1:
                raise ValueError(
                    "train.sequence_length: missing, or 1; text needs the tokens of a window"
                )
            self._refuse_objective(index, train)
        self._refuse_other_heads()
        return self

    def _refuse_other_heads(self) -> None:
        """Raise ValueError for stages of pictures that learn what another head is for."""
        if not self.of_pictures:
            return
        asked = [self.train_of(index).objective for index in range(len(self.stages))]
        first = asked[0] or self._resolved(0, self.train_of(0), self.model.preset or "vit_mae")
        for stage, objective in zip(self.stages, asked, strict=True):
            if objective is not None and objective.kind != first.kind:
                raise ValueError(
                    f"stage {stage.name!r} learns {objective.kind} after {first.kind}, which needs "
                    "another head; make a recipe of its own with model: {from: that release}"
                )

    def _refuse_objective(self, index: int, train: TrainConfig) -> None:
        """Raise ValueError when the objective of a stage fits neither its data nor its model."""
        form, preset = self.form_at(index), self.model.preset
        if preset is not None:
            objective = self._resolved(index, train, preset)
        elif train.objective is None and form == "pictures":
            raise ValueError(
                "train.objective: missing; a loaded vision model draws patches or tells classes, "
                "so set {kind: masked_patches}, {kind: classification} or {kind: findings}"
            )
        else:
            objective = train.objective
        if objective is None:
            return
        if objective.form != form:
            raise ValueError(
                f"{self._place(index)}train.objective: {objective.kind} is not for these sources, "
                f"which are {form}; remove it or choose {' or '.join(kinds_of(form))}"
            )
        share = 0.0 if train.augment is None else train.augment.cutmix
        if share > 0 and objective.kind == "masked_patches":
            raise ValueError(
                f"train.augment.cutmix: mixes classes, got {share:g} where patches are drawn; "
                "remove it"
            )
        if (self.model.from_ or "").endswith(".safetensors") and "classes" not in objective.trains:
            raise ValueError(
                f"model.from: {self.model.from_} is a ResNet-50, which {objective.kind} cannot "
                "train; set train.objective: {kind: classification}, or give a ViT-MAE folder"
            )

    def _resolved(self, index: int, train: TrainConfig, preset: Preset) -> ObjectiveConfig:
        form = self.form_at(index)
        try:
            return resolved(train, form, kind_of_preset(preset), f"preset {preset}")
        except ValueError as error:
            raise ValueError(f"{self._place(index)}{error}") from error

    def _place(self, index: int) -> str:
        """Where the settings of a stage's training stand that are not the recipe's."""
        return f"stages[{index}]." if "objective" in self.stages[index].train else ""

    @property
    def forms(self) -> set[str]:
        """How the data of the sources lie on disk; a corpus is of tokens."""
        return {source.form for source in self.sources.values()}

    @property
    def of_pictures(self) -> bool:
        """Whether the model learns pictures instead of text."""
        return "pictures" in self.forms

    def form_of(self, name: str) -> Form:
        """How the data of a source or corpus lie on disk."""
        return self.sources[name].form if name in self.sources else "tokens"

    def form_at(self, index: int) -> Form:
        """The form of what stage ``index`` reads."""
        return self.form_of(next(iter(self.stages[index].weights)))

    def _first_of(self, form: str) -> str:
        return next(name for name, source in self.sources.items() if source.form == form)

    def train_of(self, index: int) -> TrainConfig:
        """The settings of training of stage ``index``: the recipe's, and what it says itself.

        Raises ValueError for a stage's setting that there is not.
        """
        changes = self.stages[index].train
        if not changes:
            return self.train
        data = _merged(self.train.model_dump(mode="json"), changes)
        try:
            return decode(TrainConfig, data, f"stages[{index}].train")
        except InputError as error:
            raise ValueError(str(error)) from error

    def begin_of(self, index: int) -> Beginning:
        """Where stage ``index`` begins; raises ValueError for one that comes later, or itself."""
        wanted, places = self.stages[index].from_, {s.name: i for i, s in enumerate(self.stages)}
        if wanted == "start" or (wanted is None and index == 0):
            return Beginning("start")
        if wanted is None:
            return self._end_of(index - 1)
        name, dot, part = wanted.rpartition(".")
        is_release = bool(dot) and part == "release" and name in places
        if not is_release and wanted not in places:
            return Beginning("model", wanted)
        place = places[name if is_release else wanted]
        if place >= index:
            raise ValueError(
                f"stage {self.stages[index].name!r} begins at {wanted}, which comes "
                f"{'later' if place > index else 'to be only by itself'}; name a stage before it"
            )
        return Beginning("release", place) if is_release else self._end_of(place)

    def _end_of(self, index: int) -> Beginning:
        """What goes on from stage ``index``: its trunk; of several orders, of which each came to
        rest at rate zero, the release that they made."""
        return Beginning("trunk" if self.stages[index].orders is None else "release", index)

    def ingredients_of(self, index: int) -> list[int]:
        """The places of the orders that stage ``index`` is made of, once the recipe is resolved."""
        return ingredients(self.stages, index)

    def soup_of(self, index: int) -> int | None:
        """The place of the stage that ``index`` is an ingredient of."""
        later = range(index + 1, len(self.stages))
        return next((place for place in later if index in self.ingredients_of(place)), None)

    def keyed_name(self, index: int) -> str:
        """The name that a stage draws and is known by: all orders are the stage they make."""
        made_of = self.soup_of(index)
        return self.stages[index if made_of is None else made_of].name

    def path_of(self, index: int) -> list[int]:
        """The places of the stages on the way from the start to ``index``, itself the last."""
        begin = self.begin_of(index)
        return [*(self.path_of(begin.of) if isinstance(begin.of, int) else []), index]

    def has_fresh_moments(self, index: int) -> bool:
        """Whether stage ``index`` begins with trained weights and an empty optimiser."""
        kind = self.begin_of(index).kind
        is_loaded = kind in ("release", "model") or (kind == "start" and bool(self.model.from_))
        is_loaded = is_loaded or (kind == "trunk" and not self.has_same_optimizer(index))
        is_filled = isinstance(self.stages[index].optimizer_state, Refill)
        return is_loaded and not is_filled and not self.takes_moments(index)

    def goes_on_from_adapters(self, index: int) -> bool:
        """Whether stage ``index`` goes on from the trunk of a stage that trained adapters."""
        begin = self.begin_of(index)
        if begin.kind != "trunk" or not isinstance(begin.of, int):
            return False
        return self.train_of(begin.of).lora is not None

    def has_same_optimizer(self, index: int) -> bool:
        """Whether a stage that goes on from a trunk trains what was trained there.

        Adapters are new in every stage, and merged at its end.
        """
        return self.train_of(index).lora is None and not self.goes_on_from_adapters(index)

    def takes_moments(self, index: int) -> bool:
        """Whether stage ``index`` begins with the moments that the start model brings."""
        keeps = self.stages[index].optimizer_state == "keep"
        return self.begin_of(index).kind == "start" and bool(self.model.optimizer) and keeps

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
        """The replay of stage ``index``; the first on its way has nothing to replay."""
        old = self.path_of(index)[:-1]
        return (self.stages[index].replay or self.replay) if old else Replay()

    @property
    def streams(self) -> list[str]:
        """The sources that are learnt, in the order in which stages first read them."""
        return list(dict.fromkeys(s for stage in self.stages for s in stage.weights))

    @property
    def measured(self) -> list[str]:
        """The sources that every evaluation measures: the streams and the eval-only ones."""
        return list(dict.fromkeys([*self.streams, *self.evaluate.sources]))

    def to_data(self) -> Raw:
        """Plain data with every default written out, as ``recipe.yaml`` and manifests hold it."""
        return self.model_dump(mode="json", by_alias=True)

    def to_yaml(self) -> str:
        """The resolved recipe, ``name`` first."""
        return yaml.safe_dump(self.to_data(), sort_keys=False, allow_unicode=True, width=100)

    def resolve(self, arm: str) -> "Recipe":
        """The recipe of one arm: its overrides applied, no arms left, several orders spread.

        Raises InputError, naming the arm, when it changes what all arms share or is no recipe.
        """
        data = {**self.to_data(), "arms": {}}
        for path, value in self.arms.get(arm, {}).items():
            if (shared := path.partition(".")[0]) in SHARED:
                reason = (
                    f"{path} cannot differ, all arms share {shared}; set it above the arms or make "
                    "another recipe"
                )
                raise WrongSettings("recipe", [(f"arms.{arm}", reason)])
            try:
                data = override(data, path, value, Recipe)
            except InputError as error:
                raise WrongSettings("recipe", [(f"arms.{arm}", str(error))]) from error
        resolved = decode(Recipe, data, f"recipe.arms.{arm}: recipe")
        other = resolved.tokenizer_config != self.tokenizer_config
        if other and not self.of_pictures:
            reason = (
                f"model {resolved.model.from_} would bring another tokenizer than the other arms "
                "have; set tokenizer.folder above the arms"
            )
            raise WrongSettings("recipe", [(f"arms.{arm}", reason)])
        stages = spread(resolved.stages)
        if len(stages) == len(resolved.stages):
            return resolved
        spread_out = {**data, "stages": [s.model_dump(mode="json", by_alias=True) for s in stages]}
        return decode(Recipe, spread_out, "recipe")


def _merged(settings: Raw, changes: Mapping[str, Any]) -> Raw:
    """``settings`` with ``changes``; those of another kind replace what was said of the old one."""
    found = dict(settings)
    for key, value in changes.items():
        old = found.get(key)
        if not isinstance(old, dict) or not isinstance(value, dict):
            found[key] = value
            continue
        is_other = value.get("kind", old.get("kind")) != old.get("kind")
        found[key] = value if is_other else _merged(old, value)
    return found


def _only_for_text(recipe: Recipe, train: TrainConfig) -> str | None:
    """The first setting of a recipe on pictures that only text has; None when there is none."""
    if recipe.tokenizer is not None:
        return "tokenizer"
    if recipe.corpora:
        return "corpora"
    if recipe.suites:
        return "suites"
    if train.sequence_length > 1:
        return "train.sequence_length"
    if recipe.held_out.tokens != HeldOutConfig().tokens:
        return "held_out.tokens"
    fields = TrainConfig.model_fields
    for name in ("z_loss", "mask_repeats", "separate_documents"):
        if getattr(train, name) != fields[name].default:
            return f"train.{name}"
    two_stage = (f"stages.{s.name}.two_stage" for s in recipe.stages if s.two_stage is not None)
    return next(two_stage, None)
