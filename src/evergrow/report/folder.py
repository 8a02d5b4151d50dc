"""A run folder read into small records: arms, their seeds, steps, evaluations, samples, data.

Reads files only. Keys that this page does not show are ignored.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from evergrow.config import Record, damage
from evergrow.disk import read_object
from evergrow.errors import InputError
from evergrow.images.records import Audit
from evergrow.lineage import Measured
from evergrow.objectives.lines import Probed, Shown
from evergrow.run import FORMAT, Manifest, StageRecord, read_manifest, refuse_newer
from evergrow.scores.store import losses, read_scores
from evergrow.stage.digest import Digest, read_digest
from evergrow.stage.records import Evaluation, read_lines, refuse_changed_records
from evergrow.stage.summary import ArmSummary, Summary
from evergrow.strict_yaml import load_yaml

WAY_OUT = "run the recipe again"


class Part(Record):
    """Size of the training or the held-out part of a source."""

    num_pictures: int = 0
    num_examples: int = 0
    num_documents: int = 0
    num_tokens: int = 0
    num_bytes: int = 0


class Unreadable(Record):
    """A document or picture that could not be read: byte offset or row, and why."""

    path: str
    offset: int | None = None
    reason: str


class Data(Part):
    """A prepared source: the training part, the held-out part and what was left out."""

    form: str

    train: Part | None = None  # of pictures; the whole of text is the training part
    held_out: Part
    in_others: int = 0  # documents of text that another source holds
    num_dropped: int = 0  # pictures that another one repeats
    quarantine: list[Unreadable] = []


class GrownAxis(Record):
    """One axis of a growth, and the plan's verdict on it."""

    axis: str
    before: int
    after: int
    operator: str
    exactness: str
    reason: str


class Size(Record):
    """What a model costs."""

    num_parameters: int
    flops_per_token: int


class Cost(Record):
    """The model before and after a growth."""

    source: Size
    grown: Size


class Birth(Record):
    """Bits per byte of one source right before and right after a growth."""

    before: float
    after: float


class Apart(Record):
    """Two models' outputs on the same input: largest difference, nats, share of equal choices."""

    maximum: float
    kl: float | None = None
    top1_agreement: float | None = None


class Noise(Record):
    """How far the smaller model's own outputs move by rounding."""

    float32: Apart


class Ratio(Record):
    """Grown over source; None where that is no number."""

    ratio: float | None = None


class Symmetry(Record):
    """One kind of weight matrix after a growth: units that repeat, now and for ever."""

    kind: str
    shape: tuple[int, int]
    duplicate_rows: int
    duplicate_columns: int
    locked_rows: int
    locked_columns: int


class Verification(Record):
    """What was measured on random input when the model grew."""

    difference: Apart
    noise: Noise
    gradient_norm: Ratio
    symmetry: list[Symmetry] = []


class Growth(Record):
    """What growth.json says of the growth before a stage."""

    exactness: str
    axes: list[GrownAxis]
    cost: Cost
    verification: Verification
    loss: dict[str, Birth] = {}


@dataclass(frozen=True)
class Span:
    """A stage between its first and last trunk token; ``reached`` is how far the trunk has come."""

    stage: StageRecord
    start: int
    end: int
    reached: int


Moment = str | None  # a stage whose release is meant; None: the model before the first


@dataclass(frozen=True)
class Run:
    """One arm with one seed; ``path`` is relative to the run folder.

    ``losses``, ``shown`` and ``probes`` are the scores of its releases.
    """

    path: str
    manifest: Manifest
    digest: Digest
    evaluations: list[Evaluation]
    losses: dict[Moment, dict[str, Measured]]
    shown: dict[Moment, list[Shown]]
    probes: dict[Moment, list[Probed]]
    growths: dict[str, Growth]  # by the stage that begins with it

    @cached_property
    def spans(self) -> list[Span]:
        """Every stage of the plan along its trunk."""
        return [self._span(stage) for stage in self.manifest.stages]

    @cached_property
    def way(self) -> list[Span]:
        """The stages on the way to the last one."""
        return [self.spans[place] for place in self.manifest.stages[-1].path]

    def trained(self, stage: StageRecord) -> StageRecord:
        """Whose lines tell of a stage: its own; of one of several orders those of the first."""
        return self.manifest.stages[stage.ingredients[0]] if stage.ingredients else stage

    def _span(self, stage: StageRecord) -> Span:
        bins = self.digest.leg(self.trained(stage).name, "trunk").bins
        reached = stage.clock_at(bins[-1].step) if bins else stage.clock
        return Span(stage, stage.clock, stage.clock_at(stage.last_step), reached)


@dataclass(frozen=True)
class Arm:
    """One way of training, with a run for each seed; ``color`` is its place in the palette."""

    name: str
    color: int
    runs: list[Run]
    scores: ArmSummary | None

    @property
    def first(self) -> Run:
        """The run that stands for the arm where only one can be shown."""
        return self.runs[0]

    @property
    def stages(self) -> list[StageRecord]:
        """The arm's plan, the orders that a stage is made of among them."""
        return self.first.manifest.stages

    @property
    def plan(self) -> list[StageRecord]:
        """The same as the recipe has it: a stage of several orders stands once."""
        orders = {place for stage in self.stages for place in stage.ingredients}
        return [stage for place, stage in enumerate(self.stages) if place not in orders]


