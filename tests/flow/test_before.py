"""What the recipe alone tells is told before a file is written."""

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from flow.tiny import PER_STEP, carry, tiny

from evergrow.errors import InputError
from evergrow.flow import before
from evergrow.flow.dry import draw_plan
from evergrow.flow.verbs import continue_run
from evergrow.listener import Listener
from evergrow.recipe import Recipe, decode_recipe
from evergrow.schedules import Segment, rate

CORPUS = {"sources": ["land"], "executor": "ray"}
SCANS: dict[str, Any] = {
    "name": "p",
    "sources": {"scans": {"images": ["*.png"], "size": 32}},
    "model": {"preset": "resnet", "hidden": 16, "layers": 2},
    "train": {"batch_size": 2},
    "schedule": {"kind": "constant", "peak_lr": 1e-3},
    "stages": [{"name": "s", "data": "scans", "images": 100}],
}


def refused(recipe: Recipe, tmp_path: Path, base: Path) -> str:
    """The sentence of the refusal, after which nothing is there but the lock."""
    with pytest.raises(InputError) as caught:
        carry(recipe, tmp_path, base)
    assert [path.name for path in (tmp_path / recipe.name).iterdir()] == [".lock"]
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"model": {"from": "./no-such-model"}},
            "no-such-model: no such file or folder",
        ),
        ({"stages__1__from": "./gone"}, "gone: no such file or folder; give a model folder"),
        ({"train__device": "mps"}, "finds no mps device here; use auto or cpu"),
        ({"stages__1__train": {"device": "mps"}}, "finds no mps device here; use auto or cpu"),
        (
            {"stages__1__tokens": 100},
            "a stage of 100 tokens is shorter than one step of 128 tokens; give it more",
        ),
        (
            {"schedule__warmup": 0.4, "schedule__anneal__fraction": 0.9},
            "a stage of 12 steps has no room for its warm-up and an anneal of 11 steps",
        ),
        (
            {"stages__1__optimizer_state": {"refill": 12}},
            "stages.two.optimizer_state: refill 12 of the stage's 12 steps leaves none that trains",
        ),
        ({"stages__1__grow": {"to": {"hidden": 8}}}, "hidden=8: smaller than the source's 16"),
        (
            {
                "stages__1__grow": {"to": {"hidden": 32}, "method": "average"},
                "model__preset": "llama",
            },
            "average",
        ),
        ({"stages__0__two_stage": {"layers": 2}}, "two_stage.layers: 2 of 2 layers leave no"),
        (
            {
                "model__preset": "bert",
                "replay__fraction": 0,
                "stages__1__train": {"sequence_length": 64},
            },
            "stages.two.train.sequence_length: 64 is longer than the 32 positions of this run's "
            "model; set it to 32 or less, or set train.sequence_length",
        ),
    ],
)
def test_told_before(changes: dict[str, Any], said: str, tmp_path: Path, base: Path) -> None:
    assert said in refused(tiny(**changes), tmp_path, base)


def test_no_cuda_is_told_before(tmp_path: Path, base: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "finds no cuda device here" in refused(tiny(train__device="cuda"), tmp_path, base)


@pytest.mark.parametrize(
    ("missing", "recipe", "said"),
    [
        ("PIL", decode_recipe(SCANS), "sources.scans: pictures need the package PIL; install ever"),
        (
            "sklearn",
            decode_recipe({**SCANS, "sources": {"scans": {"pictures": "digits"}}}),
            "sources.scans: pictures need the package sklearn; install evergrow[vision]",
        ),
        ("ray", tiny(corpora={"c": CORPUS}), "corpora.c.executor: ray, but Ray is not installed"),
    ],
)
def test_a_missing_package_is_told_before(
    missing: str, recipe: Recipe, said: str, tmp_path: Path, base: Path, monkeypatch: Any
) -> None:
    there = lambda name: None if name == missing else find_spec(name) or object()  # noqa: E731
    monkeypatch.setattr(before, "find_spec", there)
    assert said in refused(recipe, tmp_path, base)


def test_other_verbs_are_told_before_too(tmp_path: Path, base: Path, whole: Path) -> None:
    root = Path(shutil.copytree(whole.parent, tmp_path / "tiny"))
    data = sorted(path.name for path in (root / "data").iterdir())
    with pytest.raises(InputError, match="a stage of 100 tokens is shorter than one step of 128"):
        continue_run(root, [str(base / "sky/*.txt")], 100, "sky", Listener())
    assert sorted(path.name for path in (root / "data").iterdir()) == data
    with pytest.raises(InputError, match="finds no mps device here"):
        draw_plan(tiny(train__device="mps"), base, Listener(), tmp_path)


def test_growths_follow_one_another(tmp_path: Path, base: Path) -> None:
    recipe = tiny(stages__1__grow={"to": {"layers": 4}})
    stages = [*recipe.stages, recipe.stages[1].model_copy(update={"name": "three"})]
    data = recipe.model_copy(update={"stages": stages}).to_data()
    data["stages"][2]["grow"]["to"] = {"layers": 3}
    assert "layers=3: smaller than the source's 4" in refused(decode_recipe(data), tmp_path, base)


def test_a_loaded_models_stage_warms_up(base: Path, tmp_path: Path, whole: Path) -> None:
    release = whole / "releases/two"
    changes = {"tokens": 200 * PER_STEP}
    recipe = tiny(
        model={"from": str(release)},
        stages=[{"name": "one", "data": "land", **changes}],
        sources__land__max_epochs=99,
        replay={},
    )
    assert recipe.has_fresh_moments(0)
    assert not any(tiny().has_fresh_moments(index) for index in (0, 1))
    refilled = tiny(model={"from": "m"}, stages__0__optimizer_state={"refill": 5})
    assert not refilled.has_fresh_moments(0)
    laid = before.lay_schedule(recipe, 0, 0, 200, PER_STEP, None)
    trunk: list[Segment] = list(laid.trunk)
    assert [rate(trunk, PER_STEP * step) for step in (20, 40)] == pytest.approx([1.5e-3, 3e-3])
    listener, said = Listener(), []
    listener.say = said.append
    carry(
        decode_recipe({**recipe.to_data(), "evaluate": {"sample_tokens": 0}}),
        tmp_path,
        base,
        listener,
    )
    rule = "; warms up over 40 steps, 2 / (1 - beta2), in which the optimiser's moments fill"
    assert [rule in word for word in said if "restored" in word] == [True]
