"""The main job: carry out a recipe, or go on where it stopped."""

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evergrow.config import decode
from evergrow.disk import write_file
from evergrow.errors import EvergrowError, InputError, Stopped
from evergrow.flow.adopt import adopt
from evergrow.flow.listener import Listener, Progress
from evergrow.flow.plan import plan_stages, refuse_edits
from evergrow.flow.prepare import Prepared, prepare
from evergrow.flow.stage import carry_out_stage
from evergrow.flow.summary import write_summary
from evergrow.flow.units import Unit, stage_keys, unfold
from evergrow.flow.versions import commit, package_version
from evergrow.flow.workers import Done, Job, Workers
from evergrow.recipe import Recipe
try:
    from evergrow.report.page import write_report
except ImportError:
    write_report = lambda root: root
from evergrow.run import Manifest, Run, StageRecord, locked, write_manifest
from evergrow.stream.shards import TokenSource

REPORT_EVERY = 15.0  # seconds between refreshed reports while training


@dataclass(frozen=True)
class Carried:
    """A recipe that was carried out: its folder, its report and its summary."""

    folder: Path
    report: Path
    summary: dict[str, Any]


def carry_out(
    recipe: Recipe, runs: Path, base: Path, listener: Listener, fresh: bool = False
) -> Carried:
    """Carry out ``recipe`` in ``runs/<name>``; ``base`` is where its relative paths start.

    Finished work is skipped, so running again goes on where it stopped. Raises InputError for an
    edited recipe or changed data, Stopped after a signal, EvergrowError when training failed.
    """
    root = runs / recipe.name
    with locked(root), listener.stop.listening():
        if fresh:
            _empty(root)
        units = unfold(recipe)
        prepared = prepare_recipe(recipe, units, root, base, listener)
        plan_units(root, units, prepared)
        write_file(root / "recipe.yaml", recipe.to_yaml())
        return train_units(root, recipe, units, listener)


def prepare_recipe(
    recipe: Recipe, units: list[Unit], root: Path, base: Path, listener: Listener
) -> Prepared:
    """Documents, held-out split, tokenizer and shards of every source that an arm uses."""
    used = {name for unit in units for name in unit.recipe.measured}
    return prepare(
        root,
        {name: source for name, source in recipe.sources.items() if name in used},
        recipe.held_out,
        recipe.tokenizer_config,
        (recipe.tokenizer and recipe.tokenizer.sources) or list(recipe.stages[0].weights),
        base,
        listener.say,
    )


def plan_units(root: Path, units: list[Unit], prepared: Prepared) -> None:
    """Write or update the manifest of every unit; refuses edits of what was already trained."""
    data = {name: folder.relative_to(root).as_posix() for name, folder in prepared.data.items()}
    opened = {name: TokenSource.open(folder) for name, folder in prepared.data.items()}
    tokenizer = next(iter(prepared.manifests.values()))["tokenizer"]
    manifests = [_planned(root, unit, data, opened, tokenizer) for unit in units]
    for unit, manifest in zip(units, manifests, strict=True):
        write_manifest(root / unit.folder, manifest)


def _planned(
    root: Path,
    unit: Unit,
    data: dict[str, str],
    opened: dict[str, TokenSource],
    tokenizer: str,
) -> Manifest:
    recipe = unit.recipe
    keys = {name: Path(path).name for name, path in data.items()}
    sizes = {keys[n]: s.num_windows(recipe.train.sequence_length) for n, s in opened.items()}
    folder = root / unit.folder
    recorded: list[StageRecord] = []
    known: Manifest | None = None
    if (folder / "manifest.json").exists():
        known = Run(folder).manifest
        recorded = known.stages
        _refuse_edits(known, recipe, keys, tokenizer)
    stages = plan_stages(recipe, unit.seed, keys, sizes, tokenizer, recorded)
    changes: dict[str, Any] = {
        "recipe": recipe.to_data(),
        "data": data,
        "stages": stages,
        "status": "running",
        "error": None,
    }
    if known is not None:
        return known.model_copy(update=changes)
    return Manifest(
        evergrow=package_version(),
        commit=commit(),
        name=recipe.name,
        arm=unit.arm,
        seed=unit.seed,
        environment={},
        model={},
        **changes,
    )


def _refuse_edits(known: Manifest, recipe: Recipe, keys: dict[str, str], tokenizer: str) -> None:
    old = decode(Recipe, known.recipe, "manifest.recipe")
    stages = [
        stage.model_copy(update={"tokens": old.stages[i].tokens}) if i < len(old.stages) else stage
        for i, stage in enumerate(recipe.stages)
    ]
    as_before = recipe.model_copy(update={"stages": stages})
    refuse_edits(known.stages, recipe, stage_keys(as_before, known.seed, keys, tokenizer), old)


