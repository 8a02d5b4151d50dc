"""Where a stage begins, how long it is, and what it trains."""

from typing import Any

import pytest
from recipe.recipes import CHATS, of_stages, recipe, sentence

from evergrow.recipe import Beginning


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
