"""What the report says of the audit of pictures."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flow.tiny import carry, run_of
from flow.tiny_pictures import PER_STEP, classifier, digits, page_of, save_films
from images.make import write_dicom

from evergrow.disk import sealed
from evergrow.run import Run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    stages = {f"stages__{n}__images": 2 * PER_STEP for n in (0, 1)}
    return run_of(carry(digits(**stages, evaluate__every=0), tmp_path, tmp_path)).folder.parent


def changed(root: Path, change: Any) -> str:
    """The page after a change of the audit."""
    path = root / "data" / "audit.json"
    audit = json.loads(path.read_text())
    change(audit)
    path.write_text(json.dumps(sealed(audit)))
    return page_of(Run(root / "main"))


def test_the_page_says_of_patients_on_two_sides(root: Path) -> None:
    assert "another side" not in page_of(Run(root / "main"))

    def change(audit: dict[str, Any]) -> None:
        own = audit["by_source"]["high"]
        own |= {"patients": 40, "on_other_side": 2}
        own["told"]["returning"] = {"low": {"patients": 3, "held_out": 5, "train": 1}}
        own["told"]["ids_alike"] = {"patients": 7, "listed": [{"first": "a#1", "second": "a#2"}]}
        pair = {"first": "a", "second": "b", "parts": "train, train", "labels": ["8", "9"]}
        audit["exact"]["label_conflicts"] = [pair]

    page = changed(root, change)
    assert "high: 2 patients are not on the side of their id" in page
    assert "high: 3 patients are on another side in low; of their pictures here 5 are held" in page
    assert "high: the ids of 7 patients are spelt in several ways" in page
    assert "<code>a#1</code>, <code>a#2</code>" in page
    assert "(0 across the split, 1 with labels that disagree)" in page


def test_the_page_says_how_pixels_came_about(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for n in range(80):
        header: dict[str, Any] = {"PatientID": f"id{n}", "PresentationIntentType": "FOR PROCESSING"}
        if n % 4 == 0:
            header["PhotometricInterpretation"] = "MONOCHROME1"
        if n % 8 == 0:
            header |= {"WindowCenter": 2000, "WindowWidth": 3000}
        pixels = draw.integers(0, 4096, (8, 8)).astype(np.uint16)
        pixels[0, :2] = 0, 4095
        write_dicom(tmp_path / f"films/{n}.dcm", pixels, **header)
    recipe = digits(
        sources={"all": {"images": ["films/*.dcm"]}},
        stages=[{"name": "all", "data": "all", "images": 2 * PER_STEP}],
        evaluate__every=0,
    )
    page = page_of(run_of(carry(recipe, tmp_path, tmp_path)))
    assert (
        "all: 80 of 12 bits, from 0 to 4,095; 20 inverted; 10 by a window; 80 FOR PROCESSING."
        in page
    )


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        (("train", "test"), "<td>60</td><td>40 (test)</td>"),
        (("train", "val"), "<td>60</td><td>40 (val)</td>"),
        (("train", "val", "test"), "<td>60</td><td>40</td><td>40 (test)</td>"),
    ],
)
def test_the_page_says_what_the_split_holds_out_and_what_was_told_of_it(
    splits: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    draw = np.random.default_rng(0)
    arrays = {}
    for split in splits:
        num = 60 if split == "train" else 40
        arrays[f"{split}_images"] = draw.integers(0, 256, (num, 16, 16), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(num) % 4 == 0
    save_films(tmp_path, **{k: v.astype(np.uint8) for k, v in arrays.items()})
    recipe = classifier(
        sources={"all": {"images": ["films.npz"]}},
        stages__0__images=2 * PER_STEP,
        evaluate__every=0,
    )
    page = page_of(run_of(carry(recipe, tmp_path, tmp_path)))
    assert said in page
    assert (
        f"all, {splits[-1]}</h4>" in page
        and "pictures, split as the data says; whose they are is not" in page
    )  # what was told, label by label
    assert re.search(r'most frequent label</th>\s*<td style="--shade: 75.0%">', page)
    assert "what is (rows), what is told (columns)" in page and "Balanced" in page
