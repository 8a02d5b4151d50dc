"""Every mistake in a recipe has its sentence."""

from typing import Any

import pytest
from recipe.recipes import sentence


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
        (
            {"chats": []},
            ": give chats (globs of files) or installed: questions, one of the two",
        ),
    ],
)
def test_mistakes_in_a_source_of_chats(source: dict[str, Any], said: str) -> None:
    assert sentence({"sources.chats": source}) == f"recipe.sources.chats{said}"
