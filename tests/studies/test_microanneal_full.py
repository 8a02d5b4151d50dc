"""Whether short anneals rank sources as longer ones do."""

import pytest

from evergrow.studies import STUDIES
from evergrow.studies.harness import study_recipe
from evergrow.studies.microanneal import LONGER, _agreement

STUDY = STUDIES["microanneal-full"]


def test_every_arm_is_there_short_and_long() -> None:
    recipe = study_recipe(STUDY, 2, {"stages.1.tokens": 10_000})
    short = ["web", "python", "cpp", "arrow", "stubs"]
    assert list(recipe.arms) == [*short, *(f"{name}-full" for name in short)]
    for name in short:
        lengths = [recipe.resolve(arm).stages[1].tokens for arm in (name, f"{name}-full")]
        assert lengths == [10_000, LONGER * 10_000]
        mixtures = [recipe.resolve(arm).stages[1].weights for arm in (name, f"{name}-full")]
        assert mixtures[0] == mixtures[1]


def test_two_orders_are_compared_seed_by_seed_and_by_their_means() -> None:
    short = {"a": {0: 0.3, 1: 0.1}, "b": {0: 0.2, 1: 0.2}, "c": {0: 0.1, 1: 0.3}}
    full = {"a": {0: 0.9, 1: 0.9}, "b": {0: 0.5, 1: 0.5}, "c": {0: 0.1, 1: 0.1}}
    spearman, kendall, best = _agreement(short, full)
    assert "6 times longer anneals: 0.00, by seed 1.00, -1.00" in spearman
    assert "6 times longer anneals: 0.00, by seed 1.00, -1.00" in kendall
    assert best == "the best source is the same on 1 of 2 seeds"


def test_what_no_seed_has_twice_is_not_compared() -> None:
    assert _agreement({"a": {0: 1.0}, "b": {}}, {"a": {0: 1.0}, "b": {0: 1.0}}) == []


@pytest.mark.parametrize("source", ["modules", "headers"])
def test_no_arm_learns_a_target(source: str) -> None:
    recipe = study_recipe(STUDY, 2, {})
    assert all(source not in recipe.resolve(arm).streams for arm in recipe.arms)
