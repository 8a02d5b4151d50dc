"""A recipe resolves and comes back equal; every mistake has its sentence."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from evergrow.errors import InputError
from evergrow.recipe import Beginning, Recipe, decode_recipe, load_recipe
from evergrow.stream.config import TokenizerConfig
from evergrow.strict_yaml import parse_yaml

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
    assert (made.seeds, made.workers, made.arms) == ([0], None, {})


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
        {
            "sources.chats": {"chats": ["c.jsonl"], "prompt_field": "p", "completion_field": "c"},
            "stages.1": {"name": "two", "data": "chats", "examples": 9, "from": "one.release"},
            "stages.1.train": {"sequence_length": 64, "objective": {"kind": "sft", "pack": False}},
        },
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
            "recipe: stage 'one' is the first on its way and has nothing to replay, got fraction "
            "0.25; remove its replay",
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


def in_file(tmp_path: Path, text: str, overrides: dict[str, Any] | None = None) -> str:
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        load_recipe(tmp_path / "r.yaml", overrides)
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_keys_come_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(TEXT.replace("name: tiny", "") + "name: tiny\n")
    assert load_recipe(tmp_path / "r.yaml") == recipe()


def test_mistakes_are_found_by_file_line_and_key(tmp_path: Path) -> None:
    wrong = TEXT.replace("tokens: 4k", "tokens: four")
    said = "expected a count such as 20B, 500M or 4k, got 'four'"
    assert in_file(tmp_path, wrong) == f"r.yaml:10: stages[0].tokens: {said}"
    assert in_file(tmp_path, TEXT.replace("stages:", "stagse:")) == (
        "r.yaml: stages: missing; this key is required; "
        "r.yaml:9: stagse: unknown key; did you mean 'stages'?"
    )
    wrong = TEXT.replace("english: {files", "english: {fiels")
    assert in_file(tmp_path, wrong).startswith("r.yaml:4: sources.english.fiels: unknown key; did")
    arms = TEXT + "arms:\n  a: {}\n  b:\n    replay.fraction: 0.1\n    model.hiden: 7\n"
    assert in_file(tmp_path, arms) == (
        "r.yaml:16: arms.b: recipe.model.hiden: unknown key; did you mean 'hidden'?"
    )
    assert in_file(tmp_path, "name: [1\n") == (
        "r.yaml:2: not valid YAML: expected ',' or ']', but got '<stream end>'"
    )


def test_mistakes_of_the_command_line_are_not_blamed_on_the_file(tmp_path: Path) -> None:
    said = in_file(tmp_path, TEXT, {"stages.0.tokens": "four"})
    assert said.startswith("recipe.stages[0].tokens: expected a count")


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


def test_a_number_of_seeds_and_seeds() -> None:
    assert recipe(seeds=3).seeds == [0, 1, 2]
    assert recipe(seeds="2").seeds == [0, 1]
    assert recipe(seeds=[7]).seeds == [7]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"seeds": 0}, "recipe.seeds: expected a number of seeds from 1 to 1,000, got 0"),
        ({"seeds": [10**29]}, "recipe.seeds[0]: expected a value less than 9223372036854775808"),
        ({"seeds": [-1]}, "recipe.seeds[0]: expected a value greater than or equal to 0"),
        ({"seeds": True}, "recipe.seeds: expected a list, got True"),
        ({"schedule.peak_lr": True}, "recipe.schedule.peak_lr: expected a number, got True"),
        ({"stages.0.train": {"z_loss": True}}, "stages[0].train.z_loss: expected a number"),
        ({"arms": {"x": {}, "X": {}}}, "recipe: 'x' and 'X' differ in case alone"),
        ({"stages.1.name": "ONE"}, "recipe: 'one' and 'ONE' differ in case alone"),
        ({"sources.English": {"files": ["e"]}}, "recipe: 'english' and 'English' differ"),
        ({"arms": {"Data": {}}}, "recipe: an arm's folder cannot be called 'Data'; rename"),
        ({"train.sequence_length": 1}, "recipe: train.sequence_length: missing, or 1; text"),
        ({"stages.1.train": {"sequence_length": 1}}, "recipe: train.sequence_length: missing, or"),
        (
            {"stages.0": {"name": "one", "data": "english", "images": 9}},
            "recipe: stage 'one' reads tokens; give its length as tokens",
        ),
        ({"stages.0.tokens": "999999999T"}, "recipe.stages[0].tokens: expected a count of at"),
        (
            {"tokenizer": {"vocab_size": "10B"}},
            "recipe.tokenizer.vocab_size: expected a value",
        ),
        (
            {"train.threads": 10**6},
            "recipe.train.threads: expected a value less than",
        ),
        ({"workers": 10**6}, "recipe.workers: expected a value less than or equal to 1000"),
        (
            {"model.layers": 10**7},
            "recipe.model.layers: expected a value less than",
        ),
        (
            {"model.hidden": "1B"},
            "recipe.model.hidden: expected a value less than or equal to 1000",
        ),
        ({"train.batch_size": "1B"}, "recipe.train.batch_size: expected a value less than or"),
    ],
)
def test_slips_of_the_finger_have_their_sentence(overrides: dict[str, Any], said: str) -> None:
    assert said in sentence(overrides)


def test_models_beside_the_recipe_are_found_from_there(tmp_path: Path) -> None:
    for name in ("model", "other", "two"):
        (tmp_path / name).mkdir()
    text = TEXT.replace("{preset: olmo2, hidden: 32, layers: 1}", "{from: model}")
    text = text.replace("tokens: 8k", "tokens: 8k, from: other")
    arms = "tokenizer: {folder: t}\narms:\n  a: {model.from: other, stages.1.from: one.release}\n"
    (tmp_path / "r.yaml").write_text(text + arms + "  b: {model: {from: other}}\n")
    made = load_recipe(tmp_path / "r.yaml")
    assert made.model.from_ == str(tmp_path / "model")
    assert made.stages[1].from_ == str(tmp_path / "other")
    assert made.resolve("a").model.from_ == str(tmp_path / "other")
    assert made.resolve("a").stages[1].from_ == "one.release"
    assert made.resolve("b").model.from_ == str(tmp_path / "other")


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


# --- where a stage begins, how long it is, and what it trains

CHATS = {
    "sources.chats": {"chats": ["c.jsonl"]},
    "stages.1": {"name": "two", "data": "chats", "examples": "2k"},
}


def of_stages(*stages: dict[str, Any], **overrides: Any) -> Recipe:
    """A recipe of stages that read english, with what differs of each."""
    made = [
        {"name": f"s{i}", "data": "english", "tokens": 100, **stage}
        for i, stage in enumerate(stages)
    ]
    return recipe(stages=made, **overrides)


def test_a_stage_begins_at_the_trunk_before_it_or_where_it_says() -> None:
    made = of_stages(
        {},
        {},
        {"from": "s0"},
        {"from": "s1.release"},
        {"from": "start"},
        {},
        {"from": "runs/old"},
        {"from": "other.release"},
    )
    assert [made.begin_of(i) for i in range(8)] == [
        Beginning("start"),
        Beginning("trunk", 0),
        Beginning("trunk", 0),
        Beginning("release", 1),
        Beginning("start"),
        Beginning("trunk", 4),
        Beginning("model", "runs/old"),
        Beginning("model", "other.release"),  # no stage is called so
    ]
    paths = [made.path_of(i) for i in range(8)]
    assert paths == [[0], [0, 1], [0, 2], [0, 1, 3], [4], [4, 5], [6], [7]]


def test_a_stage_that_starts_anew_replays_nothing() -> None:
    made = of_stages({}, {}, {"from": "start"}, {}, {"from": "runs/old"}, replay__fraction=0.25)
    assert [made.replay_of(i).fraction for i in range(5)] == [0.0, 0.25, 0.0, 0.25, 0.0]


def test_a_length_is_counted_in_what_is_read() -> None:
    made = recipe(**CHATS)
    assert [stage.length for stage in made.stages] == [4000, 2000]
    assert (made.stages[1].tokens, made.stages[1].images) == (None, None)
    longer = made.stages[1].as_long_as(recipe(**CHATS, stages__1__examples=9).stages[1])
    assert (longer.name, longer.length) == ("two", 9)
    assert (made.forms, made.of_pictures) == ({"tokens", "examples"}, False)
    assert [made.form_at(i) for i in (0, 1)] == ["tokens", "examples"]
    assert [made.form_of(name) for name in ("english", "chats")] == ["tokens", "examples"]


def test_settings_of_a_stage_are_merged_into_those_of_the_recipe() -> None:
    made = of_stages(
        {},
        {"train": {"optimizer": {"beta2": 0.99}, "batch_size": 8}},
        {"train": {"objective": {"kind": "masked", "fraction": 0.3}}},
        {"train": {"objective": {"kind": "causal"}}},
        model={"from": "hub/x"},
        train__optimizer__beta1=0.8,
        train__objective={"kind": "masked", "whole_words": True},
    )
    assert made.train_of(0) == made.train
    changed = made.train_of(1)
    assert (changed.batch_size, changed.sequence_length) == (8, 16)
    assert (changed.optimizer.beta1, changed.optimizer.beta2) == (0.8, 0.99)
    assert changed.objective == made.train.objective
    # The same kind keeps what the recipe says of it; another begins with its own defaults.
    assert made.train_of(2).objective.model_dump() == {
        "kind": "masked",
        "fraction": 0.3,
        "whole_words": True,
    }
    assert made.train_of(3).objective.model_dump() == {"kind": "causal"}
    assert made.train.batch_size == 2


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            {"stages.0.from": "two"},
            "stage 'one' begins at two, which comes later; name a stage before it",
        ),
        (
            {"stages.0.from": "two.release"},
            "stage 'one' begins at two.release, which comes later; name a stage before it",
        ),
        (
            {"stages.1.from": "two"},
            "stage 'two' begins at two, which comes to be only by itself; name a stage before it",
        ),
        (
            {"stages.1.from": "start", "stages.1.replay.fraction": 0.5},
            "stage 'two' is the first on its way and has nothing to replay, got fraction 0.5; "
            "remove its replay",
        ),
        (
            {"stages.1.from": "one.release", "stages.1.grow": {"to": {"layers": 2}}},
            "stage 'two' begins at one.release and has no trunk to grow from; set the sizes under "
            "model:, or grow before a stage that begins at another's trunk",
        ),
        (
            {"stages.0.grow": {"to": {"layers": 2}}},
            "stage 'one' begins at the start and has no trunk to grow from; set the sizes under "
            "model:, or grow before a stage that begins at another's trunk",
        ),
        (
            {"stages.1.train": {"bach_size": 1}},
            "stages[1].train.bach_size: unknown key; did you mean 'batch_size'?",
        ),
        (
            {"stages.1.train": {"objective": {"kind": "frob"}}},
            "stages[1].train.objective.kind: expected one of causal, masked, masked_patches, "
            "classification, findings, sft, got 'frob'",
        ),
        (
            {"stages.1.train": {"objective": {"kind": "sft"}}},
            "stages[1].train.objective: sft is not for these sources, which are tokens; remove it "
            "or choose causal or masked",
        ),
        (
            {"train.objective": {"kind": "masked"}},
            "train.objective: preset olmo2 sees only what stands before a token, got kind masked; "
            "set kind: causal, or choose a masked model",
        ),
        (
            {**CHATS, "train.objective": {"kind": "causal"}},
            "train.objective: causal is not for these sources, which are examples; remove it or "
            "choose sft",
        ),
        (
            {
                **CHATS,
                "model": {"from": "hub/x"},
                "stages.1.train": {"objective": {"kind": "masked"}},
            },
            "stages[1].train.objective: masked is not for these sources, which are examples; "
            "remove it or choose sft",
        ),
        (
            {**CHATS, "stages.1": {"name": "two", "data": "chats", "tokens": 40}},
            "stage 'two' reads examples; give its length as examples",
        ),
        (
            {"stages.0": {"name": "one", "data": "english", "examples": 5}},
            "stage 'one' reads tokens; give its length as tokens",
        ),
        (
            {
                **CHATS,
                "stages.1": {
                    "name": "two",
                    "mixture": {"chats": 0.5, "english": 0.5},
                    "examples": 4,
                },
            },
            "stage 'two' mixes examples and tokens, which are read otherwise; make two stages, or "
            "replay one of them",
        ),
        (
            {**CHATS, "sources.pictures": {"images": ["*.png"]}},
            "source 'english' is text and 'pictures' is pictures; one model learns one of the two, "
            "so make two recipes",
        ),
    ],
)
def test_mistakes_between_stages_and_what_they_read(overrides: dict[str, Any], said: str) -> None:
    assert sentence(overrides) == f"recipe: {said}"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"stages.0.images": 3}, "tokens and images"),
        ({"stages.0.examples": 3}, "tokens and examples"),
        ({"stages.0.tokens": None}, "none"),
    ],
)
def test_a_stage_has_one_length(overrides: dict[str, Any], said: str) -> None:
    assert sentence(overrides) == (
        "recipe.stages[0]: stage 'one' needs one length: tokens (of text), images (of pictures) or "
        f"examples (of chats), got {said}"
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            {"chats": ["c.jsonl"], "prompt_field": "p"},
            ": prompt_field and completion_field belong together; give both or none",
        ),
        (
            {"chats": ["c.jsonl"], "message_field": "m"},
            ".message_field: unknown key; did you mean 'messages_field'?",
        ),
        ({"chats": []}, ".chats: expected a list of at least 1, got []"),
    ],
)
def test_mistakes_in_a_source_of_chats(source: dict[str, Any], said: str) -> None:
    assert sentence({"sources.chats": source}) == f"recipe.sources.chats{said}"
