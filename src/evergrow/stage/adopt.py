"""A stage that another arm has trained already: its files are linked, its records copied."""

import os
import shutil
from pathlib import Path

from evergrow.disk import new_folder
from evergrow.run import RECORDS, Run
from evergrow.stage import checkpoints


def adopt(run: Run, other: Run, index: int) -> None:
    """Take over stage ``index`` from ``other``, whose stage has the same key, parents and seed.

    Files are never edited in place, so hard links are safe and cost no space; where the file system
    has none they are copied. The Run is complete afterwards: it does not need ``other`` again.
    """
    done = other.manifest.stages[index]
    before = run.manifest.stages[index - 1].offsets if index else {}
    run.cut(before)
    for mark in checkpoints.marks(other, index):
        _link_folder(other.checkpoints / mark.name, run.checkpoints / mark.name)
    assert done.release is not None
    _link_folder(other.folder / done.release, run.folder / done.release)
    _link_folder(other.folder / "model", run.folder / "model")
    if done.grow is not None:
        _link_folder(other.folder / "growth" / done.name, run.folder / "growth" / done.name)
    for record in RECORDS:
        run.append(record, [line for line in other.read(record) if line["stage"] == done.name])
    shared = os.path.relpath(other.folder, run.folder)
    run.save(model=other.manifest.model, environment=other.manifest.environment)
    run.save_stage(
        index,
        status="done",
        model=done.model,
        release=done.release,
        shared_with=shared,
        offsets=run.offsets(),
    )


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
