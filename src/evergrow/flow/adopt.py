"""A stage that another arm has trained already: its files are linked, its records copied."""

import os
import shutil
from pathlib import Path

from evergrow.disk import new_folder
from evergrow.flow import checkpoints
from evergrow.flow.modality import sheets_of
from evergrow.run import RECORDS, Run


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
    if index == 0:
        _link_folder(other.folder / "model", run.folder / "model")
    if done.grow is not None:
        _link_folder(other.folder / "growth" / done.name, run.folder / "growth" / done.name)
    for stage in [done.name, *([None] if index == 0 else [])]:
        if (sheets := other.folder / sheets_of(stage)).is_dir():
            _link_folder(sheets, run.folder / sheets_of(stage))
    names = {done.name} | ({None} if index == 0 else set())
    for record in RECORDS:
        run.append(record, [line for line in other.read(record) if line["stage"] in names])
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
        for file in sorted(source.iterdir()):
            try:
                os.link(file, temporary / file.name)
            except OSError:  # another file system, or one without hard links
                shutil.copyfile(file, temporary / file.name)
