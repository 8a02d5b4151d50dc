import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from flow.tiny import PER_STEP, assert_same, carry, contents, killed_at, losses_at, run_of, tiny

from evergrow.data import tokens
from evergrow.disk import sealed
from evergrow.errors import InputError
from evergrow.flow import dispatch, recipes
from evergrow.flow.corpora import why
from evergrow.flow.find import runs_of
from evergrow.flow.verbs import extend
from evergrow.listener import Listener
from evergrow.recipe import load_recipe
from evergrow.run import Run
from evergrow.stage import adopt, checkpoints, legs
from evergrow.train import loop
from evergrow.train.config import LoopConfig


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
    assert carried.summary.status == "done"


@pytest.mark.usefixtures("with_pages")
def test_the_report_stands_beside_the_summary(base: Path, lived: Path) -> None:
    carried = carry(tiny(), lived.parent, base)
    assert "<html" in carried.report.read_text()
    text = (carried.folder / "summary.json").read_text()
    assert json.loads(text) == sealed(carried.summary.model_dump(mode="json"))


def test_a_run_answers_for_the_documents_of_its_plain_sources(lived: Path) -> None:
    answer = why(lived, "sea/03.txt", lived.parent)
    [told] = answer.documents
    assert (answer.corpus, told.decision.keep) == ("sea", True)
    assert {(held.source, held.stages[0]) for held in told.runs if held.stages} == {("sea", "two")}
    with pytest.raises(InputError, match=r"no document has the id, key or path .air\.txt."):
        why(lived, "air.txt", lived.parent)


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


RESOURCES: dict[str, Any] = {
    "micro_batch_size": 2,
    "activation_checkpointing": True,
    "device": "cpu",
    "precision": "bf16",
    "compile": False,
    "threads": 2,
    "log_every": 3,
}


def test_all_resources_are_tried() -> None:
    assert RESOURCES.keys() == LoopConfig.RESOURCES


