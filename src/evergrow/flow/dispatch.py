"""Stages in the order that arms and sharing allow: one after another, or side by side."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from evergrow.disk import locked
from evergrow.errors import EvergrowError, InputError, Stopped
from evergrow.flow.pages import Carried, Refreshed, write_pages
from evergrow.flow.progress import counting
from evergrow.flow.score import score_run
from evergrow.flow.skills import score_skills
from evergrow.flow.units import Unit
from evergrow.flow.workers import Job, Workers
from evergrow.listener import Listener, Progress
from evergrow.run import Run
from evergrow.stage import checkpoints
from evergrow.stage.adopt import adopt
from evergrow.stage.legs import carry_out_stage


def train_units(root: Path, num_workers: int, units: list[Unit], listener: Listener) -> Carried:
    """Train what is not done yet, then write the summary and the report."""
    for unit in units:
        checkpoints.reopen_without_release(Run(root / unit.folder))
    listener = counting(_trained(root, units), listener)
    try:
        left = _num_sharing(root, units)
        if left:
            listener.page(write_pages(root, "running").report)
        else:
            listener.say(f"{root}: done before; nothing is trained")
        side_by_side = min(num_workers, left)
        with Refreshed(root) as pages:
            if side_by_side <= 1:
                _in_turn(root, units, listener, pages.refresh)
            else:
                _side_by_side(root, side_by_side, units, listener, pages.refresh)
        for unit in units:
            score_run(root, Run(root / unit.folder), listener)
            score_skills(root, Run(root / unit.folder), listener)
    except BaseException as error:
        with suppress(InputError):  # such as a step without a loss: what made it is the news
            write_pages(root, "stopped" if isinstance(error, Stopped) else "failed")
        raise
    return write_pages(root, "done")


def _trained(root: Path, units: list[Unit]) -> list[tuple[Path, int]]:
    """Run folder and place of every stage, once for all that share it."""
    return [(root / unit.folder, place) for unit, place in _owners(root, units).values()]


Owners = dict[str, tuple[Unit, int]]  # by a stage's key: who trains it, and its place there


def _owners(root: Path, units: list[Unit]) -> Owners:
    """Which unit trains a stage that several have, wherever it stands in each: the first of them.

    A stage's key says all that decides its bytes.
    """
    owners: Owners = {}
    for unit in units:
        for index, record in enumerate(Run(root / unit.folder).manifest.stages):
            owners.setdefault(record.key, (unit, index))
    return owners


def _num_sharing(root: Path, units: list[Unit]) -> int:
    """How many units have something left to train: a unit trains one stage at a time."""
    owners = _owners(root, units)
    left = 0
    for unit in units:
        stages = Run(root / unit.folder).manifest.stages
        left += any(s.status != "done" and owners[s.key][0] == unit for s in stages)
    return left


def next_job(root: Path, unit: Unit, owners: Owners) -> Job | None:
    """The next stage that ``unit`` must train itself; None when it waits for another or is done."""
    run = Run(root / unit.folder)
    for index, record in enumerate(run.manifest.stages):
        if record.status == "done":
            continue
        owner, place = owners[record.key]
        if owner == unit:
            return Job(run.folder, _first_needed(run, index))
        other = Run(root / owner.folder)
        if other.manifest.stages[place].status != "done":
            return None
        with locked(run.folder):
            adopt(run, other, index, place)
    if run.manifest.status != "done":
        run.save(status="done")
    return None


def _first_needed(run: Run, index: int) -> int:
    """Stage ``index``; or the one at whose trunk's end it begins, when that is gone."""
    begin = run.manifest.stages[index].begin
    if begin.kind == "trunk" and not checkpoints.marks(run, index):
        assert begin.stage is not None
        if checkpoints.reopen(run, begin.stage):
            return begin.stage
    return index


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
    threads = max(1, (os.cpu_count() or 1) // num_workers)
    workers = Workers(num_workers, threads)
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
