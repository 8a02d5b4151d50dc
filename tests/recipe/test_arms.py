"""Arms: overrides of the recipe, each a recipe of its own."""

from pathlib import Path
from typing import Any

import pytest
from recipe.recipes import TEXT, recipe, sentence

from evergrow.recipe import decode_recipe, load_recipe


def test_an_arm_is_the_recipe_with_its_overrides() -> None:
    arms = {"plain": {}, "replay": {"replay.fraction": 0.25, "stages.1.replay.order": "reshuffled"}}
    made = recipe(arms=arms)
    assert made.resolve("plain") == recipe()
    resolved = made.resolve("replay")
    assert resolved.replay.fraction == 0.25
    assert resolved.replay_of(1).order == "reshuffled"
    assert resolved.arms == {}


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        (
            {"schedule.floor": 0.9},
            "recipe: recipe.schedule: floor lies at or below constant (both are fractions of "
            "peak_lr), got floor 0.9 above constant 0.55; lower floor",
        ),
        (
            {"replay.fracton": 0.5},
            "recipe.replay.fracton: unknown key; did you mean 'fraction'?",
        ),
        ({"stages.7.tokens": 1}, "stages.7.tokens: expected a position from 0 to 1, got '7'"),
        (
            {"tokenizer.vocab_size": 512},
            "tokenizer.vocab_size cannot differ, all arms share tokenizer; "
            "set it above the arms or make another recipe",
        ),
        (
            {"seeds": [1]},
            "seeds cannot differ, all arms share seeds; "
            "set it above the arms or make another recipe",
        ),
        (
            {"model": {"from": "hub/x"}},
            "model hub/x would bring another tokenizer than the other arms have; "
            "set tokenizer.folder above the arms",
        ),
    ],
)
def test_mistakes_in_arms_name_the_arm(arm: dict[str, Any], said: str) -> None:
    expected = f"recipe.arms.low: {said.removeprefix('recipe: ')}"
    assert sentence({"arms": {"high": {}, "low": arm}}) == expected


def test_an_arm_has_a_folder_of_its_own() -> None:
    assert sentence({"arms": {"data": {}}}) == (
        "recipe: an arm's folder cannot be called 'data'; rename the arm"
    )


def test_an_arm_of_another_schedule_starts_from_its_defaults(tmp_path: Path) -> None:
    text = TEXT.replace("peak_lr: 3e-4", "peak_lr: 3e-4, floor: 0.2")
    arms = "arms:\n  a: {schedule.kind: linear}\n  b: {schedule.kind: cosine}\n"
    (tmp_path / "r.yaml").write_text(text + arms)
    made = load_recipe(tmp_path / "r.yaml")
    linear, cosine = (made.resolve(arm).schedule for arm in "ab")
    assert (linear.kind, linear.peak_lr, linear.floor) == ("linear", 3e-4, 0.2)
    assert (linear.warmup, linear.usual_warmup) == (None, 0.0)
    assert (cosine.kind, cosine.peak_lr, cosine.floor) == ("cosine", 3e-4, 0.2)
    (tmp_path / "again.yaml").write_text(made.to_yaml())
    again = load_recipe(tmp_path / "again.yaml")
    assert again == made and again.resolve("a") == made.resolve("a")
    assert recipe(schedule__kind="wsd").schedule.peak_lr == 3e-4


def test_pictures_may_start_from_other_models_in_arms() -> None:
    data = {
        "name": "p",
        "sources": {"scans": {"images": ["*.png"], "size": 32}},
        "model": {"from": "one"},
        "train": {"batch_size": 2, "objective": {"kind": "classification"}},
        "schedule": {"kind": "constant", "peak_lr": 1e-3},
        "stages": [{"name": "s", "data": "scans", "images": 100}],
        "arms": {"a": {}, "b": {"model.from": "two"}},
    }
    assert decode_recipe(data).resolve("b").model.from_ == "two"
