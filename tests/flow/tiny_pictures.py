"""Small recipes on pictures that the tests of this room share."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from evergrow.config import override
from evergrow.recipe import Recipe, decode_recipe
from evergrow.report import write_report
from evergrow.run import Run

PER_STEP = 8


DIGITS: dict[str, Any] = {
    "name": "digits",
    "sources": {
        "low": {"pictures": "digits", "only": ["0", "1"]},
        "high": {"pictures": "digits", "only": ["8", "9"]},
    },
    "held_out": {"fraction": 0.2},
    "model": {"preset": "vit_mae", "hidden": 16, "layers": 2, "heads": 2, "patch": 2},
    "train": {"batch_size": PER_STEP, "threads": 1, "log_every": 2},
    "schedule": {"kind": "infinite", "peak_lr": 3e-3, "constant": 0.25},
    "replay": {"fraction": 0.25},
    "stages": [
        {"name": "low", "data": "low", "images": 12 * PER_STEP},
        {"name": "high", "data": "high", "images": 12 * PER_STEP},
    ],
    "evaluate": {"every": 6 * PER_STEP, "part": 20},
    "checkpoints": {"every": 3 * PER_STEP},
}


CLASSES = {
    "model": {"preset": "resnet", "hidden": 16, "layers": 2},
    "stages": [{"name": "all", "data": "all", "images": 10 * PER_STEP}],
    "sources": {"all": {"pictures": "digits", "size": 16}},
    "replay": {"fraction": 0},
}


def digits(**changes: Any) -> Recipe:
    data = json.loads(json.dumps(DIGITS))
    for path, value in changes.items():
        data = override(data, path.replace("__", "."), value)
    return decode_recipe(data)


def page_of(run: Run) -> str:
    """The page's text."""
    return write_report(run.folder.parent).read_text()


def classifier(**changes: Any) -> Recipe:
    return digits(**{**CLASSES, **changes})


UNFREEZE = {
    "stages__0__depth": {"unfreeze": {"head": 0, "-1": 0.35, "-2": 0.65}, "decay": 0.5},
    "schedule": {"kind": "cosine", "peak_lr": 1e-2},
}


def save_films(folder: Path, **arrays: np.ndarray) -> None:
    np.savez(folder / "films.npz", **arrays)


def two_classes(**changes: Any) -> Recipe:
    """Zeros and ones; a second source waits for a stage."""
    sources = {
        "all": {"pictures": "digits", "only": ["0", "1"]},
        "more": {"pictures": "digits", "only": ["2", "3"]},
    }
    return classifier(**{"sources": sources, "evaluate__every": 0, **changes})


MORE = {"name": "more", "data": "more", "images": 4 * PER_STEP}
