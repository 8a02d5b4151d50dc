"""Dots and whiskers are those of the last release."""

from collections.abc import Callable
from pathlib import Path

import pytest

from evergrow.report.figures_scores import scores
from evergrow.report.folder import read_run_folder

Make = Callable[..., Path]


def test_one_seed_shows_the_bootstrap_interval(made: Make) -> None:
    folder = read_run_folder(made())
    trace = scores(folder)["data"][3]
    found = folder.arms[3].first.losses["cpp"]
    rows = [found[source] for source in folder.sources]
    assert len(rows) == 3
    assert trace["x"] == pytest.approx([row.loss for row in rows], rel=1e-5)
    assert trace["customdata"] == [[row.low, row.high] for row in rows]
    assert trace["error_x"]["arrayminus"] == pytest.approx([0.05] * 3)


def test_several_seeds_show_their_mean_and_range(made: Make) -> None:
    folder = read_run_folder(made(arms=("cosine",), num_seeds=3))
    trace = scores(folder)["data"][0]
    values = [run.losses["cpp"]["cpp"].loss for run in folder.arms[0].runs]
    assert trace["x"][2] == pytest.approx(sum(values) / 3, rel=1e-5)
    assert trace["customdata"][2] == [min(values), max(values)]


def test_without_a_release_there_is_nothing_to_draw(made: Make) -> None:
    assert scores(read_run_folder(made(progress=0.2, status="running")))["data"] == []