@pytest.mark.parametrize("name", RESOURCES)
def test_a_resource_may_change_when_a_run_goes_on(
    name: str, base: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "precision":
        monkeypatch.setattr(loop, "autocast", lambda config, device: torch.autocast("cpu"))
    with killed_at(monkeypatch, checkpoints, "save_checkpoint", 3, after=True):
        carry(tiny(), tmp_path, base)
    changes = {f"train__{name}": RESOURCES[name], "stages__1__train": {name: RESOURCES[name]}}
    run = run_of(carry(tiny(**changes), tmp_path, base))
    assert run.manifest.status == "done"
    assert [s.key for s in run.manifest.stages] == [s.key for s in Run(whole).manifest.stages]
    now, before = (losses_at(found, "two") for found in (run, Run(whole)))
    for source in ("land", "sea"):
        assert now[source].loss == pytest.approx(before[source].loss, abs=0.05)


def test_killed_while_tokenising_it_goes_on_from_its_own_recipe(
    base: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at(monkeypatch, tokens, "write_shards", 2):
        carry(tiny(), tmp_path, base)
    root = tmp_path / "tiny"
    assert [path.name for path in (root / "data").glob("[a-z]*-*")] == [
        path.name for path in (whole.parent / "data").glob("land-*")
    ]
    said: list[str] = []
    again = load_recipe(root / "recipe.yaml")
    carried = carry(again, tmp_path, root, Listener(say=said.append))
    assert [word for word in said if word.endswith("tokenising")] == ["sea: tokenising"]
    assert_same(carried.folder / "main", whole)


def test_a_refused_edit_leaves_the_recipe_as_it_was(base: Path, lived: Path) -> None:
    before = (lived / "recipe.yaml").read_text()
    with pytest.raises(InputError, match="was 2 when this run began"):
        carry(tiny(model__layers=3), lived.parent, base)
    assert (lived / "recipe.yaml").read_text() == before


def test_a_recipe_in_a_runs_folder_means_that_run(lived: Path, tmp_path: Path) -> None:
    mine = lived / "recipe.yaml"
    assert runs_of(mine, Path("runs")) == lived.parent
    shutil.copy(mine, tmp_path / "recipe.yaml")  # a copy elsewhere is any recipe
    assert runs_of(tmp_path / "recipe.yaml", Path("runs")) == Path("runs")
    assert runs_of(lived / "other.yaml", Path("runs")) == Path("runs")
    moved = lived.rename(lived.parent / "moved")
    with pytest.raises(InputError, match="is of the run tiny, but its folder is called moved; ca"):
        runs_of(moved / "recipe.yaml", Path("runs"))


def test_the_resolved_copy_by_another_name_finds_the_same_files(base: Path, lived: Path) -> None:
    changes = {"name": "again", "stages.1.tokens": 6 * PER_STEP}
    again = carry(load_recipe(lived / "recipe.yaml", changes), lived.parent, lived)
    assert again.folder == lived.parent / "again"
    assert recipes.remembered_base(again.folder) == base.resolve()
    assert again.summary.streams == ["one", "two"]


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
    first = [[e for e in lines if e["stage"] == "one"] for lines in evals]
    assert first[0] == first[1]
    record = run_of(carried, "replayed").manifest.stages[0]
    assert record.shared_with == "../infinite"
    arms = carried.summary.arms
    assert arms["infinite"].num_tokens == arms["replayed"].num_tokens == 24 * PER_STEP
    assert arms["infinite"].loss_matrix[0] == arms["replayed"].loss_matrix[0]
    # what becomes of the first arm later does not touch the second
    shutil.rmtree(carried.folder / "infinite" / "checkpoints")
    shutil.rmtree(carried.folder / "infinite" / "releases")
    assert contents(carried.folder / "replayed") == two


def test_a_stage_is_shared_wherever_it_stands_and_whatever_is_measured(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tiny().to_data()["stages"]
    other = {"name": "other", "data": "sky", "tokens": 4 * PER_STEP}
    tree = [other, {**one, "from": "start"}, {**two, "from": "one"}]
    sky = {"files": ["sky/*.txt"]}
    arms = {"tree": {"stages": tree}, "plain": {"evaluate.sources": ["sky"]}, "line": {}}
    trained: list[tuple[str, int]] = []
    work = dispatch.carry_out_stage

    def count(folder: Path, index: int, listener: Any) -> None:
        trained.append((folder.name, index))
        work(folder, index, listener)

    monkeypatch.setattr(dispatch, "carry_out_stage", count)
    carried = carry(tiny(arms=arms, sources__sky=sky), tmp_path, base)
    assert trained == [("tree", 0), ("tree", 1), ("tree", 2)]
    alone = run_of(carry(tiny(sources__sky=sky), tmp_path / "alone", base)).folder
    line = contents(carried.folder / "line")
    for name, data in contents(alone).items():
        if name.endswith((".safetensors", "metrics.jsonl")):
            assert line[name] == data
    longer = run_of(extend(carried.folder / "line", 2 * PER_STEP, Listener()), "line")
    planned = run_of(
        carry(tiny(sources__sky=sky, stages__1__tokens=14 * PER_STEP), tmp_path / "planned", base)
    )
    for name in ("metrics.jsonl", "releases/two/model.safetensors"):
        assert (longer.folder / name).read_bytes() == (planned.folder / name).read_bytes()


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
    path.write_text(json.dumps(sealed(json.loads(path.read_text()) | {"format": 99})))
    with pytest.raises(InputError, match="format 99 is newer than 2"):
        carry(tiny(), lived.parent, base)


def test_a_manifest_of_an_earlier_version_is_refused(base: Path, lived: Path) -> None:
    path = lived / "main" / "manifest.json"
    path.write_text(json.dumps(sealed(json.loads(path.read_text()) | {"format": 1})))
    with pytest.raises(InputError, match="format 1 was written by an earlier evergrow"):
        carry(tiny(), lived.parent, base)


def test_changed_files_under_a_run_are_said_and_it_goes_on(
    base: Path, lived: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(base, tmp_path / "moved"))
    (moved / "sea" / "03.txt").write_text("other words\n")
    (moved / "sea" / "04.txt").unlink()
    (moved / "sea" / "99.txt").write_text("new words\n")
    before, said = contents(lived / "main"), []
    carry(tiny(), lived.parent, moved, Listener(say=said.append))
    assert contents(lived / "main") == before
    assert len(said) == 2 and said[1].endswith("done before; nothing is trained")
    assert said[0].startswith("sea: sea/03.txt changed and 2 more since it was made;")
    assert "evergrow continue RUN --new" in said[0]


def test_a_source_added_to_what_is_measured_is_measured_and_nothing_trained(
    base: Path, lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(lived / "main")
    monkeypatch.setattr(dispatch, "carry_out_stage", None)  # would raise
    recipe = tiny(sources__sky={"files": ["sky/*.txt"]}, evaluate__sources=["sky"])
    summary = carry(recipe, lived.parent, base).summary
    after = contents(lived / "main")
    assert [n for n in before if n != "manifest.json" and before[n] != after[n]] == []
    assert len(summary.arms["main"].extra["sky"]) == 3  # before, and after both stages
    assert None not in summary.arms["main"].extra["sky"]


def test_an_edit_of_a_stage_that_has_not_begun_is_allowed(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at(monkeypatch, legs, "_enter", 2):  # the first stage is done
        carry(tiny(), tmp_path / "killed", base)
    other = tiny(
        stages__1__data="sky", sources__sky={"files": ["sky/*.txt"]}, tokenizer__vocab_size=300
    )
    again = run_of(carry(other, tmp_path / "killed", base))
    assert again.manifest.stages[1].mixture == {"sky": 1.0}
    assert again.manifest.status == "done"


def test_what_a_refused_recipe_left_behind_blocks_nothing(base: Path, tmp_path: Path) -> None:
    wrong = tiny(sources__sea__max_epochs=0.0001)
    with pytest.raises(InputError, match="more than its max_epochs"):
        carry(wrong, tmp_path, base)
    smaller = tiny(tokenizer__vocab_size=280, held_out__tokens=400)
    again = run_of(carry(smaller, tmp_path, base))
    assert again.manifest.status == "done"
    assert len(list((again.folder.parent / "data").glob("*-*"))) == 2


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
