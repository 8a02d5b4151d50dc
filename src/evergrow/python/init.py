"""The verb init: a recipe for a folder."""

import os
from pathlib import Path

from evergrow.flow.init import write_recipe
from evergrow.python.results import PathLike


def init(folder: PathLike, model: PathLike | None = None, *, name: str | None = None) -> Path:
    """Look at the files in ``folder`` and write a commented recipe for them, whose path is given.

    It is sized to the files and to this machine, and goes on with ``model``, a folder or a hub id,
    or makes one. ``name`` is that of recipe and run, by default the folder's. Raises InputError for
    a recipe that is there, and for too little to learn.
    """
    path, _ = write_recipe(Path(folder), None if model is None else os.fspath(model), name)
    return path
