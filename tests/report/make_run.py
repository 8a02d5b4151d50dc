"""Writes a made-up run folder in the real formats: two schedules, with and without replay.

Its stages are a trunk, or a tree where the plot says from where they begin.

The losses follow simple decay laws with noise; they look like a real run and mean nothing.
"""

import copy
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evergrow.lineage import Measured
from evergrow.objectives.lines import Shown
from evergrow.run import Begin, Ledger, Manifest, StageRecord
from evergrow.schedules import Cosine, Infinite, StageSchedule, plan_stage, rate
from evergrow.scores.store import Score, path_of, write_score
from evergrow.stage.changes import Change, Moment, change, mean_changes
from evergrow.stage.summary import Summary

STREAMS = ("english", "python", "cpp")
ARMS = ("infinite", "cosine", "infinite-replay", "cosine-replay")
BATCH = 512  # tokens a step
STEPS = 350  # a stage
PEAK, FLOOR = 5e-3, 5e-4
SCHEDULES = {
    "infinite": Infinite(peak_lr=PEAK, constant=0.55, floor=0.1, warmup=0.02),
    "cosine": Cosine(peak_lr=PEAK, floor=0.1, warmup=0.02),
}
BEST = {"english": 2.9, "python": 2.35, "cpp": 2.05}  # bits per byte
UNTRAINED = {"english": 4.3, "python": 4.3, "cpp": 4.5}
UNIT = "bits per byte"
PROMPTS = {"english": "The function ", "python": "import ", "cpp": "#include "}
TEXTS = {
    "english": "returns the number of values that are in the given array and the name of the file",
    "python": "self, value):\n    if not self._value:\n        return None\n    for item in self:",
    "cpp": "const at::Tensor & self) {\n  TORCH_CHECK(self.dim() == 2);\n  return std::move(x);\n}",
}
Line = dict[str, Any]


@dataclass(frozen=True)
class Plot:
    """What shall have happened in a run folder.

    ``progress`` is the part of the plan that was carried out; ``start`` names an imported model,
    which knows English; ``error`` belongs to the last arm. ``origins`` are the stages that do not
    go on with the trunk before them: what each begins at, as ``from:`` says it. What is
    ``only_measured`` was known before, and rises with every stage.
    """

    arms: tuple[str, ...] = ARMS
    streams: tuple[str, ...] = STREAMS
    num_seeds: int = 1
    status: str = "done"
    error: str | None = None
    progress: float = 1.0
    samples: bool = True
    start: str | None = None
    origins: Mapping[str, str] = field(default_factory=dict)
    only_measured: tuple[str, ...] = ()


@dataclass
class Model:
    """Bits per byte of each stream, pulled down by what is learnt and up by what is not."""

    loss: dict[str, float]
    shift: dict[str, float]

    def learn(self, stream: str, old: tuple[str, ...], replay: float, lr: float) -> None:
        """One step on ``stream``, with a share of the old ones."""
        speed = 0.006 + 2.2 * lr
        for name, value in self.loss.items():
            floor = BEST[name] + self.shift[name] + 22 * max(0.0, lr - FLOOR)
            if name == stream:
                self.loss[name] += speed * (floor - value)
            elif name in old and replay:
                self.loss[name] += 0.5 * speed * (floor + 0.08 - value)
            elif name in old:
                self.loss[name] += 4.2 * lr * (floor + 0.78 - value)
            else:
                self.loss[name] += 0.15 * speed * (3.55 - value)


class End(NamedTuple):
    """What a stage leaves behind: the models of its trunk and its release, and its schedule."""

    trunk: Model
    release: Model
    config: Cosine | Infinite
    plan: StageSchedule


