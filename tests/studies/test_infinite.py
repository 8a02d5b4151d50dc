from pathlib import Path

import pytest

from evergrow.errors import InputError
from evergrow.recipe import load_recipe
from evergrow.schedules import Segment, plan_stage, rate
from evergrow.studies import STUDIES
from evergrow.studies.harness import study_recipe

STUDY = STUDIES["infinite"]
STEP, TOKENS = 512, 390 * 512


def mean_rate_to_the_release(arm: str) -> float:
    """Over the steps of stage 1 that the release was trained with."""
    recipe = study_recipe(STUDY, 2, {}).resolve(arm)
    planned = plan_stage(recipe.schedule, 0, TOKENS, STEP, None)
    fork = TOKENS if planned.fork is None else planned.fork

    def at(tokens: int, segments: tuple[Segment, ...] | None) -> float:
        assert segments is not None
        return rate(segments, tokens)

    places = range(STEP, TOKENS + 1, STEP)
    rates = [at(t, planned.trunk if t <= fork else planned.release) for t in places]
    return sum(rates) / len(rates)


def test_the_study_is_the_quickstart_over_seeds_on_text_that_was_not_curated() -> None:
    quickstart = load_recipe(Path(__file__).parents[2] / "recipes/quickstart.yaml")
    study = study_recipe(STUDY, 2, {})
    same = ("tokenizer", "model", "train", "schedule", "stages", "held_out")
    for key in same:
        assert getattr(study, key) == getattr(quickstart, key), key
    for arm in quickstart.arms:
        assert study.resolve(arm).schedule == quickstart.resolve(arm).schedule
        assert study.resolve(arm).replay == quickstart.resolve(arm).replay


def test_the_control_has_the_cosines_mean_rate() -> None:
    cosine = mean_rate_to_the_release("cosine-replay")
    assert mean_rate_to_the_release("infinite-replay") / cosine == pytest.approx(1.17, abs=0.01)
    assert mean_rate_to_the_release("matched-replay") == pytest.approx(cosine, rel=0.01)


def test_another_schedule_is_refused() -> None:
    with pytest.raises(InputError, match=r"schedule\.kind: the study sets an infinite schedule"):
        study_recipe(STUDY, 2, {"schedule": {"kind": "cosine", "peak_lr": 1e-3}})
