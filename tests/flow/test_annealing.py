import shutil
from pathlib import Path
from typing import Any

import pytest
from flow.tiny import (
    PER_STEP,
    assert_same,
    carry,
    contents,
    killed_at,
    run_of,
    sky,
    tiny,
    trunk,
)

from evergrow.errors import InputError
from evergrow.flow import annealing
from evergrow.flow.annealing import anneal
from evergrow.flow.verbs import continue_run, extend
from evergrow.lineage import read_node
from evergrow.listener import Listener
from evergrow.models.load import load_model
from evergrow.run import Run
from evergrow.stage import checkpoints


def test_anneal_leaves_the_trunk_alone_and_reads_what_comes_next(
    base: Path, whole: Path, lived: Path
) -> None:
    made = anneal(lived, 4 * PER_STEP, "linear", 0.1, Listener())
    assert made.name == f"two-anneal-{4 * PER_STEP}"
    assert load_model(made).config.hidden_size == 16
    run = Run(lived / "main")
    node = read_node(made)
    assert node is not None and sum(node.fed.values()) == node.details["passed"] == 28 * PER_STEP
    branch = [m for m in run.read("metrics") if m["leg"] == "branch"]
    assert [m["step"] for m in branch] == [25, 26, 27, 28]
    assert branch[-1]["lr"] == pytest.approx(3e-4)
    assert trunk(run) == trunk(Run(whole))
    extended = run_of(extend(lived, 12 * PER_STEP, Listener()))
    after = [m for m in trunk(extended) if m["step"] == 25]
    assert after[0]["loss"] == branch[0]["loss"]  # the same samples on the same weights
    assert load_model(made).config.hidden_size == 16


def test_anneal_reads_no_source_more_often_than_it_allows(base: Path, tmp_path: Path) -> None:
    recipe = tiny(sources__sea__max_epochs=1.0)
    run = run_of(carry(recipe, tmp_path, base))
    folder, seen = next(iter(run.manifest.stages[1].seen.items()))
    rest = round((seen.last - seen.first) / seen.epochs) - seen.last  # windows of one epoch left
    before = contents(run.folder)
    with pytest.raises(InputError, match=f"would read {folder} 1.* max_epochs 1; give it more"):
        anneal(run.folder, (rest // 3 + 4) * PER_STEP, "linear", 0.1, Listener())
    assert contents(run.folder) == before
    anneal(run.folder, 2 * PER_STEP, "linear", 0.1, Listener())


def test_anneal_twice_is_refused_and_continue_after_it_works(base: Path, lived: Path) -> None:
    anneal(lived, 2 * PER_STEP, "linear", 0.1, Listener())
    with pytest.raises(InputError, match="made before with another shape or floor, or before the"):
        anneal(lived, 2 * PER_STEP, "cosine", 0.1, Listener())
    before = Run(lived / "main").read("metrics")
    run = run_of(continue_run(lived, sky(base), 4 * PER_STEP, "three", Listener()))
    assert run.read("metrics")[: len(before)] == before
    assert [b.name for b in run.manifest.branches] == [f"two-anneal-{2 * PER_STEP}"]


@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_anneal_killed_and_given_again(
    shape: Any, lived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same again goes on; another shape must not go on from the first one's checkpoint."""
    other = Path(shutil.copytree(lived, tmp_path / "other" / "tiny"))
    anneal(other, 9 * PER_STEP, shape, 0.1, Listener())
    with killed_at(monkeypatch, checkpoints, "save_checkpoint", 2, after=True):
        anneal(lived, 9 * PER_STEP, "linear", 0.1, Listener())
    anneal(lived, 9 * PER_STEP, shape, 0.1, Listener())
    assert_same(lived / "main", other / "main")


def test_anneal_killed_after_its_release_is_made_anew(
    lived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Path(shutil.copytree(lived, tmp_path / "other" / "tiny"))
    anneal(other, 4 * PER_STEP, "linear", 0.1, Listener())
    with killed_at(monkeypatch, annealing, "write_release", 1, after=True):
        anneal(lived, 4 * PER_STEP, "linear", 0.1, Listener())
    anneal(lived, 4 * PER_STEP, "linear", 0.1, Listener())
    assert_same(lived / "main", other / "main")


def test_anneal_again_says_that_it_is_done(lived: Path) -> None:
    made = anneal(lived, 2 * PER_STEP, "linear", 0.1, Listener())
    before, said = contents(lived / "main"), list[str]()
    assert anneal(lived, 2 * PER_STEP, "linear", 0.1, Listener(say=said.append)) == made
    assert said == [f"{made}: done before; nothing was trained"]
    assert contents(lived / "main") == before
