"""Files are what they hold: however a path is written, and whichever source names them."""

import json
import shutil
from pathlib import Path

import pytest
from flow.tiny import PER_STEP, carry, run_of, tiny

from evergrow.listener import Listener
from evergrow.run import Run

ONE = [{"name": "one", "data": "land", "tokens": 6 * PER_STEP}]


def read_as(base: Path, runs: Path, globs: list[str]) -> Run:
    recipe = tiny(
        sources={"land": {"files": globs}}, stages=ONE, replay={}, evaluate={"sample_tokens": 0}
    )
    return run_of(carry(recipe, runs, base))


@pytest.mark.parametrize(
    "spelling",
    [
        "./land/*.txt",
        "{base}/land/*.txt",
        "land",
        "sea/../land/*.txt",
    ],
)
def test_samples_come_in_the_same_order_however_a_path_is_written(
    spelling: str, base: Path, tmp_path: Path
) -> None:
    texts = Path(shutil.copytree(base, tmp_path / "texts"))
    plain = read_as(texts, tmp_path / "plain", ["land/*.txt"])
    other = read_as(texts, tmp_path / "other", [spelling.format(base=texts)])
    metrics = [(run.folder / "metrics.jsonl").read_bytes() for run in (plain, other)]
    assert metrics[0] == metrics[1]
    assert plain.manifest.stages[0].key == other.manifest.stages[0].key


def test_a_folder_that_moves_gives_the_same_samples(base: Path, tmp_path: Path) -> None:
    one = Path(shutil.copytree(base, tmp_path / "one"))
    two = Path(shutil.copytree(base, tmp_path / "deep" / "two"))
    runs = [
        read_as(folder, tmp_path / f"runs-{folder.name}", [f"{folder}/land/*.txt"])
        for folder in (one, two)
    ]
    metrics = [(run.folder / "metrics.jsonl").read_bytes() for run in runs]
    assert metrics[0] == metrics[1]


def test_a_document_that_is_also_measured_is_never_trained_on(base: Path, tmp_path: Path) -> None:
    """What is only measured wins, counted and said, whichever source the recipe names first."""
    for order in (["land", "test"], ["test", "land"]):
        sources = {
            "land": {"files": ["land/*.txt"]},
            "test": {"files": ["land/0*.txt", "sky/00.txt"]},
        }
        said: list[str] = []
        recipe = tiny(
            sources={name: sources[name] for name in order},
            stages=ONE,
            replay={},
            evaluate={"sample_tokens": 0, "sources": ["test"]},
        )
        run = run_of(carry(recipe, tmp_path / order[0], base, Listener(say=said.append)))
        manifests = {
            name: json.loads((run.folder.parent / path / "manifest.json").read_text())
            for name, path in run.manifest.data.items()
        }
        assert manifests["land"]["in_others"] == 10 and manifests["test"]["in_others"] == 0
        assert "land: 10 documents that other sources hold are left out" in said