@dataclass
class Life:
    """One arm with one seed while it is made up: its lines, and its scores by release key."""

    arm: str
    seed: int
    plot: Plot
    model: Model
    noise: list[float]
    metrics: list[Line] = field(default_factory=list)
    evals: list[Line] = field(default_factory=list)
    losses: dict[str, list[Measured]] = field(default_factory=dict)
    shown: dict[str, list[Shown]] = field(default_factory=dict)
    stages: list[StageRecord] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)

    @property
    def schedule(self) -> str:
        return self.arm.removesuffix("-replay")

    @property
    def source(self) -> str:
        return self.plot.start or "olmo2 preset"

    @property
    def start_key(self) -> str:
        return f"start-{self.seed}"

    def live(self) -> None:
        """Go through the stages as far as the plot says."""
        self.measure(self.start_key, self.model)
        budget = round(self.plot.progress * STEPS * len(self.plot.streams))
        for number in range(len(self.plot.streams)):
            steps = max(0, min(STEPS, budget - number * STEPS))
            begin = self.begin_of(number)
            config, previous, model = SCHEDULES[self.schedule], None, self.model
            if begin.stage is not None:
                end = self.ends[begin.stage]
                previous = (end.config, end.plan) if begin.kind == "trunk" else None
                model = end.trunk if begin.kind == "trunk" else end.release
            record = self.record(number, begin, steps)
            plan = plan_stage(config, record.clock, STEPS * BATCH, BATCH, previous)
            record = record.model_copy(update=self.rates(record, plan))
            model = copy.deepcopy(model)
            self.stages.append(record)
            self.ends.append(End(model, self.train(record, plan, model, steps), config, plan))

    def begin_of(self, number: int) -> Begin:
        """Where the plot lets a stage begin."""
        wanted = self.plot.origins.get(self.plot.streams[number])
        if wanted == "start" or (wanted is None and number == 0):
            return Begin(kind="start")
        if wanted is None:
            return Begin(kind="trunk", stage=number - 1)
        name, _, release = wanted.partition(".")
        place = self.plot.streams.index(name)
        return Begin(kind="release" if release else "trunk", stage=place)

    def train(self, record: StageRecord, plan: StageSchedule, trunk: Model, steps: int) -> Model:
        """The trunk, and the release when the stage comes to its end; returns that one's model."""
        first, branch = record.first_step, trunk
        for step in range(first + 1, first + steps + 1):
            if (step - first) % 25 == 1:
                self.look(record, step - 1, trunk)
            if plan.fork == (step - 1) * BATCH:
                branch = copy.deepcopy(trunk)
            skipped = self.arm == "cosine" and step == 470
            self.step(record, "trunk", step, trunk, rate(plan.trunk, step * BATCH), skipped)
        if steps < STEPS:
            return branch
        if plan.fork is not None and plan.release is not None:
            for step in range(plan.fork // BATCH + 1, first + STEPS + 1):
                self.step(record, "anneal", step, branch, rate(plan.release, step * BATCH), False)
        self.look(record, first + STEPS, trunk)
        self.measure(record.key, branch)
        self.shown[record.key] = [
            Shown(source=source, prompt=PROMPTS[source], text=TEXTS[record.name])
            for source in self.plot.streams
        ]
        return branch

    def step(
        self, record: StageRecord, leg: str, step: int, model: Model, lr: float, skipped: bool
    ) -> None:
        """Learn one batch and write its line."""
        stream = record.name
        old = tuple(self.plot.streams[place] for place in record.path[:-1])
        model.learn(stream, old, float(str(record.replay["fraction"])), lr)
        loss = 1.75 * model.loss[stream] + 0.22 * self.noise.pop() + (6.0 if skipped else 0.0)
        place = {"stage": stream, "leg": leg, "step": step, "tokens": step * BATCH}
        facts = {"loss": loss, "z_loss": 1e-3, "grad_norm": 1.1, "lr": lr, "skipped": skipped}
        self.metrics.append({**place, **facts})

    def look(self, record: StageRecord, step: int, model: Model) -> None:
        """Write the loss on a part of every stream, inside a stage."""
        place = {"stage": record.name, "leg": "trunk", "step": step, "tokens": step * BATCH}
        self.evals += [{**place, **line.model_dump()} for line in self.losses_of(model, 0.012)]

    def measure(self, key: str, model: Model) -> None:
        """Score a release on all of every stream, and on what is only measured."""
        known = [
            scored(name, 2.277 + 0.4235 * len(self.losses)) for name in self.plot.only_measured
        ]
        self.losses[key] = [*self.losses_of(model, 0.004), *known]

    def losses_of(self, model: Model, blur: float) -> list[Measured]:
        found = []
        for source in self.plot.streams:
            value = model.loss[source] + blur * self.noise.pop()
            counts = {"num_bytes": 80_000, "num_documents": 40}
            line = {"loss": value, "low": value - 0.05, "high": value + 0.06, "counts": counts}
            found.append(Measured.model_validate({"source": source, "unit": UNIT, **line}))
        return found

    def record(self, number: int, begin: Begin, steps: int) -> StageRecord:
        """The stage as the manifest holds it; the first is shared with the arm without replay."""
        stream = self.plot.streams[number]
        parent = None if begin.stage is None else self.stages[begin.stage]
        replay = 0.25 if self.arm.endswith("-replay") and parent else 0.0
        shared = self.arm.endswith("-replay") and not parent and self.schedule in self.plot.arms
        up = "../.." if self.plot.num_seeds > 1 else ".."
        return StageRecord(
            name=stream,
            key=f"{self.schedule}-{number}-{replay}-{self.seed}",
            begin=begin,
            path=[*(parent.path if parent else []), number],
            status="done" if steps == STEPS else "training" if steps else "pending",
            first_step=parent.last_step if parent else 0,
            num_steps=STEPS,
            fork_step=None,
            clock=parent.clock_at(parent.last_step) if parent else 0,
            per_step=BATCH,
            counted="tokens",
            unit=UNIT,
            objective="causal",
            mixture={stream: 1.0},
            replay={"fraction": replay, "order": "seen"},
            schedule=[],
            release_schedule=None,
            ledger=_ledger(stream),
            seen={},
            shared_with=f"{up}/{self.schedule}" if shared else None,
            release=f"releases/{stream}" if steps == STEPS else None,
        )

    def rates(self, record: StageRecord, plan: StageSchedule) -> dict[str, Any]:
        """The schedule as a record holds it."""
        fork, release = plan.fork, plan.release
        return {
            "fork_step": None if fork is None else fork // BATCH,
            "schedule": [segment.model_dump() for segment in plan.trunk],
            "release_schedule": release and [segment.model_dump() for segment in release],
        }

    def write(self, folder: Path) -> Line:
        """Write the Run and return its part of the summary."""
        folder.mkdir(parents=True)
        last = self.arm == self.plot.arms[-1]
        branch = {"name": "mid-python", "stage": "python", "from_step": 520, "tokens": 40_000}
        branch["key"] = f"branch-{self.seed}"
        complete = self.plot.progress == 1
        content = {
            "evergrow": "0.1.0",
            "commit": "4be1f0c",
            "name": "toy",
            "arm": self.arm,
            "seed": self.seed,
            "recipe": {},
            "environment": {"torch": "2.13.0", "transformers": "5.23.0", "threads": 1},
            "start": {"source": self.source, "kind": "causal", "key": self.start_key},
            "model": {
                "num_parameters": 614_000,
                "source": self.source,
                "loader": "AutoModelForCausalLM",
            },
            "data": {
                name: f"data/{data_of(name)}"
                for name in (*self.plot.streams, *self.plot.only_measured)
            },
            "stages": self.stages,
            "branches": [{**branch, "release": "releases/mid-python"}]
            if complete and self.arm == "infinite" and "python" in self.plot.streams
            else [],
            "status": self.plot.status if last or not complete else "done",
            "error": self.plot.error if last else None,
        }
        manifest = Manifest.model_validate(content)
        (folder / "manifest.json").write_text(manifest.model_dump_json(), encoding="utf-8")
        _lines(folder / "metrics.jsonl", self.metrics)
        _lines(folder / "evals.jsonl", self.evals)
        self.write_scores(folder.parents[self.plot.num_seeds > 1])
        return self.scores()

    def write_scores(self, root: Path) -> None:
        """A file for each release and source, as ``scores/`` has them."""
        for key, lines in self.losses.items():
            for line in lines:
                add_score(root, key, line.source, losses=[line])
        for key, texts in self.shown.items() if self.plot.samples else ():
            for text in texts:
                add_score(root, key, text.source, shown=[text])

    def scores(self) -> Line:
        """The measures of the definitions, on the way to the last stage."""
        numbers = self.life(self.stages[-1])
        places = {self.stages.index(stage) for stage in self.stages if stage.status == "done"}
        tokens = STEPS * BATCH * len(places.intersection(self.stages[-1].path))
        parents = {stage.begin.stage for stage in self.stages}
        return {
            **numbers,
            "others": {
                stage.name: self.life(stage)
                for place, stage in enumerate(self.stages[:-1])
                if place not in parents
            },
            "num_tokens": tokens,
            "num_tokens_total": tokens * 1.15 if self.schedule == "infinite" else tokens,
            "tokens_per_second": 8412.7 if self.schedule == "infinite" else 8577.1,
        }

    def life(self, leaf: StageRecord) -> Line:
        """What was kept and lost on the way to a leaf, from its scores."""
        way = [self.stages[place] for place in leaf.path]
        streams = [stage.name for stage in way]
        matrix = [self.row(stage.key, streams) for stage in way if stage.key in self.losses]
        before, numbers = self.row(self.start_key, streams), dict.fromkeys(MEASURES)
        if len(matrix) == len(streams):
            numbers["average"] = float(np.mean(matrix[-1]))
        if len(matrix) == len(streams) > 1:
            old, last = range(len(streams) - 1), matrix[-1]
            numbers |= {
                "forgetting": _mean(last[j] - min(row[j] for row in matrix[j:-1]) for j in old),
                "backward_transfer": _mean(matrix[j][j] - last[j] for j in old),
                "forward_transfer": _mean(before[j + 1] - matrix[j][j + 1] for j in old),
                "transient_peak": 0.221 if self.schedule == "cosine" else 0.111,
            }
        numbers["changes"] = self.changes(way)
        return {"streams": streams, "loss_matrix": matrix, "before": before, **numbers}

    def changes(self, way: list[StageRecord]) -> list[Change]:
        """What became of the streams of the finished stages, and of what is only measured."""
        done = [stage for stage in way if stage.key in self.losses]

        def at(key: str, name: str) -> Moment:
            return Moment(loss=self.row(key, [name])[0])

        own: list[tuple[str, int | None]] = [(stage.name, i) for i, stage in enumerate(done)]
        own += [(name, None) for name in self.plot.only_measured]
        return [
            change(name, i, at(self.start_key, name), [at(stage.key, name) for stage in done])
            for name, i in own
        ]

    def row(self, key: str, streams: list[str]) -> list[float]:
        """Bits per byte of the streams in one release."""
        found = {line.source: line.loss for line in self.losses[key]}
        return [found[stream] for stream in streams]


def scored(source: str, loss: float) -> Measured:
    """A loss with an interval."""
    return Measured(source=source, unit=UNIT, loss=loss, low=loss - 0.05, high=loss + 0.06)


def add_score(root: Path, release: str, source: str, **lines: Any) -> None:
    """Write a score on ``source``: its losses, texts or probes, whichever ``lines`` names."""
    ((name, _),) = lines.items()
    kind: Any = {"losses": "loss"}.get(name, name)
    made = "0123456789abcdef"
    data = data_of(source)
    score = Score(release=release, kind=kind, data=data, made=made, **lines)
    write_score(path_of(root, release, kind, source, made), score)


def add_data(root: Path, arm: str, source: str) -> None:
    """Let an arm's manifest name one more prepared source."""
    path = root / arm / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["data"][source] = f"data/{data_of(source)}"
    path.write_text(json.dumps(manifest))


def data_of(source: str) -> str:
    """The name of a source's prepared folder."""
    return f"{source}-0123456789ab"


MEASURES = (
    "average",
    "forgetting",
    "backward_transfer",
    "forward_transfer",
    "transient_peak",
)


def make_run(folder: Path, **plot: Any) -> Path:
    """Write ``folder`` anew as ``runs/<name>/`` after a Plot; returns ``folder``."""
    story = Plot(**plot)
    shutil.rmtree(folder, ignore_errors=True)
    arms = {}
    for arm in story.arms:
        by_seed = {}
        for seed in range(story.num_seeds):
            life = Life(arm, seed, story, _new_model(seed, story), _noise(seed, 20_000))
            life.live()
            place = f"seed-{seed}" if story.num_seeds > 1 else ""
            by_seed[str(seed)] = life.write(folder / arm / place)
        arms[arm] = _over_seeds(by_seed)
    for stream in story.streams:
        _write_data(folder / "data" / data_of(stream), stream)
    recipe = {
        "name": folder.name,
        "description": "Made-up numbers in the real formats.",
        "arms": {arm: {} for arm in story.arms},
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    summary = Summary.model_validate(
        {
            "name": folder.name,
            "status": story.status,
            "streams": next(iter(arms.values()))["streams"],
            "unit": UNIT,
            "counted": "tokens",
            "seeds": list(range(story.num_seeds)),
            "arms": dict(sorted(arms.items())),
            "data": {},
        }
    )
    (folder / "summary.json").write_text(summary.model_dump_json(), encoding="utf-8")
    return folder


def _new_model(seed: int, plot: Plot) -> Model:
    loss = {name: UNTRAINED[name] for name in plot.streams}
    if plot.start:
        loss["english"] = 3.05
    shifts = zip(BEST, _noise(seed, len(BEST)), strict=True)
    return Model(loss, {name: 0.04 * shift for name, shift in shifts})


def _over_seeds(by_seed: dict[str, Line]) -> Line:
    """Means and intervals, as the summary has them for several seeds."""
    first = by_seed["0"]
    if len(by_seed) == 1:
        return first
    mean, intervals = dict(first), {}
    for key in MEASURES:
        values = [scores[key] for scores in by_seed.values() if scores[key] is not None]
        if values:
            half = 2 * float(np.std(values)) / math.sqrt(len(values))
            mean[key] = float(np.mean(values))
            intervals[key] = [mean[key] - half, mean[key] + half]
    mean["changes"] = mean_changes([scores["changes"] for scores in by_seed.values()])
    return {**mean, "seeds": by_seed, "intervals": intervals}


def _ledger(stream: str) -> Ledger:
    return Ledger(
        shares={data_of(stream): 1},
        replay_shares=(0, 1),
        replay_order="seen",
        num_samples=0,
        sizes={data_of(stream): 3_221},
        tokens_an_item={data_of(stream): 128},
    )


def _write_data(folder: Path, source: str) -> None:
    folder.mkdir(parents=True)
    number = 1 + STREAMS.index(source)
    bad = {"path": "headers/latin1.h", "offset": 812, "reason": "byte 0xe9 is not UTF-8"}
    held_out = {"num_documents": 31 * number, "num_tokens": 20_480, "num_bytes": 75_000}
    dropped = {"exact_duplicates": 17 * number, "repeated_lines": 2_941, "empty": 2}
    manifest = {
        "format": 1,
        "form": "tokens",
        "source": source,
        "num_documents": 1203 * number,
        "num_tokens": 412_345 + number,
        "num_bytes": 1_500_000 * number,
        "held_out": held_out,
        "dropped": dropped,
        "quarantine": [bad] if source == "cpp" else [],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def _lines(path: Path, rows: list[Line]) -> None:
    lines = [json.dumps(row, sort_keys=True) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))


def _noise(seed: int, count: int) -> list[float]:
    return np.random.default_rng(seed).standard_normal(count).tolist()
