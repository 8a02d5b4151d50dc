"""A first recipe for a folder: what its files are, what this machine does in minutes, in YAML."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evergrow.corpus.globs import match_files
from evergrow.errors import InputError
from evergrow.flow.init_pictures import PICTURES, describe_pictures, pictures_recipe
from evergrow.flow.init_text import describe_text, text_recipe
from evergrow.models.find import RUNS, find_model
from evergrow.processes import usable_cores
from evergrow.run import refuse_missing, run_folders

OF_MATMUL = 0.25  # what training of small models on a CPU reaches of a matrix product's speed


@dataclass(frozen=True)
class Machine:
    """The processors that training has, and the operations a second that it may expect of them."""

    cores: int
    speed: float


def write_recipe(folder: Path, model: str | None, name: str | None) -> tuple[Path, list[str]]:
    """Write ``NAME.yaml`` here, for the files in ``folder``; returns its path and what was seen.

    It goes on with ``model``, a folder or a hub id, or makes one. Raises InputError for a file that
    is there, for a folder without files of text or pictures, and for too little of either.
    """
    files = _files_in(folder)
    called = name or _name_of(folder)
    path = Path(f"{called}.yaml")
    for taken in (path, Path(RUNS) / called):
        if taken.exists():
            raise InputError(f"{taken}: exists; give another --name, or delete it")
    machine = measured()
    pictures = [file for file in files if file.suffix.lower() in PICTURES]
    texts = [file for file in files if file.suffix.lower() not in PICTURES]
    if len(pictures) > len(texts):
        if model is not None:
            raise InputError("--model: is for text; of pictures set model.from in the recipe")
        found = describe_pictures(folder, pictures)
        text, seconds = pictures_recipe(called, found, machine.speed)
    else:
        found = describe_text(folder, texts, bool(pictures))
        text, seconds = text_recipe(called, found, machine.speed, _model(model, folder))
    path.write_text(text, encoding="utf-8")
    cores = f"{machine.cores} core{'s' if machine.cores > 1 else ''}"
    return path, [found.said, f"about {_minutes(seconds)} on {cores} of this machine"]


def _files_in(folder: Path) -> list[Path]:
    refuse_missing(folder, "give the folder that holds your files")
    if folder.is_file():
        raise InputError(f"{folder}: a file; give the folder that it is in")
    found = match_files([str(folder)], Path.cwd(), "init").files
    return [file for file in found if isinstance(file, Path)]


def _name_of(folder: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", folder.resolve().name).strip("-_")[:64]
    return name or "first"


def _model(model: str | None, folder: Path) -> tuple[str, Path] | None:
    """A model's name and folder; a run is refused: its trunk can go on, which is better."""
    if model is None:
        return None
    typed = Path(model)
    if typed.is_dir() and not (typed / "config.json").exists() and run_folders(typed):
        raise InputError(
            f"--model: {model} is a run, whose trunk goes on without a recipe: evergrow continue "
            f"{model} --data {folder} --tokens 1M --name {_name_of(folder)}"
        )
    return model, find_model(model)


def measured() -> Machine:
    """A product of two matrices for a tenth of a second, on the cores that this process may use."""
    matrix = np.random.default_rng(0).random((512, 512), dtype=np.float32)
    np.matmul(matrix, matrix)
    begun, times = time.perf_counter(), 0
    while time.perf_counter() - begun < 0.1:
        np.matmul(matrix, matrix)
        times += 1
    speed = 2 * 512**3 * times / (time.perf_counter() - begun)
    return Machine(usable_cores(), OF_MATMUL * speed)


def _minutes(seconds: float) -> str:
    return "a minute" if seconds < 90 else f"{seconds / 60:.0f} minutes"
