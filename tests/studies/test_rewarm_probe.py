"""Probes of a peak rate against the same grid at full length."""

import pytest

from evergrow.report.proposal import FACTORS
from evergrow.studies import STUDIES
from evergrow.studies.harness import study_recipe
from evergrow.studies.rewarm_probe import LONGER, conclude

STUDY = STUDIES["rewarm-probe"]


def test_both_lengths_have_the_same_rates_and_begin_at_the_finished_model() -> None:
    recipe = study_recipe(STUDY, 2, {})
    for place, factor in enumerate(FACTORS):
        short, full = (recipe.resolve(f"{length}-{place}") for length in ("short", "full"))
        assert full.stages[1].length == LONGER * short.stages[1].length
        assert short.schedule_of(1) == full.schedule_of(1)
        assert short.schedule_of(1).peak_lr == pytest.approx(factor * 2.5e-3)
        assert short.begin_of(1).kind == "release"


def test_proposed_and_best_are_compared_by_the_rules() -> None:
    gained = (0.1, 0.2, 0.3, 0.4, 0.5)
    lost = {"short": (0.0, 0.0, 0.0, 0.15, 0.4), "full": (0.0, 0.05, 0.25, 0.4, 0.6)}
    numbers = {
        f"{length}-{place}": {"gained": {0: gained[place]}, "lost": {0: lost[length][place]}}
        for length in ("short", "full")
        for place in range(len(FACTORS))
    }
    no_limit, first, second = conclude(numbers, [])
    # net at short: .1 .2 .3 .25 .1; at full: .1 .15 .05 0 -.1
    assert "seed 0: 0.5 and 0.25; within one step of the grid on 1 of 1 seeds" in no_limit
    assert "has 0.100 bits per byte less" in no_limit
    assert first.startswith("at most 0.3 lost: ")
    assert second.startswith("at most 0.15 lost: ")


def test_nothing_is_said_before_every_probe_is_there() -> None:
    assert conclude({"short-0": {"gained": {0: 1.0}, "lost": {0: 0.0}}}, []) == []
