"""The plan of a recipe before anything is kept: schedules, tokens, memory, disk and time."""

import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.globs import match_paths
from evergrow.flow.before import refuse_early
from evergrow.flow.recipes import plan
from evergrow.flow.units import Unit, unfold
from evergrow.grow.operators import AxisVerdict
from evergrow.listener import Listener
from evergrow.models.config import explain
from evergrow.models.describe import FP32, training_bytes
from evergrow.models.load import empty_model
from evergrow.recipe import Recipe, decode_recipe
from evergrow.run import Counts, Manifest, Run, StageRecord, root_of
from evergrow.schedules import Segment, rate
from evergrow.scores.opening import Opened
from evergrow.stage.architecture import architecture, lay_out, plan_before
from evergrow.stage.beginning import adapt
from evergrow.stage.checkpoints import branch_points
from evergrow.stage.counts import count
from evergrow.stage.flops import counts_of, stage_flops
from evergrow.stage.work import Work, open_work
from evergrow.train.loop import Leg, train_until

TIMED_STEPS = 3
READ_BYTES = 4_000_000  # of text a source: a tokenizer, a held-out part and a few steps of it
CURVE_POINTS = 60


@dataclass(frozen=True)
class StagePlan:
    """One stage of one arm: its steps, what it reads, and its learning rate as points.

    ``growth`` are the verdicts on the axes that the model grows along before it; ``flops`` are
    those of the trunk, ``num_parameters`` those of the model trained in it, ``num_trained`` those
    of its adapters where only these are.
    """

    name: str
    num_steps: int
    tokens: int
    released_from: int | None
    reads: dict[str, int]
    rates: list[float]
    num_parameters: int
    num_trained: int | None
    flops: float
    growth: tuple[AxisVerdict, ...]


@dataclass(frozen=True)
class ArmPlan:
    """What one arm with one seed would do; ``shared`` stages are trained by an earlier arm."""

    arm: str
    seed: int
    stages: list[StagePlan]
    shared: list[str]


@dataclass(frozen=True)
class Plan:
    """A recipe's plan; seconds are estimated from three real steps, bytes are upper estimates.

    ``num_parameters`` are those of the first arm's first model; memory is the largest model's.
    """

    arms: list[ArmPlan]
    num_parameters: int
    memory_bytes: int
    disk_bytes: int
    tokens_per_second: float
    seconds: float


def draw_plan(recipe: Recipe, base: Path, listener: Listener, runs: Path | None = None) -> Plan:
    """Prepare the data in a temporary folder, take three steps, say what the recipe would do.

    Of large sources READ_BYTES are read, which is said: their size decides nothing but how often
    they are read. Of what was made below ``runs`` before, corpora are read, or refused as the run
    would.
    """
    before = runs / recipe.name if runs else None
    recipe = _shorter(recipe, base, before, listener)
    with TemporaryDirectory(prefix="evergrow-dry-") as folder:
        root = Path(folder)
        units = unfold(recipe)
        refuse_early(before or root, units)
        plan(units, recipe, root, base, listener, before)
        for line in explain(units[0].recipe.model):
            listener.say(f"model: {line}")
        work = open_work(root / units[0].folder, 0, listener, fresh=True)
        speed = _tokens_per_second(work)
        work.writer.close()
        known: dict[str, int] = {}
        sized = [_sizes(Run(root / unit.folder), unit.recipe, listener, known) for unit in units]
        return _plan(recipe, units, sized, max(known.values()), speed)


def _shorter(recipe: Recipe, base: Path, before: Path | None, listener: Listener) -> Recipe:
    """The recipe with no more of each source than a plan needs; one that was begun as it is."""
    if before is not None and (before / "corpora").exists():
        return recipe
    changes: dict[str, object] = {}
    for name, source in recipe.sources.items():
        if not isinstance(source, SourceConfig):
            continue
        size = source.max_bytes if source.installed else _size(source, base)
        if size is None or min(size, source.max_bytes or size) <= READ_BYTES:
            continue
        listener.say(
            f"{name}: --dry reads {READ_BYTES / 1e6:.0f} MB of {size / 1e6:,.0f} MB; whether it "
            "would be read more often than max_epochs allows is not asked"
        )
        changes[f"sources.{name}.max_bytes"] = READ_BYTES
        changes[f"sources.{name}.max_epochs"] = 1e9
    return decode_recipe(recipe.to_data(), changes) if changes else recipe


