import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from flow.tiny import PER_STEP, assert_same, carry, contents, killed_at, run_of, tiny

from evergrow.errors import InputError
from evergrow.flow import adopt, checkpoints, dispatch, recipes
from evergrow.recipe import load_recipe
from evergrow.run import Run


@pytest.fixture
def lived(whole: Path, tmp_path: Path) -> Path:
    """A copy of the finished recipe's folder."""
    return Path(shutil.copytree(whole.parent, tmp_path / "lived" / "tiny"))


def test_running_again_does_nothing_and_says_the_same(
    base: Path, lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(lived / "main")
    monkeypatch.setattr(dispatch, "carry_out_stage", None)  # would raise
    carried = carry(tiny(), lived.parent, base)
    assert contents(lived / "main") == before
    assert carried.summary["status"] == "done"


@pytest.mark.usefixtures("with_pages")
def test_the_report_stands_beside_the_summary(base: Path, lived: Path) -> None:
    carried = carry(tiny(), lived.parent, base)
    assert "<html" in carried.report.read_text()
    assert json.loads((carried.folder / "summary.json").read_text()) == carried.summary


EDITS: dict[str, tuple[dict[str, Any], str]] = {
    "peak": (
        {"schedule__peak_lr": 0.01},
        "recipe.schedule.peak_lr: was 0.003 when this run began, now 0.01",
    ),
    "beside a harmless one": (
        {"train__log_every": 5, "train__z_loss": 0.0},
        "recipe.train.z_loss: was 1e-05 when this run began, now 0.0",
    ),
    "the model": ({"model__layers": 3}, "recipe.model.layers: was 2 when this run began, now 3"),
    "an earlier stage": (
        {"stages__0__tokens": 14 * PER_STEP},
        "recipe.stages[0].tokens: was 1,536 when this run began, now 1,792; "
        "only the last stage may grow",
    ),
    "a shorter last stage": (
        {"stages__1__tokens": 11 * PER_STEP},
        "recipe.stages[1].tokens: was 1,536 when this run began, now 1,408; "
        "only the last stage may grow",
    ),
    "other data in a stage": (
        {"stages__1__data": "land"},
        "recipe.stages[1].data: was 'sea' when this run began, now 'land'",
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_recipe_is_refused_with_the_path_and_both_ways_out(
    edit: str, base: Path, lived: Path
) -> None:
    changes, sentence = EDITS[edit]
    before = contents(lived / "main"), (lived / "recipe.yaml").read_bytes()
    with pytest.raises(InputError) as refused:
        carry(tiny(**changes), lived.parent, base)
    ways_out = "; give the recipe a new name, or start over with --fresh"
    assert str(refused.value) == sentence + ways_out
    assert (contents(lived / "main"), (lived / "recipe.yaml").read_bytes()) == before


def test_bytes_of_another_version_are_refused_as_such(
    base: Path, lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evergrow.flow import units

    monkeypatch.setattr(units, "VERSION", 999)
    with pytest.raises(InputError, match="begun by a version of evergrow that gives other bytes"):
        carry(tiny(), lived.parent, base)


def test_the_last_stage_may_grow_and_stages_may_follow(
    base: Path, lived: Path, tmp_path: Path
) -> None:
    more = {"name": "three", "data": "land", "tokens": 6 * PER_STEP}
    stages = [*tiny().to_data()["stages"], more]
    stages[1]["tokens"] = 16 * PER_STEP
    grown = run_of(carry(tiny(stages=stages), lived.parent, base))
    planned = run_of(carry(tiny(stages=stages), tmp_path / "planned", base))
    assert_same(grown.folder, planned.folder)


def test_fresh_starts_over(base: Path, lived: Path) -> None:
    recipe = tiny(schedule__peak_lr=1e-3)
    run = run_of(carry(recipe, lived.parent, base, fresh=True))
    assert max(m["lr"] for m in run.read("metrics")) < 1e-3
    assert load_recipe(lived / "recipe.yaml").schedule.peak_lr == 1e-3


def test_fresh_never_deletes_what_others_put_there(base: Path, lived: Path) -> None:
    (lived / "notes").mkdir()
    (lived / "notes" / "precious.txt").write_text("mine")
    before = contents(lived / "main")
    with pytest.raises(InputError, match=r"notes: no run of evergrow made this, so --fresh"):
        carry(tiny(), lived.parent, base, fresh=True)
    assert contents(lived / "main") == before
    assert (lived / "notes" / "precious.txt").exists()


def test_the_resolved_copy_runs_where_it_lies(base: Path, lived: Path) -> None:
    """Its globs still start at the recipe's folder."""
    before = contents(lived / "main")
    recipe = load_recipe(lived / "recipe.yaml")
    carry(recipe, lived.parent, lived)
    assert contents(lived / "main") == before


def test_a_missing_data_folder_is_made_again(base: Path, lived: Path) -> None:
    before = contents(lived / "main")
    shutil.rmtree(next(lived.glob("data/sea-*")))
    carry(tiny(stages__1__tokens=14 * PER_STEP), lived.parent, base)
    assert len(list(lived.glob("data/sea-*"))) == 1
    after = contents(lived / "main")
    assert (
        before["checkpoints/00-one-trunk-000000012/model.safetensors"]
        == (after["checkpoints/00-one-trunk-000000012/model.safetensors"])
    )


ARMS = {"infinite": {}, "replayed": {"stages.1.replay": {"fraction": 0.5}}}


def test_a_stage_that_two_arms_share_is_trained_once(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[str, int]] = []
    work = dispatch.carry_out_stage

    def count(folder: Path, index: int, listener: Any) -> None:
        trained.append((folder.name, index))
        work(folder, index, listener)

    monkeypatch.setattr(dispatch, "carry_out_stage", count)
    carried = carry(tiny(arms=ARMS), tmp_path, base)
    assert trained == [("infinite", 0), ("infinite", 1), ("replayed", 1)]
    one, two = (contents(carried.folder / arm) for arm in ARMS)
    shared = [name for name in one if name.startswith(("releases/one", "checkpoints/00"))]
    assert len(shared) > 8
    assert [name for name in shared if two.get(name) != one[name]] == []
    evals = [Run(carried.folder / arm).read("evals") for arm in ARMS]
    first = [[e for e in lines if e["stage"] in (None, "one")] for lines in evals]
    assert first[0] == first[1]
    record = run_of(carried, "replayed").manifest.stages[0]
    assert record.shared_with == "../infinite"
    arms = carried.summary["arms"]
    assert arms["infinite"]["num_tokens"] == arms["replayed"]["num_tokens"] == 24 * PER_STEP
    assert arms["infinite"]["loss_matrix"][0] == arms["replayed"]["loss_matrix"][0]
    # what becomes of the first arm later does not touch the second
    shutil.rmtree(carried.folder / "infinite" / "checkpoints")
    shutil.rmtree(carried.folder / "infinite" / "releases")
    assert contents(carried.folder / "replayed") == two


@pytest.mark.parametrize("place", ["files", "records", "manifest"])
def test_killed_while_a_stage_is_adopted(
    place: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny(arms=ARMS)
    whole = carry(recipe, tmp_path / "whole", base).folder
    where, name, call = {
        "files": (adopt, "_link_folder", 2),
        "records": (adopt.os.path, "relpath", 1),
        "manifest": (Run, "save_stage", 3),
    }[place]
    with killed_at(monkeypatch, where, name, call):
        carry(recipe, tmp_path / "killed", base)
    assert Run(tmp_path / "killed" / "tiny" / "replayed").manifest.stages[0].status == "pending"
    killed = carry(recipe, tmp_path / "killed", base).folder
    for arm in ARMS:
        assert_same(killed / arm, whole / arm)


def test_where_there_are_no_hard_links_files_are_copied(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError("this file system has no hard links")

    monkeypatch.setattr(adopt.os, "link", refuse)
    carried = carry(tiny(arms=ARMS), tmp_path, base)
    files = [carried.folder / arm / "releases" / "one" / "model.safetensors" for arm in ARMS]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].stat().st_ino != files[1].stat().st_ino


def test_a_newer_manifest_is_refused(base: Path, lived: Path) -> None:
    path = lived / "main" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(InputError, match="format 99 is newer than 1"):
        carry(tiny(), lived.parent, base)


def test_changed_files_under_a_run_are_refused(base: Path, lived: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(base, tmp_path / "moved"))
    (moved / "sea" / "03.txt").write_text("other words\n")
    with pytest.raises(InputError, match=r"sources.sea: .*03.txt changed"):
        carry(tiny(), lived.parent, moved)


def test_the_branch_points_are_what_is_kept(lived: Path) -> None:
    run = Run(lived / "main")
    assert [(m.index, m.leg, m.step) for m in checkpoints.marks(run)] == [
        (0, "trunk", 9),
        (0, "trunk", 12),
        (1, "trunk", 21),
        (1, "trunk", 24),
    ]
    assert recipes.remembered_base(lived).is_dir()


def test_what_no_arm_learns_is_held_out_whole_and_what_one_learns_is_not(
    base: Path, tmp_path: Path
) -> None:
    recipe = tiny(
        sources__sky={"files": ["sky/*.txt"]},
        evaluate__sources=["land", "sea", "sky"],
        arms={"second": {"stages": [tiny().to_data()["stages"][1]]}, "both": {}},
    )
    carry(recipe, tmp_path, base)
    tokens = {}
    for manifest in (tmp_path / "tiny/data").glob("*/manifest.json"):
        data = json.loads(manifest.read_text())
        tokens[data["source"]] = data["num_tokens"], data["held_out"]["num_documents"]
    assert tokens["sky"][0] == 0 and tokens["sky"][1] >= 24
    assert tokens["land"][0] > 10 * PER_STEP and tokens["sea"][0] > 10 * PER_STEP
