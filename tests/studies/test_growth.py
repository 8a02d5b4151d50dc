import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evergrow.errors import InputError
from evergrow.listener import Listener
from evergrow.run import Counts, Run
from evergrow.studies.growth import (
    SCRATCH_STAGES,
    STUDY,
    at_the_end,
    cost_to_target,
    first_reached,
    lead,
    loss_at,
)
from evergrow.studies.harness import carry_out_study, judge, study_recipe

CURVE = [(0.0, 3.0), (10.0, 2.0), (20.0, 2.1), (30.0, 1.5)]


def test_the_first_crossing_on_straight_lines() -> None:
    assert first_reached(CURVE, 2.5) == 5.0
    assert first_reached(CURVE, 1.8) == pytest.approx(25.0)
    assert first_reached(CURVE, 3.5) == 0.0
    assert first_reached(CURVE, 1.4) == math.inf


def test_a_loss_between_measurements() -> None:
    assert loss_at(CURVE, 5.0) == 2.5
    assert loss_at(CURVE, 25.0) == pytest.approx(1.8)
    assert loss_at(CURVE, 31.0) is None


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


def test_all_arms_end_with_one_architecture_and_scratch_is_the_longest() -> None:
    recipe = study_recipe(STUDY, 2, {"stages.1.tokens": "100k"})
    scratch = recipe.resolve("scratch")
    assert scratch.stages[-1].tokens == SCRATCH_STAGES * 100_000
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


def counted(run: Run, arm: str, flops_per_token: int) -> Run:
    """Give a made-up Run the recipe of an arm and a model's operations; a step reads 64 tokens."""
    recipe = study_recipe(STUDY, 2, {}).resolve(arm).to_data()
    counts = Counts(
        num_parameters=1, num_layers=4, flops_per_token=flops_per_token, checkpoint_bytes=1
    )
    stages = [s.model_copy(update={"model": counts}) for s in run.manifest.stages]
    run.save(recipe=recipe, stages=stages)
    return run


def test_costs_are_counted_with_and_without_the_source(
    tmp_path: Path, write_run: Callable[..., Run]
) -> None:
    """Scratch: 100 steps of 64 x 10 operations; the source 100 steps of the same, then the target.

    Scratch ends at 2.0; the grown arm is at 2.0 half-way between its steps 20 and 40.
    """
    whole = {("target", "trunk", s): {"text": 3.0 - s / 100} for s in range(0, 101, 20)}
    own = {("target", "trunk", 100 + s): {"text": 2.15 - s / 200} for s in range(0, 101, 20)}
    write = {"scratch": (whole, ("target",)), "fpi-noise": (own, ("source", "target"))}
    runs = {
        arm: counted(write_run(tmp_path / arm / "seed-0", losses, stages), arm, 10)
        for arm, (losses, stages) in write.items()
    }
    assert cost_to_target(counted=False)(runs["fpi-noise"]) == pytest.approx(0.3)
    assert cost_to_target(counted=True)(runs["fpi-noise"]) == pytest.approx(1.3)
    assert cost_to_target(counted=False)(runs["scratch"]) == pytest.approx(1.0)
    assert at_the_end(runs["fpi-noise"]) == pytest.approx(1.65)
    assert lead(runs["fpi-noise"]) is None  # scratch was never trained so far
    assert lead(runs["scratch"]) == pytest.approx(0.0)


def test_what_is_never_reached_is_said_and_not_averaged() -> None:
    numbers = {"fpi": {"cost": {0: math.inf, 1: 0.5}}, "scratch": {"cost": {0: 1.0, 1: 1.0}}}
    claim = next(c for c in STUDY.claims if c.first == ("fpi-noise", "cost"))
    found = judge([claim], {**numbers, "fpi-noise": numbers["fpi"]})[0]
    assert (found["verdict"], found["never"]) == ("never reached", "fpi-noise on 1 of 2 seeds")


@pytest.mark.slow
def test_a_tiny_study_runs_and_the_control_stays_locked(tmp_path: Path) -> None:
    overrides: dict[str, Any] = {
        "workers": 1,
        "sources.text.max_bytes": "400k",
        "train.threads": 1,
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
    numbers = found["numbers"]
    assert set(numbers["fpi"]["rank"].values()) == {0.5}
    assert set(numbers["fpi-noise"]["rank"].values()) == {1.0}
    assert max(map(abs, numbers["fpi-noise"]["birth"].values())) < 1e-4
    assert set(numbers["scratch"]["lead"].values()) == {0.0}
    assert json.loads((tmp_path / "growth/study.json").read_text())["status"] == "done"