@dataclass(frozen=True)
class RunFolder:
    """Everything the page shows."""

    name: str
    description: str
    status: str
    streams: list[str]
    arms: list[Arm]
    data: dict[str, Data]
    audit: Audit | None
    root: Path
    begins_with_a_model: bool  # not with random weights

    @property
    def unit(self) -> str:
        """What a loss is measured in, in the last stage."""
        return self.arms[0].stages[-1].unit

    @property
    def counted(self) -> str:
        """What the clock counts: tokens, or pictures."""
        return self.arms[0].stages[-1].counted

    @property
    def num_seeds(self) -> int:
        """The largest number of seeds that an arm has."""
        return max(len(arm.runs) for arm in self.arms)

    @cached_property
    def learnt(self) -> list[str]:
        """The sources that any stage learns from, in order."""
        return list(dict.fromkeys(s for arm in self.arms for st in arm.stages for s in st.mixture))

    @cached_property
    def sources(self) -> list[str]:
        """All sources: those learnt, then those that are only measured."""
        runs = [run for arm in self.arms for run in arm.runs]
        measured = dict.fromkeys(
            source for run in runs for found in run.losses.values() for source in found
        )
        return list(dict.fromkeys([*self.learnt, *measured]))


RecordType = TypeVar("RecordType", bound=BaseModel)


def read_run_folder(path: Path) -> RunFolder:
    """Read ``runs/<name>/``. Raises InputError: no run in it, a damaged file, a newer format."""
    found = _find_runs(path)
    if not found:
        raise InputError(f"{path}: holds no run; give a folder that 'evergrow run' has made")
    summary = _read_json(path / "summary.json", Summary)
    recipe = load_yaml(path / "recipe.yaml") if (path / "recipe.yaml").is_file() else {}
    wanted = [*(recipe.get("arms") or {}), *(summary.arms if summary else {}), *found]
    arms = [
        Arm(
            name=name,
            color=color,
            runs=[_read_run(folder, path) for folder in found[name]],
            scores=summary.arms.get(name) if summary else None,
        )
        for color, name in enumerate(name for name in dict.fromkeys(wanted) if name in found)
    ]
    stages = max((arm.plan for arm in arms), key=len)
    return RunFolder(
        name=summary.name if summary else path.resolve().name,
        description=str(recipe.get("description") or ""),
        status=_status(summary, arms),
        streams=[stage.name for stage in stages],
        arms=arms,
        data=_read_data(path, arms),
        audit=_read_json(path / "data" / "audit.json", Audit),
        root=path,
        begins_with_a_model=(recipe.get("model") or {}).get("from") is not None,
    )


def has_runs(path: Path) -> bool:
    """Whether the folder of a recipe holds a run."""
    return bool(_find_runs(path))


def _read_json(path: Path, kind: type[RecordType]) -> RecordType | None:
    """One JSON file of a known format, None when it is absent."""
    if not path.is_file():
        return None
    found = read_object(path, WAY_OUT, InputError)
    refuse_newer(found.get("format"), FORMAT, path)
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        raise InputError(f"{path}: {damage(error)}; {WAY_OUT}") from error


def _find_runs(path: Path) -> dict[str, list[Path]]:
    """Folders of runs by arm; an arm with several seeds holds one for each."""
    found: dict[str, list[Path]] = {}
    for folder in sorted(child for child in path.glob("*") if child.is_dir()):
        if (folder / "manifest.json").is_file():
            found[folder.name] = [folder]
        elif seeds := [file.parent for file in folder.glob("seed-*/manifest.json")]:
            found[folder.name] = sorted(seeds, key=lambda seed: (len(seed.name), seed.name))
    return found


def _read_run(folder: Path, root: Path) -> Run:
    manifest = read_manifest(folder)
    refuse_changed_records(folder, manifest)
    read = {
        stage.name: _read_json(folder / "growth" / stage.name / "growth.json", Growth)
        for stage in manifest.stages
    }
    data = [Path(used).name for used in manifest.data.values()]
    keys: dict[Moment, str] = {None: manifest.start.key}
    keys |= {stage.name: stage.key for stage in manifest.stages}
    scores = {moment: read_scores(root, key, data) for moment, key in keys.items()}
    return Run(
        path=folder.relative_to(root).as_posix(),
        manifest=manifest,
        growths={name: growth for name, growth in read.items() if growth is not None},
        digest=read_digest(folder),
        evaluations=read_lines(folder / "evals.jsonl", Evaluation),
        losses={moment: losses(found) for moment, found in scores.items() if losses(found)},
        shown={m: [line for score in found for line in score.shown] for m, found in scores.items()},
        probes={
            m: [line for score in found for line in score.probes] for m, found in scores.items()
        },
    )


def _read_data(root: Path, arms: list[Arm]) -> dict[str, Data]:
    """The prepared sources that the runs name, by source."""
    folders = {source: path for arm in arms for source, path in arm.first.manifest.data.items()}
    read = {name: _read_json(root / path / "manifest.json", Data) for name, path in folders.items()}
    return {name: data for name, data in read.items() if data is not None}


def _status(summary: Summary | None, arms: list[Arm]) -> str:
    """The recipe's state; without a summary yet, what the runs say."""
    if summary:
        return summary.status
    states = [run.manifest.status for arm in arms for run in arm.runs]
    return next((s for s in ("running", "failed", "stopped") if s in states), "done")
