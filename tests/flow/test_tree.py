"""Stages that form a tree: from the start, a trunk, a release, another run's release; start models
that changed."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from flow.tiny import PER_STEP, assert_same, carry, killed_at, losses_at, run_of, tiny
from safetensors.torch import load_file, save_file

from evergrow.errors import InputError
from evergrow.listener import Listener
from evergrow.models.load import model_key
from evergrow.recipe import Recipe
from evergrow.run import Run
from evergrow.stage import checkpoints, legs

SHORT = 4 * PER_STEP


def tree(**changes: Any) -> Recipe:
    stages = [
        {"name": "one", "data": "land", "tokens": SHORT},
        {"name": "fresh", "data": "sea", "tokens": SHORT, "from": "start"},
        {"name": "settled", "data": "sea", "tokens": SHORT, "from": "one.release"},
        {"name": "on", "data": "sea", "tokens": SHORT, "from": "one"},
    ]
    return tiny(stages=stages, **changes)


@pytest.fixture(scope="module")
def grown(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_of(carry(tree(), tmp_path_factory.mktemp("tree"), base))


def weights(run: Run, name: str) -> dict[str, Any]:
    return load_file(run.folder / "checkpoints" / name / "model.safetensors")


def test_each_stage_begins_where_it_says(grown: Run) -> None:
    lines = {m["stage"]: [x for x in grown.read("metrics") if x["stage"] == m["stage"]]
             for m in grown.read("metrics")}  # fmt: skip
    steps = {
        name: [m["step"] for m in found if m["leg"] == "trunk"] for name, found in lines.items()
    }
    assert steps == {"one": [1, 2, 3, 4], "fresh": [1, 2, 3, 4], "settled": [5, 6, 7, 8],
                     "on": [5, 6, 7, 8]}  # fmt: skip
    assert lines["fresh"][0]["tokens"] == PER_STEP
    assert lines["settled"][0]["tokens"] == lines["on"][0]["tokens"] == 5 * PER_STEP
    # the trunk goes on with its moments, a release has none
    moments = [
        load_file(grown.folder / "checkpoints" / name / "optimizer.safetensors")
        for name in ("02-settled-trunk-000000008", "03-on-trunk-000000008")
    ]
    names = [n for n in moments[0] if n.startswith("step.")]
    assert {float(moments[0][n]) for n in names} == {4.0}
    assert {float(moments[1][n]) for n in names} == {8.0}


def test_a_stage_from_the_start_is_the_first_stage_again(base: Path, tmp_path: Path) -> None:
    stages = [
        {"name": "one", "data": "land", "tokens": SHORT},
        {"name": "between", "data": "sea", "tokens": SHORT},
        {"name": "again", "data": "land", "tokens": SHORT, "from": "start"},
    ]
    run = run_of(carry(tiny(stages=stages), tmp_path, base))
    one, again = (weights(run, f"{name}-trunk-000000004") for name in ("00-one", "02-again"))
    assert all(torch.equal(one[name], again[name]) for name in one)


@pytest.mark.parametrize("call", [4, 7])
def test_killed_it_goes_on_to_the_same_bytes(
    call: int, grown: Run, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at(monkeypatch, checkpoints, "save_checkpoint", call, after=True):
        carry(tree(), tmp_path, base)
    assert_same(run_of(carry(tree(), tmp_path, base)).folder, grown.folder)


def model_stage(path: Path) -> dict[str, Any]:
    return {"name": "other", "data": "sea", "tokens": SHORT, "from": str(path)}


def test_a_stage_begins_at_another_runs_release(
    grown: Run, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Path(shutil.copytree(grown.folder / "releases" / "on", tmp_path / "other"))
    stages = [*tree().to_data()["stages"][:1], model_stage(other)]
    recipe = tiny(stages=stages, sources=tree().to_data()["sources"])
    run = run_of(carry(recipe, tmp_path / "a", base))
    begin = run.manifest.stages[1].begin
    assert (begin.kind, begin.key) == ("model", model_key(other))
    assert run.manifest.stages[1].first_step == 0
    with killed_at(monkeypatch, legs, "_take_weights", 1):
        carry(recipe, tmp_path / "b", base)
    moved = other.rename(tmp_path / "moved")
    stages[1] = model_stage(moved)
    again = tiny(stages=stages, sources=tree().to_data()["sources"])
    assert_same_weights(run_of(carry(again, tmp_path / "b", base)), run)
    moved.rename(tmp_path / "away")  # and no stage needs it any more
    assert_same_weights(run_of(carry(again, tmp_path / "b", base)), run)


def assert_same_weights(run: Run, other: Run) -> None:
    for name in ("one", "other"):
        one, two = (r.folder / "releases" / name / "model.safetensors" for r in (run, other))
        assert one.read_bytes() == two.read_bytes()


def test_a_model_of_another_width_or_tokenizer_is_refused(
    grown: Run, base: Path, tmp_path: Path
) -> None:
    sources = tree().to_data()["sources"]
    stages = [*tree().to_data()["stages"][:1], model_stage(grown.folder / "releases" / "on")]
    given = {"tokenizer": {"folder": str(grown.folder.parent / "tokenizer")}}
    wider = tiny(stages=stages, sources=sources, model__hidden=32, **given)
    said = r"stages.other.from: .* another shape than this run's \(model.embed_tokens.weight is "
    with pytest.raises(InputError, match=said + r"words x 16 there, words x 32 here\)"):
        carry(wider, tmp_path / "a", base)
    assert not list((tmp_path / "a" / "tiny").glob("[a-z]*"))  # before anything is made
    words = tiny(stages=stages, sources=sources, tokenizer={"vocab_size": 290})
    with pytest.raises(InputError, match=r"stages.other.from: .* has another tokenizer than this"):
        carry(words, tmp_path / "b", base)


def started(path: Path) -> Recipe:
    return tiny(
        model={"from": str(path)},
        tokenizer=None,
        stages=[{"name": "one", "data": "land", "tokens": SHORT}],
    )


def test_changed_start_weights_are_refused_and_a_moved_folder_is_not(
    grown: Run, base: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(grown.folder / "releases" / "on", tmp_path / "model"))
    run = run_of(carry(started(model), tmp_path / "runs", base))
    before = run.manifest.stages
    moved = model.rename(tmp_path / "moved")
    assert run_of(carry(started(moved), tmp_path / "runs", base)).manifest.stages == before
    tensors = load_file(moved / "model.safetensors")
    save_file(
        {n: t + 1e-3 for n, t in tensors.items()}, moved / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(InputError, match=r"moved/model.safetensors: damaged or changed"):
        carry(started(moved), tmp_path / "runs", base)
    (moved / "evergrow.json").unlink()
    with pytest.raises(InputError, match=r"model.from: weights, .* of .*moved changed since this"):
        carry(started(moved), tmp_path / "runs", base)


def test_a_mistake_in_the_start_model_locks_nothing(grown: Run, base: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        carry(started(tmp_path / "nowhere"), tmp_path / "runs", base)
    said: list[str] = []
    folder = grown.folder / "releases" / "on"
    run = run_of(carry(started(folder), tmp_path / "runs", base, Listener(say=said.append)))
    assert run.manifest.status == "done"
    scores = {name: line.loss for name, line in losses_at(grown, "on").items()}
    assert losses_at(run, None)["land"].loss == pytest.approx(scores["land"], rel=1e-6)


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ("on", "begins at on, which comes later; name a stage before it"),
        ("settled", "begins at settled, which comes to be only by itself"),
    ],
)
def test_a_stage_that_comes_later_is_no_beginning(wanted: str, sentence: str) -> None:
    stages = tree().to_data()["stages"]
    stages[2]["from"] = wanted
    with pytest.raises(InputError, match=sentence):
        tiny(stages=stages)


def test_a_stage_at_another_place_is_not_taken_for_a_shared_one(base: Path, tmp_path: Path) -> None:
    two = {"name": "two", "data": "land", "tokens": SHORT, "from": "start"}
    one = {"name": "one", "data": "land", "tokens": 2 * SHORT}
    arms: dict[str, Any] = {"both": {"stages": [one, two]}, "alone": {"stages": [two]}}
    carried = carry(tiny(stages=[one, two], arms=arms, evaluate__sources=["land"]), tmp_path, base)
    both, alone = (run_of(carried, arm) for arm in arms)
    assert (alone.manifest.stages[0].release, alone.manifest.stages[0].num_steps) == (
        "releases/two",
        4,
    )
    files = [run.folder / "releases/two/model.safetensors" for run in (both, alone)]
    assert files[0].read_bytes() == files[1].read_bytes()
