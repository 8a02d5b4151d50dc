"""Writes a made-up run folder in the real formats: two schedules, with and without replay.

The losses follow simple decay laws with noise; they look like a real run and mean nothing.
"""

import copy
import json
import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from evergrow.run import Ledger, Manifest, StageRecord
from evergrow.schedules import Cosine, Infinite, StageSchedule, plan_stage, rate

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
PROMPTS = ("The function ", "import ")
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
    which knows English; ``error`` belongs to the last arm.
    """

    arms: tuple[str, ...] = ARMS
    streams: tuple[str, ...] = STREAMS
    num_seeds: int = 1
    status: str = "done"
    error: str | None = None
    progress: float = 1.0
    samples: bool = True
    start: str | None = None


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


@dataclass
class Life:
    """One arm with one seed while it is made up, and the lines it leaves."""

    arm: str
    seed: int
    plot: Plot
    model: Model
    noise: list[float]
    metrics: list[Line] = field(default_factory=list)
    evals: list[Line] = field(default_factory=list)
    samples: list[Line] = field(default_factory=list)
    stages: list[StageRecord] = field(default_factory=list)

    @property
    def schedule(self) -> str:
        return self.arm.removesuffix("-replay")

    @property
    def replay(self) -> float:
        return 0.25 if self.arm.endswith("-replay") else 0.0

    def live(self) -> None:
        """Go through the stages as far as the plot says."""
        self.measure(None, "start", 0, self.model)
        budget = round(self.plot.progress * STEPS * len(self.plot.streams))
        previous = None
        for number, stream in enumerate(self.plot.streams):
            config = SCHEDULES[self.schedule]
            start = number * STEPS * BATCH
            plan = plan_stage(config, start, STEPS * BATCH, BATCH, previous)
            previous = (config, plan)
            steps = max(0, min(STEPS, budget - number * STEPS))
            self.run_stage(number, plan, steps)
            self.stages.append(self.record(number, stream, plan, steps))

    def run_stage(self, number: int, plan: StageSchedule, steps: int) -> None:
        """The trunk, and the release when the stage comes to its end."""
        stream, first = self.plot.streams[number], number * STEPS
        branch = self.model
        for step in range(first + 1, first + steps + 1):
            if (step - first) % 25 == 1:
                self.measure(stream, "trunk", step - 1, self.model)
            if plan.fork == (step - 1) * BATCH:
                branch = copy.deepcopy(self.model)
            skipped = self.arm == "cosine" and step == 470
            self.step(number, "trunk", step, self.model, rate(plan.trunk, step * BATCH), skipped)
        if steps < STEPS:
            return
        if plan.fork is not None and plan.release is not None:
            for step in range(plan.fork // BATCH + 1, first + STEPS + 1):
                self.step(number, "anneal", step, branch, rate(plan.release, step * BATCH), False)
        self.measure(stream, "trunk", first + STEPS, self.model)
        self.measure(stream, "release", first + STEPS, branch)
        for prompt in PROMPTS:
            text = {"prompt": prompt, "text": TEXTS[stream]}
            self.samples.append({"stage": stream, "step": first + STEPS, **text})

    def step(
        self, number: int, leg: str, step: int, model: Model, lr: float, skipped: bool
    ) -> None:
        """Learn one batch and write its line."""
        stream, old = self.plot.streams[number], self.plot.streams[:number]
        model.learn(stream, old, self.replay, lr)
        loss = 1.75 * model.loss[stream] + 0.22 * self.noise.pop() + (6.0 if skipped else 0.0)
        place = {"stage": stream, "leg": leg, "step": step, "tokens": step * BATCH}
        facts = {"loss": loss, "z_loss": 1e-3, "grad_norm": 1.1, "lr": lr, "skipped": skipped}
        self.metrics.append({**place, **facts})

    def measure(self, stage: str | None, leg: str, step: int, model: Model) -> None:
        """Write the loss on every stream."""
        place = {"stage": stage, "leg": leg, "step": step, "tokens": step * BATCH}
        for source in self.plot.streams:
            value = model.loss[source] + (0.012 if leg == "trunk" else 0.004) * self.noise.pop()
            found = {"loss": value, "low": value - 0.05, "high": value + 0.06}
            size = {"num_bytes": 80_000, "num_documents": 40, "partial": leg == "trunk"}
            self.evals.append({**place, "source": source, **found, **size})

    def record(self, number: int, stream: str, plan: StageSchedule, steps: int) -> StageRecord:
        """The stage as the manifest holds it; the first is shared with the arm without replay."""
        replay = self.replay if number else 0.0
        shared = self.replay > 0 and number == 0 and self.schedule in self.plot.arms
        up = "../.." if self.plot.num_seeds > 1 else ".."
        return StageRecord(
            name=stream,
            key=f"{self.schedule}-{number}-{replay}-{self.seed}",
            parent=None,
            status="done" if steps == STEPS else "training" if steps else "pending",
            first_step=number * STEPS,
            num_steps=STEPS,
            fork_step=None if plan.fork is None else plan.fork // BATCH,
            tokens=STEPS * BATCH,
            mixture={stream: 1.0},
            replay={"fraction": replay, "order": "seen"},
            schedule=[segment.model_dump() for segment in plan.trunk],
            release_schedule=None
            if plan.release is None
            else [segment.model_dump() for segment in plan.release],
            ledger=Ledger(shares={}, replay_shares=(0, 1), replay_order="seen", num_samples=0),
            seen={},
            shared_with=f"{up}/{self.schedule}" if shared else None,
            release=f"releases/{stream}" if steps == STEPS else None,
        )

    def write(self, folder: Path) -> Line:
        """Write the Run and return its part of the summary."""
        folder.mkdir(parents=True)
        last = self.arm == self.plot.arms[-1]
        branch = {"name": "mid-python", "stage": "python", "from_step": 520, "tokens": 40_000}
        complete = self.plot.progress == 1
        content = {
            "evergrow": "0.1.0",
            "commit": "4be1f0c",
            "name": "toy",
            "arm": self.arm,
            "seed": self.seed,
            "recipe": {},
            "environment": {"torch": "2.13.0", "transformers": "5.23.0", "threads": 1},
            "model": {"num_parameters": 614_000, "source": self.plot.start or "olmo2 preset"},
            "data": {name: f"data/{name}-0123456789ab" for name in self.plot.streams},
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
        if self.plot.samples:
            _lines(folder / "samples.jsonl", self.samples)
        return self.scores()

    def scores(self) -> Line:
        """The measures of the definitions, from the lines."""
        streams = self.plot.streams
        matrix = [m for s in streams if (m := self.found(s, "release"))]
        before, numbers = self.found(None, "start"), dict.fromkeys(MEASURES)
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
        tokens = len(matrix) * STEPS * BATCH
        return {
            "loss_matrix": matrix,
            "before": before,
            **numbers,
            "num_tokens": tokens,
            "num_tokens_total": tokens * 1.15 if self.schedule == "infinite" else tokens,
            "tokens_per_second": 8412.7 if self.schedule == "infinite" else 8577.1,
        }

    def found(self, stage: str | None, leg: str) -> list[float]:
        """Bits per byte of every stream at one moment."""
        rows = [row for row in self.evals if (row["stage"], row["leg"]) == (stage, leg)]
        return [row["loss"] for row in rows]


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
        _write_data(folder / "data" / f"{stream}-0123456789ab", stream)
    recipe = {
        "name": folder.name,
        "description": "Made-up numbers in the real formats.",
        "arms": {arm: {} for arm in story.arms},
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    summary = {
        "format": 1,
        "name": folder.name,
        "status": story.status,
        "streams": list(story.streams),
        "arms": dict(sorted(arms.items())),
    }
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
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
    return {**mean, "seeds": by_seed, "intervals": intervals}


def _write_data(folder: Path, source: str) -> None:
    folder.mkdir(parents=True)
    number = 1 + STREAMS.index(source)
    bad = {"path": "headers/latin1.h", "offset": 812, "reason": "byte 0xe9 is not UTF-8"}
    held_out = {"num_documents": 31 * number, "num_tokens": 20_480, "num_bytes": 75_000}
    dropped = {"exact_duplicates": 17 * number, "repeated_lines": 2_941, "empty": 2}
    manifest = {
        "format": 1,
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