def _size(source: SourceConfig, base: Path) -> int | None:
    """Bytes of the files here that a source names."""
    found = [path for glob in source.files for path in match_paths(glob, base, "--dry")]
    files = [f for p in found for f in (p.rglob("*") if p.is_dir() else [p]) if f.is_file()]
    return sum(file.stat().st_size for file in files)


def _sizes(
    run: Run, recipe: Recipe, listener: Listener, known: dict[str, int]
) -> tuple[Manifest, list[tuple[AxisVerdict, ...]]]:
    """The Run's manifest with the counts of every stage's model, and the verdicts of its growths.

    ``known`` gets the memory in bytes of a step of each config.json and its adapters, measured once
    for all arms.
    """
    first, manifest = run.folder / "model", run.manifest
    if not (first / "config.json").exists():
        root, start = root_of(run), manifest.start
        opened = Opened.at(recipe, root, manifest.data, start.kind, manifest.seed)
        opened.objective_at(0).first_model(listener.say).config.save_pretrained(first)
    records, verdicts = [], []
    for index, record in enumerate(run.manifest.stages):
        lay_out(run, recipe, index)
        train = recipe.train_of(index)
        folder = architecture(run.folder, recipe, index)
        text = (folder / "config.json").read_text(encoding="utf-8")
        model = empty_model(folder)
        records.append(record.model_copy(update={"model": count(recipe, index, model)}))
        text += "" if train.lora is None else train.lora.model_dump_json()
        if text not in known:
            adapt(run, recipe, index, model)
            windows = train.micro_batch_size or train.batch_size
            known[text] = training_bytes(model, windows, train.sequence_length)
        grows = record.grow is not None
        verdicts.append(plan_before(run, recipe, index).verdicts if grows else ())
    return run.manifest.model_copy(update={"stages": records}), verdicts


def _plan(
    recipe: Recipe,
    units: list[Unit],
    sized: list[tuple[Manifest, list[tuple[AxisVerdict, ...]]]],
    memory: int,
    speed: float,
) -> Plan:
    """``speed`` is that of the first arm's first model; others are as fast by their operations."""
    trained: set[str] = set()
    arms, operations, disk = [], 0.0, 0
    for unit, (manifest, verdicts) in zip(units, sized, strict=True):
        stages, shared = [], []
        for index, (record, growth) in enumerate(zip(manifest.stages, verdicts, strict=True)):
            trunk, fork = stage_flops(manifest, index)
            counts = counts_of(manifest, index)
            stages.append(_stage(record, counts, trunk, growth))
            if record.key in trained:
                shared.append(record.name)
                continue
            trained.add(record.key)
            if not record.ingredients:
                operations += trunk + fork
                disk += counts.checkpoint_bytes * len(branch_points(record))
            disk += FP32 * counts.num_parameters  # the release
        arms.append(ArmPlan(unit.arm, unit.seed, stages, shared))
    first = counts_of(sized[0][0], 0)
    workers = min(recipe.workers or 1, os.cpu_count() or 1)
    return Plan(
        arms=arms,
        num_parameters=first.num_parameters,
        memory_bytes=memory * (recipe.workers or 1),
        disk_bytes=disk,
        tokens_per_second=speed,
        seconds=operations / first.flops_per_token / speed / workers,
    )


def _stage(
    record: StageRecord,
    counts: Counts,
    flops: float,
    growth: tuple[AxisVerdict, ...],
) -> StagePlan:
    segments = [Segment.model_validate(s) for s in record.schedule]
    places = [record.clock + record.tokens * (i + 1) // CURVE_POINTS for i in range(CURVE_POINTS)]
    return StagePlan(
        name=record.name,
        num_steps=record.num_steps,
        tokens=record.tokens,
        released_from=record.fork_step,
        reads={source.rsplit("-", 1)[0]: seen.tokens for source, seen in record.seen.items()},
        rates=[rate(segments, place) for place in places],
        num_parameters=counts.num_parameters,
        num_trained=counts.num_trained,
        flops=flops,
        growth=growth,
    )


def _tokens_per_second(work: Work) -> float:
    """The fastest of a few real steps on real data, after one to warm up."""
    seconds: list[float] = []

    def note(records: list[dict[str, Any]], took: float) -> None:
        seconds.append(took)

    config = work.train.model_copy(update={"log_every": 1})
    leg = Leg(work.objective.loss, work.batch_at, lambda step: 0.0, work.run.manifest.seed)
    train_until(work.state, 1 + TIMED_STEPS, leg, config, note)
    return work.record.per_step / min(seconds[1:])
