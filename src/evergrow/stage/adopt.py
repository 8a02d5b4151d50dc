"""A stage that another arm has trained already: its files are linked, its records copied."""

import os
import shutil
from pathlib import Path

from evergrow.disk import new_folder
from evergrow.run import RECORDS, Run, change_checkpoint_state, read_checkpoint_state
from evergrow.stage import checkpoints


def adopt(run: Run, other: Run, index: int, place: int) -> None:
    """Take over stage ``index`` from ``other``, whose stage at ``place`` has the same key.

    Files are never edited in place, so hard links are safe and cost no space; where the file system
    has none they are copied. The Run is complete afterwards: it does not need ``other`` again. Its
    stage may have another name there: the first of several orders is the stage without them.
    """
    done, own = other.manifest.stages[place], run.manifest.stages[index].name
    run.cut(_before(run, index))
    for mark in checkpoints.marks(other, place):
        _adopt_checkpoint(run, other, mark, index)
    assert done.release is not None
    release = f"releases/{own}"
    _link_folder(other.folder / done.release, run.folder / release)
    _link_folder(other.folder / "model", run.folder / "model")
    if done.grow is not None:
        _link_folder(other.folder / "growth" / done.name, run.folder / "growth" / done.name)
    for record in RECORDS:
        found = [line for line in other.read(record) if line["stage"] == done.name]
        run.append(record, [{**line, "stage": own} for line in found])
    shared = os.path.relpath(other.folder, run.folder)
    facts = other.manifest
    run.save(model=facts.model, kept=facts.kept, environment=facts.environment)
    run.save_stage(
        index,
        status="done",
        model=done.model,
        adapters=done.adapters,
        release=release,
        soup=done.soup,
        shared_with=shared,
        offsets=run.offsets(),
        digests=run.digests(),
    )


def _before(run: Run, index: int) -> dict[str, int]:
    """How long the records are where stage ``index`` begins."""
    return run.manifest.stages[index - 1].offsets if index else {}


def _adopt_checkpoint(run: Run, other: Run, mark: checkpoints.Mark, index: int) -> None:
    """Link a checkpoint; its state says where it stands in this Run and in this Run's records."""
    mine = mark._replace(index=index, stage=run.manifest.stages[index].name)
    _link_folder(other.checkpoints / mark.name, run.checkpoints / mine.name)
    state = read_checkpoint_state(other.checkpoints / mark.name)
    theirs, own = _before(other, mark.index), _before(run, index)
    longer = len(mine.stage) - len(mark.stage)
    offsets = {
        record: own.get(record, 0)
        + _length(other.folder / f"{record}.jsonl", theirs.get(record, 0), end, longer)
        for record, end in state.offsets.items()
    }
    change_checkpoint_state(
        run.checkpoints / mine.name, index=index, stage=mine.stage, offsets=offsets
    )


def _length(path: Path, start: int, end: int, longer: int) -> int:
    """The bytes of a record between two places, if every line of it is so much longer."""
    if not longer:
        return end - start
    with path.open("rb") as file:
        file.seek(start)
        return end - start + longer * file.read(end - start).count(b"\n")


def _link_folder(source: Path, target: Path) -> None:
    if target.exists():
        return
    with new_folder(target) as temporary:
        shutil.copytree(source, temporary, copy_function=_link, dirs_exist_ok=True)


def _link(file: str, target: str) -> None:
    try:
        os.link(file, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(file, target)
