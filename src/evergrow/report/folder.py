"""A run folder read into small records: arms, their seeds, steps, evaluations, samples, data.

Reads files only. Keys that this page does not show are ignored.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from evergrow.config import load_yaml
from evergrow.errors import InputError
from evergrow.run import FORMAT, Manifest, StageRecord, read_manifest, refuse_newer


class Record(BaseModel):
    """What one file or line says."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Evaluation(Record):
    """The loss on one source at one moment, and the 95 % interval from ``low`` to ``high``."""

    stage: str | None
    leg: str
    step: int
    tokens: int
    source: str
    loss: float
    low: float | None = None
    high: float | None = None
    floor: float | None = None
    accuracy: float | None = None


class Step(Record):
    """One optimiser step; ``tokens`` counts from the first weights, after the step.

    ``loss`` is None for one that is no number; such a step is skipped.
    """

    stage: str
    leg: str
    step: int
    tokens: int
    loss: float | None
    lr: float
    skipped: bool = False


class Case(Record):
    """A held-out picture under its class map: what it is, and what the model takes it for."""

    is_: str = Field(alias="is")
    told: str


class Sample(Record):
    """What a release wrote after ``prompt``; or the sheet of pictures that shows what it sees."""

    stage: str | None
    step: int
    source: str = ""
    prompt: str = ""
    text: str = ""
    picture: str | None = None
    cases: list[Case] = []
    num_right: int = 0


class Probe(Record):
    """What a simple rule tells from a model's features, or from the raw pixels."""

    stage: str | None
    source: str
    features: str
    probe: str
    accuracy: float
    low: float
    high: float


class Scores(Record):
    """An arm's measures (bits per byte, tokens); means when there are several seeds."""

    average: float | None = None
    forgetting: float | None = None
    backward_transfer: float | None = None
    forward_transfer: float | None = None
    transient_peak: float | None = None
    num_tokens: float | None = None
    num_tokens_total: float | None = None
    flops: float | None = None
    flops_total: float | None = None
    tokens_per_second: float | None = None
    seeds: dict[str, "Scores"] = {}
    intervals: dict[str, tuple[float, float]] = {}


class Summary(Record):
    """What summary.json says of the whole recipe."""

    name: str
    status: str
    streams: list[str] = []
    arms: dict[str, Scores] = {}


class Part(Record):
    """Size of the training or the held-out part of a source."""

    num_pictures: int = 0
    num_documents: int = 0
    num_tokens: int = 0
    num_bytes: int = 0


class Dropped(Record):
    """What was taken out of a source before it was split."""

    exact_duplicates: int = 0
    in_earlier_source: int = 0
    repeated_lines: int = 0
    repeated_line_bytes: int = 0
    empty: int = 0


class Unreadable(Record):
    """A document or picture that could not be read: byte offset or row, and why."""

    path: str
    offset: int | None = None
    reason: str


class Pair(Record):
    """Two pictures that are alike, and the parts they stand in."""

    first: str
    second: str
    parts: str
    distance: int | None = None


class Repeats(Record):
    """Pairs of pictures that are equal, or nearly so."""

    num_pairs: int
    across: int
    listed: list[Pair]
    bits: int | None = None
    label_conflicts: list[Pair] = []


class Owners(Record):
    """One source in the audit: pictures by part, patients and labels."""

    train: int
    held_out: int
    patients: int
    labels: dict[str, int]
    burned_in_annotation: dict[str, int] = {}
    on_other_side: int = 0  # patients who are not where their hash puts them


class Audit(Record):
    """What the audit of pictures found before training."""

    num_pictures: int
    split_by: str
    exact: Repeats
    near: Repeats
    patients_across: list[str]
    by_source: dict[str, Owners]


class Data(Part):
    """A tokenised source: the training part, the held-out part and what was left out."""

    train: Part | None = None  # of pictures; the whole of text is the training part
    held_out: Part
    dropped: Dropped = Dropped()
    num_dropped: int = 0  # pictures that another one repeats
    quarantine: list[Unreadable]


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
    """One kind of weight matrix after a growth: units that repeat, and rank."""

    kind: str
    shape: tuple[int, int]
    duplicate_rows: int
    duplicate_columns: int
    rank: int | None = None
    effective_rank: float | None = None
    source_rank: int | None = None


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


