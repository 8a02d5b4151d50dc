import math
from pathlib import Path
from typing import Any

import pytest

from evergrow.errors import InputError
from evergrow.listener import Listener
from evergrow.studies.findings import Findings
from evergrow.studies.growth import STUDY
from evergrow.studies.harness import carry_out_study, judge, study_recipe


def test_only_the_control_keeps_what_ties_copies_together() -> None:
    recipe = study_recipe(STUDY, 2, {})
    grown = {arm: recipe.resolve(arm).stages[-1].grow for arm in recipe.arms}
    locked = {
        arm
        for arm, grow in grown.items()
        if grow and (grow.optimizer_state, grow.warm_steps, grow.noise_ratio) == ("copy", 0, 0)
    }
    assert (locked, grown["scratch"]) == ({"fpi"}, None)
    methods = {arm: grow.method for arm, grow in grown.items() if grow}
    assert (methods["aki"], methods["two-stage"], methods["sqrt"]) == ("aki", "aki", "sqrt")
    assert [s.two_stage is not None for s in recipe.resolve("two-stage").stages] == [False, True]


def test_all_arms_end_with_one_architecture_and_scratch_has_it_from_the_start() -> None:
    recipe = study_recipe(STUDY, 2, {"stages.1.tokens": "100k"})
    scratch = recipe.resolve("scratch")
    assert [stage.tokens for stage in scratch.stages] == [100_000, 100_000]
    wide = scratch.model.sizes()
    for arm in recipe.arms:
        resolved = recipe.resolve(arm)
        grow, sizes = resolved.stages[-1].grow, resolved.model.sizes()
        to = grow.to if grow else {}
        found = {a: to.get(a, getattr(sizes, a)) for a in ("hidden", "layers", "heads", "ffn")}
        assert found == {a: getattr(wide, a) for a in found}, arm


def test_the_large_scale_has_the_papers_shapes() -> None:
    recipe = study_recipe(STUDY, 2, {}, "gpu")
    assert recipe.name == "growth-gpu"
    assert (recipe.model.layers, recipe.model.hidden) == (12, 512)
    assert recipe.resolve("scratch").model.sizes().hidden == 768
    with pytest.raises(InputError, match=r"--scale: the study has no 'cpu'; it has gpu"):
        study_recipe(STUDY, 2, {}, "cpu")


def test_a_recipe_of_other_stages_is_refused() -> None:
    with pytest.raises(InputError, match=r"stages: the study has two, a source from a preset"):
        study_recipe(STUDY, 2, {"stages.1.grow": None})


def test_what_is_never_reached_is_said_and_not_averaged() -> None:
    numbers = {"fpi": {"cost": {0: math.inf, 1: 0.5}}, "scratch": {"cost": {0: 1.0, 1: 1.0}}}
    claim = next(c for c in STUDY.claims if c.first == ("fpi-noise", "cost"))
    found = judge([claim], {**numbers, "fpi-noise": numbers["fpi"]})[0]
    assert (found.verdict, found.never) == ("never reached", "fpi-noise on 1 of 2 seeds")


@pytest.mark.slow
def test_a_tiny_study_runs_and_the_control_stays_locked(tmp_path: Path) -> None:
    overrides: dict[str, Any] = {
        "workers": 1,
        "sources.text.max_bytes": "400k",
        "train.sequence_length": 32,
        "train.batch_size": 8,
        "model.hidden": 16,
        "model.heads": 2,
        "model.ffn": 48,
        "stages.0.tokens": 32 * 256,
        "stages.1.tokens": 16 * 256,
        "stages.1.grow": {"to": {"hidden": 32, "heads": 4, "ffn": 96}, "warm_steps": 4},
        "evaluate.every": 4 * 256,
        "evaluate.part": "1k",
    }
    found = carry_out_study(STUDY, study_recipe(STUDY, 2, overrides), tmp_path, Listener())
    numbers = found.numbers
    assert set(numbers["fpi"]["free"].values()) == {0.5}
    assert set(numbers["fpi-noise"]["free"].values()) == {1.0}
    assert max(map(abs, numbers["fpi-noise"]["birth"].values())) < 1e-4
    assert numbers["scratch"]["birth"] == {}
    assert set(numbers["scratch"]["cost"].values()) == {1.0}
    shares = {a: numbers[a]["rate"][0] for a in numbers}
    assert shares == found.chosen and set(shares.values()) <= {1.0, 0.5, 0.25}
    written = Findings.model_validate_json((tmp_path / "growth/study.json").read_text())
    assert written == found


def test_the_rates_to_choose_from_follow_the_recipes() -> None:
    recipe = study_recipe(STUDY, 2, {"schedule.peak_lr": 1e-2})
    assert STUDY.dial is not None
    asked = {
        share: STUDY.dial.overrides(recipe, share)["stages.1.schedule"]
        for share in STUDY.dial.values
    }
    assert asked == {
        share: {"kind": "constant", "peak_lr": pytest.approx(share * 1e-2)}
        for share in (1.0, 0.5, 0.25)
    }
