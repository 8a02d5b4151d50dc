"""Pictures whose own split has a val and a test: choices on the one, numbers on the other."""

import json
from pathlib import Path

import numpy as np
import pytest
from flow.tiny import carry, losses_at, probes_at, run_of, scores_at

from evergrow.run import Run

from .tiny_pictures import PER_STEP, classifier, digits, save_films

SIZES = {"train": 60, "val": 30, "test": 40}
CLASSES = {
    "sources": {"all": {"images": ["films.npz"]}},
    "stages": [{"name": "all", "data": "all", "images": 4 * PER_STEP}],
    "evaluate": {"every": 2 * PER_STEP, "part": 20},
}


def films(folder: Path, *splits: str) -> None:
    """Noise; in val every second picture is of class 1, in test every fourth."""
    draw = np.random.default_rng(0)
    arrays = {}
    for split in splits:
        num, every = SIZES[split], 4 if split == "test" else 2
        arrays[f"{split}_images"] = draw.integers(0, 256, (num, 16, 16), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.array([n % every == 0 for n in range(num)]).astype(int)
    save_films(folder, **arrays)


def trained(folder: Path, *splits: str) -> Run:
    films(folder, *splits)
    return run_of(carry(classifier(**CLASSES), folder, folder))


def looks(run: Run) -> list[dict[str, object]]:
    return [line for line in run.read("evals") if line["source"] == "all"]


def test_curves_probes_and_sheets_are_of_val_and_numbers_of_test(tmp_path: Path) -> None:
    run = trained(tmp_path, *SIZES)
    line = losses_at(run, "all")["all"]
    assert (line.part, line.counts["num_pictures"]) == ("test", 40)
    assert {(look["part"], look["counts"]["num_pictures"]) for look in looks(run)} == {("val", 20)}
    assert {p.counts["num_pictures"] for p in probes_at(run, "all")} == {30}
    (sheet,) = (line for score in scores_at(run, "all") for line in score.shown)
    assert 8 < len(sheet.cases) <= 16
    audit = json.loads((run.folder.parent / "data" / "audit.json").read_text())
    own = audit["by_source"]["all"]
    assert [own[part] for part in ("train", "val", "held_out")] == [60, 30, 40]
    assert own["told"]["split"] == ["test", "train", "val"]


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_part_alone_is_held_out_and_named(split: str, tmp_path: Path) -> None:
    run = trained(tmp_path, "train", split)
    line = losses_at(run, "all")["all"]
    assert (line.part, line.counts["num_pictures"]) == (split, SIZES[split])
    assert {look["part"] for look in looks(run)} == {split}
    assert not list(run.folder.parent.glob("data/*/val"))


def test_a_masked_autoencoder_has_a_floor_for_each_part(tmp_path: Path) -> None:
    films(tmp_path, *SIZES)
    changes = {
        **CLASSES,
        "model": {"preset": "vit_mae", "hidden": 16, "layers": 1, "heads": 2, "patch": 4},
    }
    run = run_of(carry(digits(**changes, replay={"fraction": 0}), tmp_path, tmp_path))
    line, look = losses_at(run, "all")["all"], looks(run)[0]
    assert (line.part, look["part"]) == ("test", "val")
    assert line.floor is not None and line.floor != look["floor"]
