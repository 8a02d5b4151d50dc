import pytest
from flow.tiny import tiny

from evergrow.flow.units import stage_keys, unfold

DATA = {"land": "land-0", "sea": "sea-0"}


def keys(seed: int = 0, data: dict[str, str] = DATA, **changes: object) -> list[str]:
    return stage_keys(tiny(**changes), seed, data, "tokenizer")


def test_one_unit_an_arm_and_seed() -> None:
    assert [u.folder for u in unfold(tiny())] == ["main"]
    arms = {"a": {}, "b": {"replay.fraction": 0}}
    assert [u.folder for u in unfold(tiny(arms=arms))] == ["a", "b"]
    units = unfold(tiny(arms=arms, seeds=[3, 5]))
    assert [u.folder for u in units] == ["a/seed-3", "b/seed-3", "a/seed-5", "b/seed-5"]
    assert [u.recipe.replay.fraction for u in units] == [0.25, 0, 0.25, 0]


def test_the_keys_are_those_of_runs_that_exist() -> None:
    # Checked in: with others, a run that was begun before could not go on.
    assert keys() == ["0ad52434a60dacce", "1bda0dfb1f39d637"]
    bert = {"preset": "bert", "hidden": 16, "layers": 2}
    words = {"kind": "masked", "whole_words": True}
    assert not {*keys(model=bert)} & {*keys(model=bert, train__objective=words)}


@pytest.mark.parametrize(
    "change",
    [
        {"train__log_every": 7},
        {"train__threads": 2},
        {"workers": 2},
        {"checkpoints__every": 999},
        {"description": "other words"},
    ],
)
def test_what_changes_no_byte_changes_no_key(change: dict[str, object]) -> None:
    assert keys(**change) == keys()


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"data": {**DATA, "land": "land-1"}},
        {"model__hidden": 32},
        {"train__batch_size": 8},
        {"schedule__peak_lr": 0.01},
        {"evaluate__every": 0},
    ],
)
def test_what_changes_a_byte_changes_every_key(change: dict[str, object]) -> None:
    assert not {*keys(**change)} & {*keys()}  # pyright: ignore


@pytest.mark.parametrize(
    "change",
    [
        {"replay__fraction": 0.5},
        {"stages__1__optimizer_state": "reset"},
        {"stages__1__tokens": 999},
        {"data": {**DATA, "sea": "sea-1"}},
    ],
)
def test_a_later_difference_leaves_the_first_stage_shared(change: dict[str, object]) -> None:
    one, two = keys(**change)  # pyright: ignore
    assert one == keys()[0]
    assert two != keys()[1]


def test_settings_that_came_later_change_no_key_where_they_are_not_used() -> None:
    """These keys were made before stages could grow; other ones would refuse every older run."""
    assert keys() == ["0ad52434a60dacce", "1bda0dfb1f39d637"]


@pytest.mark.parametrize(
    "change",
    [
        {"stages__1__grow": {"to": {"hidden": 32, "heads": 4}}},
        {"stages__1__two_stage": {"layers": 1}},
    ],
)
def test_growth_is_part_of_its_stages_key(change: dict[str, object]) -> None:
    one, two = keys(**change)  # pyright: ignore
    assert (one, two != keys()[1]) == (keys()[0], True)
