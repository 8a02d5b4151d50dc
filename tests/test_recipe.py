"""A recipe resolves and comes back equal; every mistake has its sentence."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from evergrow.config import parse_yaml
from evergrow.errors import InputError
from evergrow.recipe import Recipe, decode_recipe, load_recipe
from evergrow.stream.config import TokenizerConfig

RECIPES = Path(__file__).parents[1] / "recipes"

TEXT = """
name: tiny
sources:
  english: {files: [e.txt]}
  python: {files: [p.txt]}
model: {preset: olmo2, hidden: 32, layers: 1}
train: {sequence_length: 16, batch_size: 2}
schedule: {kind: infinite, peak_lr: 3e-4}
stages:
  - {name: one, data: english, tokens: 4k}
  - {name: two, mixture: {english: 0.25, python: 0.75}, tokens: 8k}
"""


def recipe(**overrides: Any) -> Recipe:
    return decode_recipe(
        parse_yaml(TEXT, "r"), {k.replace("__", "."): v for k, v in overrides.items()}
    )


def sentence(overrides: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        decode_recipe(parse_yaml(TEXT, "r"), overrides)
    return str(caught.value)


def test_defaults_are_those_of_the_design() -> None:
    made = recipe()
    assert made.schedule.peak_lr == 0.0003
    assert (made.replay.fraction, made.replay.order) == (0.0, "seen")
    assert [stage.tokens for stage in made.stages] == [4000, 8000]
    assert made.stages[0].optimizer_state == "keep"
    assert (made.held_out.fraction, made.held_out.tokens) == (0.02, 20_000)
    assert (made.seeds, made.workers, made.arms) == ([0], 1, {})


def test_what_stages_say_goes_before_what_the_recipe_says() -> None:
    cosine = {"kind": "cosine", "peak_lr": 1e-3}
    made = recipe(replay__fraction=0.25, stages__1__schedule=cosine)
    assert [made.schedule_of(i).kind for i in (0, 1)] == ["infinite", "cosine"]
    assert [made.replay_of(i).fraction for i in (0, 1)] == [0.0, 0.25]  # nothing before the first
    made = recipe(replay__fraction=0.25, stages__1__replay__fraction=0.5)
    assert made.replay_of(1).fraction == 0.5


def test_streams_and_measured_sources_keep_their_order() -> None:
    made = recipe(sources__old={"files": ["o.txt"]}, evaluate__sources=["old", "english"])
    assert made.streams == ["english", "python"]
    assert made.measured == ["english", "python", "old"]
    assert made.stages[0].weights == {"english": 1.0}
    assert made.stages[1].weights == {"english": 0.25, "python": 0.75}


def test_the_tokenizer_is_the_models_own_unless_asked() -> None:
    assert recipe().tokenizer_config == TokenizerConfig(vocab_size=2048)
    assert recipe(model={"from": "hub/x"}).tokenizer_config == TokenizerConfig(folder="hub/x")
    asked = recipe(model={"from": "hub/x"}, tokenizer={"folder": "t"})
    assert asked.tokenizer_config == TokenizerConfig(folder="t")


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"model": {"from": "hub/x"}},
        {"model.tied": True, "tokenizer": {"vocab_size": "1k"}},
        {"stages.1.schedule": {"kind": "linear"}, "stages.1.optimizer_state": {"refill": 3}},
        {"stages.1.replay": {"fraction": 0.5, "order": "reshuffled"}, "name": "no"},
        {"arms": {"a": {"replay.fraction": 0.25}, "b": {"schedule.constant": 0.3}}},
    ],
)
def test_the_resolved_recipe_comes_back_equal(overrides: dict[str, Any], tmp_path: Path) -> None:
    made = decode_recipe(parse_yaml(TEXT, "r"), overrides)
    (tmp_path / "recipe.yaml").write_text(made.to_yaml())
    assert load_recipe(tmp_path / "recipe.yaml") == made
    assert yaml.safe_load(made.to_yaml()) == made.to_data()


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_that_come_with_the_repository(path: Path) -> None:
    made = load_recipe(path)
    assert made.name == path.stem
    assert Recipe.model_validate(made.to_data()) == made


def test_an_arm_is_the_recipe_with_its_overrides() -> None:
    arms = {"plain": {}, "replay": {"replay.fraction": 0.25, "stages.1.replay.order": "reshuffled"}}
    made = recipe(arms=arms)
    assert made.resolve("plain") == recipe()
    resolved = made.resolve("replay")
    assert resolved.replay.fraction == 0.25
    assert resolved.replay_of(1).order == "reshuffled"
    assert resolved.arms == {}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"stagse": []}, "recipe.stagse: unknown key; did you mean 'stages'?"),
        ({"train.bach_size": 1}, "recipe.train.bach_size: unknown key; did you mean 'batch_size'?"),
        (
            {"train.optimizer.betta1": 1},
            "recipe.train.optimizer.betta1: unknown key; did you mean 'beta1'?",
        ),
        (
            {"schedule.peek_lr": 1},
            "recipe.schedule.peek_lr: unknown key; did you mean 'peak_lr'?",
        ),
        (
            {"schedule.anneal.shap": "linear"},
            "recipe.schedule.anneal.shap: unknown key; did you mean 'shape'?",
        ),
        (
            {"stages.1.schedule": {"kind": "cosine", "peak_lr": 1, "cooldown": 1}},
            "recipe.stages[1].schedule.cooldown: unknown key; "
            "known keys: floor, kind, peak_lr, warmup",
        ),
        (
            {"stages.1.schedule": {"kind": "cosin", "peak_lr": 1}},
            "recipe.stages[1].schedule.kind: expected one of infinite, cosine, wsd, linear, "
            "constant, got 'cosin'",
        ),
        (
            {"sources.english.fles": []},
            "recipe.sources.english.fles: unknown key; did you mean 'files'?",
        ),
        (
            {"stages.1.optimizer_state": "kep"},
            "recipe.stages[1].optimizer_state: expected 'keep' or 'reset', got 'kep'; "
            "recipe.stages[1].optimizer_state: expected settings as 'key: value' pairs, got 'kep'",
        ),
        (
            {"stages.0.tokens": "2 billion"},
            "recipe.stages[0].tokens: expected a count such as 20B, 500M or 4k, got '2 billion'",
        ),
        (
            {"stages.0.tokens": 0},
            "recipe.stages[0].tokens: expected a value greater than 0, got 0",
        ),
        (
            {"name": "a run"},
            "recipe.name: expected a name of at most 64 letters, digits, - and _, got 'a run'",
        ),
        (
            {"stages.0.data": None},
            "recipe.stages[0]: stage 'one' needs either data: a source, or mixture: weights, "
            "got neither",
        ),
        (
            {"stages.1.data": "english"},
            "recipe.stages[1]: stage 'two' needs either data: a source, or mixture: weights, "
            "got both",
        ),
        (
            {"stages.1.mixture": {"english": 0.5, "python": 0.4}},
            "recipe.stages[1]: the weights of mixture must be above 0 and sum to 1, "
            "got a sum of 0.9",
        ),
        (
            {"stages.1.mixture": {"english": 1.5, "python": -0.5}},
            "recipe.stages[1]: the weights of mixture must be above 0 and sum to 1, "
            "got a sum of 1 and a weight of -0.5",
        ),
        (
            {"stages.1.mixture": {}},
            "recipe.stages[1]: the weights of mixture must be above 0 and sum to 1, got a sum of 0",
        ),
        (
            {"stages.0.data": "englsh"},
            "recipe: no source is called 'englsh'; did you mean 'english'?",
        ),
        (
            {"evaluate.sources": ["zzz"]},
            "recipe: no source is called 'zzz'; sources: english, python",
        ),
        ({"stages.1.name": "one"}, "recipe: stage names must differ, got 'one' twice"),
        ({"stages": []}, "recipe.stages: expected a list of at least 1, got []"),
        ({"seeds": [1, 2, 1]}, "recipe: seeds must differ, got [1, 2, 1]"),
        (
            {"stages.0.replay.fraction": 0.25},
            "recipe: stage 'one' is the first and has nothing to replay, got fraction 0.25; "
            "remove its replay",
        ),
        ({"replay.fraction": 1}, "recipe.replay.fraction: expected a value less than 1, got 1"),
        (
            {"schedule.floor": 0.9},
            "recipe.schedule: floor lies at or below constant (both are fractions of peak_lr), "
            "got floor 0.9 above constant 0.55; lower floor",
        ),
        (
            {"schedule": {"kind": "cosine", "peak_lr": 1, "floor": 1.5}},
            "recipe.schedule.floor: expected a value less than or equal to 1, got 1.5",
        ),
        (
            {"schedule.warmup": 0.5},
            "recipe.schedule: warmup + cooldown are lengths and fit in the first stage (sum at "
            "most 1), got 0.5 + 0.6; shorten one of them",
        ),
        (
            {"schedule": {"kind": "cosine", "peak_lr": 1, "warmup": 1.5}},
            "recipe.schedule.warmup: expected a value less than 1, got 1.5",
        ),
        (
            {"schedule.floor": 0},
            "recipe.schedule: an exponential anneal never meets 0, got floor 0; choose "
            "anneal.shape linear, one_minus_sqrt or cosine, or a floor above 0",
        ),
        (
            {"model": {"from": "hub/x", "hidden": 32}},
            "recipe.model: a loaded model has its own sizes, got hidden beside from: hub/x; "
            "remove them or use preset: instead of from:",
        ),
    ],
)
def test_mistakes(overrides: dict[str, Any], said: str) -> None:
    assert sentence(overrides) == said


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


@pytest.mark.parametrize(
    ("text", "found"),
    [(TEXT.replace("name: tiny", "seeds: [1]\nname: tiny"), "seeds"), ("{}", "no key at all")],
)
def test_the_name_comes_first(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_recipe(path)
    assert str(caught.value) == f"{path}: the first key must be 'name', got {found!r}"


def test_overrides_apply_before_the_recipe_is_judged(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(TEXT.replace("english, tokens", "englsh, tokens"))
    made = load_recipe(path, {"stages.0.data": "python", "train.batch_size": 4})
    assert (made.stages[0].data, made.train.batch_size) == ("python", 4)


def test_a_model_folder_is_looked_for_from_the_recipes_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    data = {**recipe().to_data(), "model": {"from": "mine"}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    assert load_recipe(tmp_path / "recipe.yaml").model.from_ == str(tmp_path / "mine")
    (tmp_path / "mine").rmdir()
    assert load_recipe(tmp_path / "recipe.yaml").model.from_ == "mine"
