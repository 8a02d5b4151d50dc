"""Dots and whiskers are those of the last release."""

from collections.abc import Callable
from pathlib import Path

import pytest

from evergrow.report.figures_scores import scores
from evergrow.report.folder import read_run_folder

Make = Callable[..., Path]


def test_one_seed_shows_the_bootstrap_interval(made: Make) -> None:
    folder = read_run_folder(made())
    marks = scores(folder).marks[3]
    found = folder.arms[3].first.losses["cpp"]
    rows = [found[source] for source in folder.sources]
    assert len(rows) == 3
    assert marks.x == tuple(row.loss for row in rows)
    assert marks.whiskers == tuple((row.low, row.high) for row in rows)


def test_several_seeds_show_their_mean_and_range(made: Make) -> None:
    folder = read_run_folder(made(arms=("cosine",), num_seeds=3))
    marks = scores(folder).marks[0]
    values = [run.losses["cpp"]["cpp"].loss for run in folder.arms[0].runs]
    assert marks.x[2] == pytest.approx(sum(values) / 3)
    assert marks.whiskers[2] == (min(values), max(values))
    said = f"cosine, cpp: {sum(values) / 3:.3f} ({min(values):.3f} to {max(values):.3f})"
    assert marks.titles[2] == said


def test_without_a_release_there_is_nothing_to_draw(made: Make) -> None:
    assert scores(read_run_folder(made(progress=0.2, status="running"))).is_empty
