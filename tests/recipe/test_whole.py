"""A recipe resolves and comes back equal; what it says as a whole."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from recipe.recipes import TEXT, recipe

from evergrow.recipe import decode_recipe, load_recipe
from evergrow.stream.config import TokenizerConfig
from evergrow.strict_yaml import parse_yaml


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


def test_a_number_of_seeds_and_seeds() -> None:
    assert recipe(seeds=3).seeds == [0, 1, 2]
    assert recipe(seeds="2").seeds == [0, 1]
    assert recipe(seeds=[7]).seeds == [7]
