"""Stages in the order that arms and sharing allow: one after another, or side by side."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evergrow.errors import EvergrowError, InputError, Stopped
from evergrow.flow.adopt import adopt
from evergrow.flow.listener import Listener, Progress
from evergrow.flow.stage import carry_out_stage
from evergrow.flow.summary import write_summary
from evergrow.flow.units import Unit
from evergrow.flow.workers import Job, Workers
from evergrow.report import write_report
from evergrow.run import Run, StageRecord, locked

REPORT_EVERY = 15.0  # seconds between refreshed reports while training


@dataclass(frozen=True)
class Carried:
    """A recipe that was carried out: its folder, its report and its summary."""

    folder: Path
    report: Path
    summary: dict[str, Any]


def train_units(root: Path, num_workers: int, units: list[Unit], listener: Listener) -> Carried:
    """Train what is not done yet, then write the summary and the report."""
    refreshed = 0.0

    def refresh() -> None:
        nonlocal refreshed
        if time.monotonic() - refreshed > REPORT_EVERY:
            write_pages(root, "running")
            refreshed = time.monotonic()

    try:
        if num_workers == 1:
            _in_turn(root, units, listener, refresh)
        else:
            _side_by_side(root, num_workers, units, listener, refresh)
    except BaseException as error:
        with suppress(InputError):  # such as a step without a loss: what made it is the news
            write_pages(root, "stopped" if isinstance(error, Stopped) else "failed")
        raise
    return write_pages(root, "done")


def write_pages(root: Path, status: str) -> Carried:
    """Write ``summary.json`` and ``report.html`` from what the folder holds."""
    summary = write_summary(root, status)
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
