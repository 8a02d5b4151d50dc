"""The plan of a recipe before anything is kept: schedules, tokens, memory, disk and time."""

import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evergrow.flow.checkpoints import branch_points
from evergrow.flow.listener import Listener
from evergrow.flow.recipes import plan
from evergrow.flow.units import Unit, unfold
from evergrow.flow.work import Work, open_work
from evergrow.models.describe import describe, training_bytes
from evergrow.recipe import Recipe
from evergrow.run import Manifest, Run, StageRecord
from evergrow.schedules import Segment, rate
from evergrow.train.loop import Leg, train_until
from evergrow.train.objectives import Causal

TIMED_STEPS = 3
CURVE_POINTS = 60


@dataclass(frozen=True)
class StagePlan:
    """One stage of one arm: its steps, what it reads, and its learning rate as points."""

    name: str
    num_steps: int
    tokens: int
    released_from: int | None
    reads: dict[str, int]
    rates: list[float]


@dataclass(frozen=True)
class ArmPlan:
    """What one arm with one seed would do; ``shared`` stages are trained by an earlier arm."""

    arm: str
    seed: int
    stages: list[StagePlan]
    shared: list[str]


@dataclass(frozen=True)
class Plan:
    """A recipe's plan; seconds are estimated from three real steps, bytes are upper estimates."""

    arms: list[ArmPlan]
    num_parameters: int
    memory_bytes: int
    disk_bytes: int
    tokens_per_second: float
    seconds: float


def draw_plan(recipe: Recipe, base: Path, listener: Listener) -> Plan:
    """Prepare the data in a temporary folder, take three steps, say what the recipe would do."""
    with TemporaryDirectory(prefix="evergrow-dry-") as folder:
        root = Path(folder)
        units = unfold(recipe)
        plan(units, recipe, root, base, listener)
        manifests = [Run(root / unit.folder).manifest for unit in units]
        work = open_work(root / units[0].folder, 0, listener, fresh=True)
        speed = _tokens_per_second(work)
        work.writer.close()
        return _plan(recipe, units, manifests, work, speed)


def _plan(
    recipe: Recipe, units: list[Unit], manifests: list[Manifest], work: Work, speed: float
) -> Plan:
    train = recipe.train
    model: Any = work.model
    facts = describe(model, train.sequence_length)
    trained: set[str] = set()
    arms, tokens, kept = [], 0, 0
    for unit, manifest in zip(units, manifests, strict=True):
        own = [stage for stage in manifest.stages if stage.key not in trained]
        trained |= {stage.key for stage in own}
        tokens += sum(_compute(stage) for stage in own)
        kept += sum(len(branch_points(stage)) for stage in own)
        stages = [_stage(stage, train.sequence_length) for stage in manifest.stages]
        shared = [stage.name for stage in manifest.stages if stage not in own]
        arms.append(ArmPlan(unit.arm, unit.seed, stages, shared))
    releases = 4 * facts.num_parameters * len(trained)
    windows = train.micro_batch_size or train.batch_size
    memory = training_bytes(model, windows, train.sequence_length)
    workers = min(recipe.workers, os.cpu_count() or 1)
    return Plan(
        arms=arms,
        num_parameters=facts.num_parameters,
        memory_bytes=memory * recipe.workers,
        disk_bytes=facts.checkpoint_bytes * kept + releases,
        tokens_per_second=speed,
        seconds=tokens / speed / workers,
    )


def _stage(record: StageRecord, sequence_length: int) -> StagePlan:
    per_step = record.tokens // record.num_steps
    start = record.first_step * per_step
    segments = [Segment.model_validate(s) for s in record.schedule]
    places = [start + record.tokens * (i + 1) // CURVE_POINTS for i in range(CURVE_POINTS)]
    return StagePlan(
        name=record.name,
        num_steps=record.num_steps,
        tokens=record.tokens,
        released_from=record.fork_step,
        reads={
            source.rsplit("-", 1)[0]: (seen.last - seen.first + seen.replayed) * sequence_length
            for source, seen in record.seen.items()
        },
        rates=[rate(segments, place) for place in places],
    )


def _compute(record: StageRecord) -> int:
    """Tokens that training a stage costs, its release included."""
    if record.fork_step is None:
        return record.tokens
    per_step = record.tokens // record.num_steps
    end = record.first_step + record.num_steps
    return record.tokens + (end - record.fork_step) * per_step


def _tokens_per_second(work: Work) -> float:
    """The fastest of a few real steps on real data, after one to warm up."""
    seconds: list[float] = []

    def note(records: list[dict[str, Any]], took: float) -> None:
        seconds.append(took)

    config = work.recipe.train.model_copy(update={"log_every": 1})
    leg = Leg(Causal(config.z_loss), work.batch_at, lambda step: 0.0, work.run.manifest.seed)
    train_until(work.state, 1 + TIMED_STEPS, leg, config, note)
    return config.tokens_per_step / min(seconds[1:])