@dataclass(frozen=True)
class Run:
    """One arm with one seed; ``path`` is relative to the run folder."""

    path: str
    manifest: Manifest
    steps: list[Step]
    evaluations: list[Evaluation]
    samples: list[Sample]
    probes: list[Probe]
    growths: dict[str, Growth]  # by the stage that begins with it

    @cached_property
    def spans(self) -> list[Span]:
        """Every stage of the plan along the trunk."""
        return [self._span(stage) for stage in self.manifest.stages]

    @cached_property
    def tokens_per_step(self) -> int:
        """Tokens of one optimiser step, the same in all stages."""
        return self.manifest.stages[0].tokens // self.manifest.stages[0].num_steps

    def leg(self, stage: str, leg: str) -> list[Step]:
        """The steps of one leg ("trunk" or "anneal") of a stage, in order."""
        return self._legs.get((stage, leg), [])

    @cached_property
    def _legs(self) -> dict[tuple[str, str], list[Step]]:
        legs: dict[tuple[str, str], list[Step]] = {}
        for step in self.steps:
            legs.setdefault((step.stage, step.leg), []).append(step)
        return legs

    def _span(self, stage: StageRecord) -> Span:
        start = stage.first_step * self.tokens_per_step
        end = (stage.first_step + stage.num_steps) * self.tokens_per_step
        steps = self.leg(stage.name, "trunk")
        return Span(stage, start, end, min(end, steps[-1].tokens) if steps else start)


@dataclass(frozen=True)
class Arm:
    """One way of training, with a run for each seed; ``color`` is its place in the palette."""

    name: str
    color: int
    runs: list[Run]
    scores: Scores | None

    @property
    def first(self) -> Run:
        """The run that stands for the arm where only one can be shown."""
        return self.runs[0]

    @property
    def stages(self) -> list[StageRecord]:
        """The arm's plan."""
        return self.first.manifest.stages


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

    @property
    def unit(self) -> str:
        """What a loss is measured in."""
        return str(self.arms[0].first.manifest.model.get("unit", "bits per byte"))

    @property
    def counted(self) -> str:
        """What the clock counts: tokens, or pictures."""
        return str(self.arms[0].first.manifest.model.get("counted", "tokens"))

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
        measured = dict.fromkeys(row.source for run in runs for row in run.evaluations)
        return list(dict.fromkeys([*self.learnt, *measured]))


RecordType = TypeVar("RecordType", bound=Record)


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
    stages = max((arm.stages for arm in arms), key=len)
    return RunFolder(
        name=summary.name if summary else path.resolve().name,
        description=str(recipe.get("description") or ""),
        status=_status(summary, arms),
        streams=summary.streams if summary else [stage.name for stage in stages],
        arms=arms,
        data=_read_data(path, arms),
        audit=_read_json(path / "data" / "audit.json", Audit),
        root=path,
    )


def has_runs(path: Path) -> bool:
    """Whether the folder of a recipe holds a run."""
    return bool(_find_runs(path))


def read_lines(path: Path, kind: type[RecordType]) -> list[RecordType]:
    """All lines of a JSONL file, none when it is absent; an unfinished last line is left out."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    try:
        rows = TypeAdapter(list[kind])  # pyright: ignore[reportInvalidTypeForm]
        return rows.validate_json(f"[{','.join(lines)}]")
    except ValidationError as error:
        raise InputError(f"{path}: {_damage(error)}; run the recipe again") from error


def _read_json(path: Path, kind: type[RecordType]) -> RecordType | None:
    """One JSON file of a known format, None when it is absent."""
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    try:
        refuse_newer(json.loads(text).get("format"), FORMAT, path)
        return kind.model_validate_json(text)
    except (json.JSONDecodeError, ValidationError) as error:
        raise InputError(f"{path}: {_damage(error)}; run the recipe again") from error


def _damage(error: ValidationError | json.JSONDecodeError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"damaged: {error}"
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"damaged at {place or 'its start'}: {first['msg']}"


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
    read = {
        stage.name: _read_json(folder / "growth" / stage.name / "growth.json", Growth)
        for stage in manifest.stages
    }
    return Run(
        path=folder.relative_to(root).as_posix(),
        manifest=manifest,
        growths={name: growth for name, growth in read.items() if growth is not None},
        steps=read_lines(folder / "metrics.jsonl", Step),
        evaluations=read_lines(folder / "evals.jsonl", Evaluation),
        samples=read_lines(folder / "samples.jsonl", Sample),
        probes=read_lines(folder / "probes.jsonl", Probe),
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