def train_units(root: Path, recipe: Recipe, units: list[Unit], listener: Listener) -> Carried:
    """Train what is not done yet, then write the summary and the report."""
    status, refreshed = "failed", 0.0

    def refresh() -> None:
        nonlocal refreshed
        if time.monotonic() - refreshed > REPORT_EVERY:
            _write_pages(root, recipe, units, "running")
            refreshed = time.monotonic()

    try:
        if recipe.workers == 1:
            _in_turn(root, units, listener, refresh)
        else:
            _side_by_side(root, recipe.workers, units, listener, refresh)
        status = "done"
    except Stopped:
        status = "stopped"
        raise
    finally:
        carried = _write_pages(root, recipe, units, status)
    return carried


def _write_pages(root: Path, recipe: Recipe, units: list[Unit], status: str) -> Carried:
    summary = write_summary(root, recipe, units, status)
    return Carried(root, write_report(root), summary)


def _owners(root: Path, units: list[Unit]) -> dict[tuple[str, ...], Unit]:
    """Which unit trains a stage that several have: the first of them."""
    owners: dict[tuple[str, ...], Unit] = {}
    for unit in units:
        for record in Run(root / unit.folder).manifest.stages:
            owners.setdefault(_identity(record, unit), unit)
    return owners


def _identity(record: StageRecord, unit: Unit) -> tuple[str, ...]:
    """What two stages share when one training serves both: the key, and what is measured."""
    return (record.key, *unit.recipe.measured)


def next_job(root: Path, unit: Unit, owners: dict[tuple[str, ...], Unit]) -> Job | None:
    """The next stage that ``unit`` must train itself; None when it waits for another or is done."""
    run = Run(root / unit.folder)
    for index, record in enumerate(run.manifest.stages):
        if record.status == "done":
            continue
        owner = owners[_identity(record, unit)]
        if owner == unit:
            return Job(run.folder, index)
        other = Run(root / owner.folder)
        if other.manifest.stages[index].status != "done":
            return None
        with locked(run.folder):
            adopt(run, other, index)
    if run.manifest.status != "done":
        run.save(status="done")
    return None


def _in_turn(
    root: Path, units: list[Unit], listener: Listener, refresh: Callable[[], None]
) -> None:
    def progress(progress: Progress) -> None:
        listener.progress(progress)
        refresh()

    within = Listener(progress, listener.say, listener.stop)
    owners = _owners(root, units)
    while jobs := [job for unit in units if (job := next_job(root, unit, owners))]:
        try:
            carry_out_stage(jobs[0].folder, jobs[0].index, within)
        except EvergrowError as error:
            _mark_failed(jobs[0], error)
            raise


def _side_by_side(
    root: Path,
    num_workers: int,
    units: list[Unit],
    listener: Listener,
    refresh: Callable[[], None],
) -> None:
    owners = _owners(root, units)
    workers = Workers(num_workers, max(1, (os.cpu_count() or 1) // num_workers))
    failed: EvergrowError | None = None
    stopping = False
    try:
        while True:
            jobs = [job for unit in units if (job := next_job(root, unit, owners))]
            waiting = [job for job in jobs if job not in workers.running]
            if not stopping:
                while waiting and workers.start(waiting[0]):
                    waiting.pop(0)
            if not workers.running:
                break
            for message in workers.receive(0.5):
                if isinstance(message, Progress):
                    listener.progress(message)
                elif isinstance(message, str):
                    listener.say(message)
                elif message.error is not None:
                    failed = failed or message.error
                    _mark_failed(message.job, message.error)
            refresh()
            if (failed or listener.stop.requested()) and not stopping:
                stopping = True
                workers.stop()
    finally:
        workers.close()
    if failed:
        raise failed
    if stopping:
        raise Stopped(listener.stop.signal or 15, "the stages finished so far")


def _mark_failed(job: Job, error: EvergrowError) -> None:
    status = "stopped" if isinstance(error, Stopped) else "failed"
    Run(job.folder).save(status=status, error=None if status == "stopped" else str(error))


def _empty(root: Path) -> None:
    """Delete a recipe's folder, but only one that evergrow made."""
    strangers = [p for p in root.iterdir() if p.name not in _OWN and not (p / "manifest.json").exists() and not list(p.glob("seed-*/manifest.json"))]
    if strangers:
        raise InputError(f"{root}: holds {strangers[0].name}, which no run of evergrow made; move it away or choose another name")
    for path in root.iterdir():
        if path.name == ".lock":
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()


_OWN = {".lock", "recipe.yaml", "summary.json", "report.html", "tokenizer", "data"}
