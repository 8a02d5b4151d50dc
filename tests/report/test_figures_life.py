"""Curves along the trunk's tokens: what is drawn is what the files say."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report.make_run import BATCH, FLOOR, PEAK, STEPS, add_score, scored

from evergrow.report.canvas import arm_dash
from evergrow.report.figures_life import (
    learning_rate,
    release_rates,
    running_mean,
    schedule_groups,
    source_loss,
    training_loss,
    trunk_rates,
)
from evergrow.report.figures_scores import scores
from evergrow.report.folder import read_run_folder
from evergrow.stage.records import Step, read_lines

Make = Callable[..., Path]


def test_trunk_lines_and_release_marks_hold_the_evaluations(made: Make) -> None:
    folder = read_run_folder(made(arms=("infinite",)))
    chart = source_loss(folder, 1)
    (line,), (marks,) = chart.lines, chart.marks
    run = folder.arms[0].first
    looks = [row for row in run.evaluations if row.source == "python"]
    assert len(looks) == 3 * 15
    assert line.x == tuple(row.step * BATCH for row in looks)
    assert line.y == tuple(row.loss for row in looks)
    moments = [None, "english", "python", "cpp"]
    assert marks.x == (0, 179_200, 358_400, 537_600)
    assert marks.y == tuple(run.losses[m]["python"].loss for m in moments)
    assert (chart.x.title, chart.y.title) == ("tokens", "bits per byte")


def test_a_mark_that_is_near_sets_the_scale_and_one_far_above_does_not(made: Make) -> None:
    path = made(arms=("infinite",), streams=("english",), start="some/model")
    near = source_loss(read_run_folder(path), 0)
    assert near.y.low < near.marks[0].y[0] < near.y.high  # the model before stage 1
    add_score(path, "start-0", "english", losses=[scored("english", 11.0)])
    far = source_loss(read_run_folder(path), 0)
    assert far.marks[0].y[0] == 11.0
    assert far.y.high < 4


def test_the_best_constant_is_drawn_where_scores_record_it(made: Make) -> None:
    path = made(arms=("infinite",), streams=("english",))
    line = scored("english", 2.5).model_copy(update={"floor": 3.5})
    add_score(path, "infinite-0-0.0-0", "english", losses=[line])
    folder = read_run_folder(path)
    chart = source_loss(folder, 0)
    (baseline,) = chart.baselines
    assert (baseline.box[1], baseline.name) == (3.5, "the best constant 3.50")
    assert chart.y.low < 3.5 < chart.y.high
    (upright,) = scores(folder).baselines
    assert (upright.box[0], upright.box[2]) == (3.5, 3.5)
    assert source_loss(read_run_folder(made(arms=("infinite",))), 0).baselines == ()


def test_a_stage_whose_clock_counts_otherwise_is_drawn_along_its_clock(made: Make) -> None:
    """Of examples a step's tokens differ; the clock moves by their mean."""
    path = made(arms=("cosine",), streams=("english",))
    for name in ("evals", "metrics"):
        file = path / f"cosine/{name}.jsonl"
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        file.write_text("".join(json.dumps(row | {"tokens": 7}) + "\n" for row in rows))
    folder = read_run_folder(path)
    assert source_loss(folder, 0).lines[0].x[-2:] == (325 * BATCH, 350 * BATCH)
    assert training_loss(folder).lines[0].x[-1] == 350 * BATCH


def test_seeds_are_faint_lines_around_their_mean(made: Make) -> None:
    folder = read_run_folder(made(arms=("cosine",), num_seeds=2))
    first, second, mean = source_loss(folder, 2).lines
    assert first.opacity == second.opacity == 0.3
    assert (first.is_read, mean.is_read) == (False, True)
    assert mean.y == pytest.approx((np.array(first.y) + np.array(second.y)) / 2)


def test_training_lines_are_thinned_and_skipped_steps_do_not_bend_the_mean(made: Make) -> None:
    folder = read_run_folder(made(arms=("cosine",)))
    lines = training_loss(folder).lines
    for number in (0, 1):
        assert sum(len(line.x) for line in lines[number::2]) <= 600
    skipped = [step.loss for step in folder.arms[0].first.digest.skipped]
    smooth = [value for line in lines[1::2] for value in line.y]
    assert skipped[0] > 10 > max(smooth)


def test_running_mean_on_hand_numbers() -> None:
    values = np.array([1.0, 3.0, np.nan, 5.0, 7.0])
    np.testing.assert_allclose(running_mean(values, 2), [1.0, 2.0, 3.0, 5.0, 6.0])
    np.testing.assert_allclose(running_mean(values, 9), [1.0, 2.0, 2.0, 3.0, 4.0])


def test_arms_with_one_schedule_share_a_panel_though_one_is_ahead(made: Make) -> None:
    groups = schedule_groups(read_run_folder(made(progress=0.5, status="running")))
    assert [[arm.name for arm in group] for group in groups] == [
        ["infinite", "infinite-replay"], ["cosine", "cosine-replay"]
    ]  # fmt: skip


def test_the_drawn_rate_goes_through_the_rates_that_were_used(made: Make) -> None:
    folder = made(arms=("cosine",))
    run = read_run_folder(folder).arms[0].first
    tokens, rates = zip(*trunk_rates(run)[0], strict=True)
    steps = read_lines(folder / run.path / "metrics.jsonl", Step)
    used = [step for step in steps if (step.stage, step.leg) == ("english", "trunk")]
    drawn = np.interp([step.tokens for step in used], tokens[:60], rates[:60])
    np.testing.assert_allclose(drawn, [step.lr for step in used], atol=0.01 * PEAK)


def test_forks_leave_the_trunk_and_reach_the_floor(made: Make) -> None:
    run = read_run_folder(made(arms=("infinite",))).arms[0].first
    forks = release_rates(run)
    assert len(forks) == 3
    for number, (points, is_done) in enumerate(forks):
        assert is_done
        assert points[0] == (
            (number + 1) * STEPS * BATCH - 52 * BATCH,
            pytest.approx(0.55 * PEAK),
        )
        assert points[-1] == ((number + 1) * STEPS * BATCH, pytest.approx(FLOOR))


def test_what_is_to_come_is_planned_and_not_done(made: Make) -> None:
    folder = read_run_folder(made(arms=("infinite",), progress=0.5, status="running"))
    run = folder.arms[0].first
    done, planned = trunk_rates(run)
    assert done[-1][0] == planned[0][0] == 525 * BATCH
    assert planned[-1][0] == 3 * STEPS * BATCH
    assert [is_done for _, is_done in release_rates(run)] == [True, False, False]
    rings = learning_rate(folder, folder.arms, 0).marks[-1]
    assert rings.x == (STEPS * BATCH,)


def test_arms_that_share_a_rate_are_striped_and_a_fifth_one_alone_is_dashed(made: Make) -> None:
    folder = read_run_folder(made(arms=("infinite", "infinite-replay")))
    trunks = [line for line in learning_rate(folder, folder.arms, 0).lines if line.width == 3.2]
    assert [line.dash for line in trunks] == ["", "11 11"]
    fifth = replace(folder.arms[0], color=4)
    alone = learning_rate(folder, [fifth], 0).lines[-1]
    assert (alone.width, alone.dash) == (3.2, arm_dash(4))
