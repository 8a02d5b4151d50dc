"""Which checkpoint is what: names, the newest one to go on from, and which may be dropped."""

import re
import shutil
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import JsonValue

from evergrow.errors import InputError
from evergrow.run import (
    Run,
    StageRecord,
    drop_checkpoint,
    read_checkpoint_state,
    save_checkpoint,
)

_NAME = re.compile(r"(\d+)-(.+)-([a-z]+)-(\d{9})")
_PERIODIC_KEPT = 2  # a damaged newest one leaves another to go on from


class Mark(NamedTuple):
    """A place on a Run: stage, leg (trunk, anneal or branch) and optimiser step since init."""

    index: int
    stage: str
    leg: str
    step: int

    @property
    def name(self) -> str:
        """The checkpoint's folder name."""
        return f"{self.index:02d}-{self.stage}-{self.leg}-{self.step:09d}"


def marks(run: Run, index: int | None = None, leg: str | None = None) -> list[Mark]:
    """The checkpoints of a Run, oldest first; of one stage or leg when given."""
    names = (_NAME.fullmatch(path.name) for path in run.checkpoints.glob("[0-9]*"))
    found = [Mark(int(name[1]), name[2], name[3], int(name[4])) for name in names if name]
    return sorted(
        m for m in found if (index is None or m.index == index) and (leg is None or m.leg == leg)
    )


def begun_stages(run: Run) -> list[StageRecord]:
    """The stages, from the first on, of which something is kept: an end, or a checkpoint."""
    begun = []
    for index, record in enumerate(run.manifest.stages):
        if record.status != "done" and not marks(run, index):
            break
        begun.append(record)
    return begun


def forget_unbegun(run: Run) -> None:
    """Delete what was laid out for stages of which nothing is kept: they may change yet."""
    begun = begun_stages(run)
    for record in run.manifest.stages[len(begun) :]:
        shutil.rmtree(run.folder / "growth" / record.name, ignore_errors=True)
    if not begun:
        shutil.rmtree(run.folder / "model", ignore_errors=True)


def newest(run: Run, index: int, leg: str) -> Mark | None:
    """The checkpoint of a leg to go on from, or None when the leg has not begun."""
    return max(marks(run, index, leg), default=None)


def first_usable(run: Run, index: int) -> Mark | None:
    """The trunk's newest checkpoint that the stage can go on from.

    When a stage was made longer, its fork moved: checkpoints beyond a fork that is not there yet
    are deleted, and the trunk is trained again from before it, to the same bytes.
    """
    fork = run.manifest.stages[index].fork_step
    trunk = marks(run, index, "trunk")
    if fork is not None and all(mark.step != fork for mark in trunk):
        for mark in [m for m in trunk if m.step > fork]:
            drop_checkpoint(run.checkpoints / mark.name)
    return newest(run, index, "trunk")


def reopen(run: Run, index: int) -> bool:
    """Whether a finished stage is to be trained again because the end of its trunk is gone.

    It goes on from the checkpoint before, to the same bytes. Raises InputError when a later stage
    was recorded since, whose records that would cut.
    """
    record = run.manifest.stages[index]
    end = Mark(index, record.name, "trunk", record.last_step)
    if record.status != "done" or (run.checkpoints / end.name).exists():
        return False
    later = [s.name for s in run.manifest.stages[index + 1 :] if s.status != "pending"]
    if later:
        raise InputError(
            f"{run.checkpoints / end.name}: the end of {record.name} is gone, and {later[0]} has "
            f"begun since, so {record.name} cannot be trained again here; restore the folder"
        )
    run.save_stage(index, status="training")
    return True


def reopen_without_release(run: Run) -> None:
    """Let the last stage be finished again when its release is gone, to the same bytes.

    Not where a branch was made on request since, whose records that would cut.
    """
    index, record = len(run.manifest.stages) - 1, run.manifest.stages[-1]
    is_gone = record.release is not None and not (run.folder / record.release).exists()
    if is_gone and all(branch.stage != record.name for branch in run.manifest.branches):
        run.save_stage(index, status="training")


def refuse_unreachable(run: Run, index: int, record: StageRecord) -> None:
    """Raise InputError when nothing is left from which stage ``index`` could become ``record``."""
    fork = record.fork_step
    before = [m for m in marks(run, index, "trunk") if fork is None or m.step <= fork]
    if before or not index or newest(run, index - 1, "trunk") is not None:
        return
    raise InputError(
        f"{run.folder}: {record.name} cannot be made longer, because its release would leave the "
        f"trunk at step {fork} and the checkpoints before it were deleted; give it more tokens, or "
        "continue with a new stage"
    )


def newest_of_branch(
    run: Run, index: int, leg: str, schedule: list[dict[str, JsonValue]]
) -> Mark | None:
    """The checkpoint of a branch to go on from.

    Those that another schedule made are deleted: the stage was made longer since, or a branch on
    request was interrupted and another one asked for.
    """
    for mark in marks(run, index, leg):
        folder = run.checkpoints / mark.name
        if read_checkpoint_state(folder).schedule != schedule:
            drop_checkpoint(folder)
    return newest(run, index, leg)


def branch_points(record: StageRecord) -> set[int]:
    """The trunk's steps that are always kept: where the release leaves it, and its end."""
    return {record.last_step} | (set() if record.fork_step is None else {record.fork_step})


def write(
    run: Run, mark: Mark, tensors: Mapping[str, Mapping[str, Any]], facts: Mapping[str, Any]
) -> None:
    """Save a checkpoint and drop periodic ones that are no longer needed."""
    state = {"stage": mark.stage, "index": mark.index, "leg": mark.leg, "step": mark.step, **facts}
    save_checkpoint(run.checkpoints / mark.name, tensors, state)
    for old in periodic(run, mark.index, mark.leg)[:-_PERIODIC_KEPT]:
        drop_checkpoint(run.checkpoints / old.name)


def periodic(run: Run, index: int, leg: str | None = None) -> list[Mark]:
    """The checkpoints of a stage that are no branch points of its trunk, oldest first."""
    kept = branch_points(run.manifest.stages[index])
    return [m for m in marks(run, index, leg) if m.leg != "trunk" or m.step not in kept]


def drop_leg(run: Run, index: int, leg: str) -> None:
    """Delete the checkpoints of one leg."""
    for mark in marks(run, index, leg):
        drop_checkpoint(run.checkpoints / mark.name)


def drop_periodic(run: Run, index: int) -> list[Mark]:
    """Delete a finished stage's checkpoints except its branch points; returns what was deleted."""
    dropped = periodic(run, index)
    for mark in dropped:
        drop_checkpoint(run.checkpoints / mark.name)
    return dropped
