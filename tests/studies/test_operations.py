import math
from collections.abc import Callable
from pathlib import Path

import pytest
from grow.folders import save

from evergrow.grow.config import GrowConfig
from evergrow.grow.folder import grow_folder
from evergrow.run import Counts, Run
from evergrow.studies.growth import STUDY
from evergrow.studies.harness import study_recipe
from evergrow.studies.operations import (
    Scratch,
    at_the_end,
    cost_to_target,
    curve_of,
    first_reached,
    free_share,
    in_a_row,
    loss_at,
    rate_share,
    scratch_needs,
    spent,
)

CURVE = [(0.0, 3.0), (10.0, 2.0), (20.0, 2.1), (30.0, 1.5)]
STEP = 640.0  # operations: 64 tokens, 10 each


def test_the_first_crossing_on_straight_lines() -> None:
    assert first_reached(CURVE, 2.5) == 5.0
    assert first_reached(CURVE, 1.8) == pytest.approx(25.0)
    assert first_reached(CURVE, 3.5) == 0.0
    assert first_reached(CURVE, 1.4) == math.inf


def test_a_loss_between_readings() -> None:
    assert loss_at(CURVE, 5.0) == 2.5
    assert loss_at(CURVE, 25.0) == pytest.approx(1.8)


def test_a_reading_is_the_mean_of_three_in_a_row() -> None:
    assert in_a_row(CURVE) == [
        (0.0, 3.0),
        (10.0, 2.5),
        (20.0, pytest.approx(7.1 / 3)),
        (30.0, pytest.approx(5.6 / 3)),
    ]


def test_the_target_is_the_loss_at_three_fifths_from_scratch() -> None:
    scratch = Scratch.of([(0.0, 3.0), (10.0, 2.0), (20.0, 1.0)])
    assert (scratch.target, scratch.operations) == (pytest.approx(1.8), pytest.approx(12.0))
    uneven = Scratch.of([(0.0, 3.0), (10.0, 1.0), (20.0, 1.0)])  # it was there before
    assert (uneven.target, uneven.operations) == (1.0, 10.0)


def written(
    folder: Path, write_run: Callable[..., Run], curves: list[Callable[[float], float]]
) -> Run:
    """A Run of the arm that the folder is named after: a stage a curve, every 20 steps of 100."""
    names = ("source", "target")
    losses = {
        (names[i], "trunk", 100 * i + step): {"text": curve(step / 100)}
        for i, curve in enumerate(curves)
        for step in range(0, 101, 20)
    }
    run = write_run(folder, losses, names)
    recipe = study_recipe(STUDY, 2, {}).resolve(folder.parent.name)
    counts = Counts(num_parameters=1, num_layers=2, flops_per_token=10, checkpoint_bytes=1)
    grow = recipe.stages[1].grow
    stages = [s.model_copy(update={"model": counts}) for s in run.manifest.stages]
    if grow is not None:
        stages[1] = stages[1].model_copy(update={"grow": grow.model_dump(mode="json")})
    run.save(recipe=recipe.to_data(), stages=stages)
    return run


def test_costs_are_counted_with_and_without_the_source(
    tmp_path: Path, write_run: Callable[..., Run]
) -> None:
    """By hand: scratch falls from 4 to 2 over 200 steps, the grown arm from 3.2 to 2.7 over 100."""
    scratch = written(
        tmp_path / "scratch/seed-0", write_run, [lambda x: 4.0 - x, lambda x: 3.0 - x]
    )
    grown = written(tmp_path / "aki/seed-0", write_run, [lambda x: 3.4, lambda x: 3.2 - x / 2])

    assert [cost / STEP for cost, _ in curve_of(scratch)] == [20.0 * i for i in range(11)]
    assert [cost / STEP for cost, _ in curve_of(grown)] == [20.0 * i for i in range(6)]
    # a straight line's mean of three is what it was 20 steps before: the target is 3.0, met at 120
    assert cost_to_target(counted=False)(scratch) == pytest.approx(1.0)
    # 3.2 - x/2 is 3.0 at 40 steps, its mean of three at 60
    assert cost_to_target(counted=False)(grown) == pytest.approx(60 / 120)
    assert cost_to_target(counted=True)(grown) == pytest.approx(160 / 120)
    assert spent(counted=False)(grown) == pytest.approx(100 / 120)
    assert spent(counted=True)(grown) == pytest.approx(200 / 120)
    assert spent(counted=True)(scratch) == pytest.approx(200 / 120)  # it has no source
    # it ends at 2.8, which scratch's mean of three reaches at 140
    assert at_the_end(grown) == pytest.approx(2.8)
    assert scratch_needs(grown) == pytest.approx(140 / 120)


def test_what_scratch_or_the_arm_never_reached_is_infinite(
    tmp_path: Path, write_run: Callable[..., Run]
) -> None:
    written(tmp_path / "scratch/seed-0", write_run, [lambda x: 4.0 - x, lambda x: 3.0 - x])
    better = written(tmp_path / "aki/seed-0", write_run, [lambda x: 3.0, lambda x: 1.0])
    worse = written(tmp_path / "fpi/seed-0", write_run, [lambda x: 3.5, lambda x: 3.4])
    assert (cost_to_target(False)(better), scratch_needs(better)) == (0.0, math.inf)
    assert cost_to_target(False)(worse) == math.inf


def test_nothing_is_said_before_scratch_is_done(
    tmp_path: Path, write_run: Callable[..., Run]
) -> None:
    grown = written(tmp_path / "aki/seed-0", write_run, [lambda x: 3.0, lambda x: 2.0])
    scratch = written(tmp_path / "scratch/seed-0", write_run, [lambda x: 3.0, lambda x: 2.0])
    scratch.save(status="running")
    for measure in (cost_to_target(False), spent(True), scratch_needs):
        assert measure(grown) is None


def test_the_rate_of_the_target_is_a_share_of_the_sources(
    tmp_path: Path, write_run: Callable[..., Run]
) -> None:
    run = written(tmp_path / "aki/seed-0", write_run, [lambda x: 3.0, lambda x: 2.0])
    held = {"start": 0, "end": None, "shape": "constant"}
    stages = [
        stage.model_copy(update={"schedule": [{**held, "from_lr": lr, "to_lr": lr}]})
        for stage, lr in zip(run.manifest.stages, (4e-3, 1e-3), strict=True)
    ]
    run.save(stages=stages)
    assert rate_share(run) == 0.25


@pytest.mark.parametrize(("method", "free"), [("fpi", 0.5), ("auto", 1.0)])
def test_equal_splits_leave_half_of_the_units_free(
    method: str, free: float, tmp_path: Path, write_run: Callable[..., Run]
) -> None:
    run = written(tmp_path / "aki/seed-0", write_run, [lambda x: 3.0, lambda x: 2.0])
    save(tmp_path / "small", "llama")
    grow = GrowConfig.model_validate(
        {"to": {"hidden": 96, "heads": 8, "kv_heads": 4, "ffn": 224}, "method": method}
    )
    grow_folder(tmp_path / "small", grow, run.folder / "releases/target")
    assert free_share(run) == free
