"""A dial's recipes; that the best value is taken is seen in test_harness.py, by training."""

import math

from evergrow.recipe import Recipe
from evergrow.studies.dial import SEED, Dial, dialled, trial
from evergrow.studies.findings import Settings
from evergrow.studies.growth import STUDY
from evergrow.studies.harness import study_recipe


def narrower(recipe: Recipe, value: float) -> Settings:
    return {"schedule.peak_lr": value}


def test_every_arm_is_tried_with_each_value_on_a_seed_of_its_own() -> None:
    recipe = study_recipe(STUDY, 3, {})
    dial = STUDY.dial
    assert dial is not None
    trials = trial(recipe, dial)
    assert (trials.name, trials.seeds) == ("growth-rate", [SEED])
    assert SEED not in recipe.seeds
    assert len(trials.arms) == 3 * len(recipe.arms)
    tried = [trials.resolve(f"aki-{i}").stages[1] for i in (1, 2, 3)]
    assert [stage.schedule.peak_lr for stage in tried if stage.schedule] == [3e-3, 1.5e-3, 7.5e-4]
    assert {stage.grow.method for stage in tried if stage.grow} == {"aki"}


def test_an_arm_keeps_what_it_chose() -> None:
    recipe = study_recipe(STUDY, 2, {})
    dial = Dial("peak", (1e-3, 2e-3), narrower, lambda run: math.nan)
    chosen = {arm: 1e-3 if arm == "aki" else 2e-3 for arm in recipe.arms}
    found = dialled(recipe, dial, chosen)
    assert {a: found.resolve(a).schedule.peak_lr for a in found.arms} == chosen
    assert found.resolve("aki").stages == recipe.resolve("aki").stages
    assert found.seeds == [0, 1]
