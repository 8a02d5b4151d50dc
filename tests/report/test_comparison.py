"""Runs beside one another: numbers, intervals, settings, and when not to compare."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from report.make_run import make_run

from evergrow.errors import InputError
from evergrow.report.comparison import as_csv, read_comparison, write_comparison
from evergrow.statistics import t_interval

Make = Callable[..., Path]


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """A run of one stream that forgot what it was measured on, and one of two arms."""
    mail = make_run(
        tmp_path / "mail", arms=("cosine",), streams=("english",), only_measured=("old",)
    )
    return mail, make_run(tmp_path / "toy", arms=("infinite", "cosine"))


def recipe_of(run: Path, recipe: dict[str, object]) -> None:
    path = run / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "recipe": recipe}))


def test_every_arm_is_a_side_with_a_colour_of_its_own(two: tuple[Path, Path]) -> None:
    mail, toy = two
    sides = read_comparison([(mail, None), (toy, None)]).sides
    assert [side.label for side in sides] == ["mail", "toy/infinite", "toy/cosine"]
    assert [side.arm.color for side in sides] == [0, 1, 2]
    assert [s.label for s in read_comparison([(mail, "cosine"), (toy, "cosine")]).sides] == [
        "mail", "toy/cosine"
    ]  # fmt: skip


def test_rows_hold_losses_rises_and_the_interval_over_what_is_held_out(
    two: tuple[Path, Path],
) -> None:
    found = read_comparison([(two[0], None), (two[1], "cosine")])
    assert [(row.run, row.stream, row.role) for row in found.rows] == [
        ("mail", "english", "learnt"), ("mail", "old", "measured only"),
        ("toy/cosine", "english", "learnt"), ("toy/cosine", "python", "learnt"),
        ("toy/cosine", "cpp", "learnt"),
    ]  # fmt: skip
    old = found.rows[1]
    assert (old.before, old.after) == (2.277, pytest.approx(2.7005))
    assert old.after_interval == (pytest.approx(2.6505), pytest.approx(2.7605))
    assert (old.forgotten, old.forgotten_interval) == (pytest.approx(0.4235), None)


def test_with_seeds_intervals_are_over_seeds(made: Make) -> None:
    path = made(arms=("cosine", "cosine-replay"), num_seeds=3)
    row = read_comparison([(path, None)]).rows[0]
    seeds = json.loads((path / "summary.json").read_text())["arms"]["cosine"]["seeds"].values()
    changes = [seed["changes"][0] for seed in seeds]
    ends = t_interval([c["last"]["loss"] for c in changes])
    rises = t_interval([c["last"]["loss"] - c["lowest"]["loss"] for c in changes])
    assert row.after_interval == pytest.approx((ends.low, ends.high))
    assert row.forgotten_interval == pytest.approx((rises.low, rises.high))


def test_settings_that_differ_and_sources_that_only_some_have(two: tuple[Path, Path]) -> None:
    mail, toy = two
    recipe_of(mail / "cosine", {
        "name": "mail", "sources": {"mail": {"files": ["a.txt"], "max_epochs": 4.0}},
        "train": {"batch_size": 8, "threads": 1}, "stages": [{"tokens": 5}],
    })  # fmt: skip
    recipe_of(toy / "cosine", {
        "name": "toy", "sources": {}, "train": {"batch_size": 4, "threads": 1},
        "stages": [{"tokens": 7}],
    })  # fmt: skip
    found = read_comparison([(mail, None), (toy, "cosine")]).differences
    assert [(row.key, row.values) for row in found] == [
        ("train.batch_size", ["8", "4"]),
        ("stages.0.tokens", ["5", "7"]),
        ("sources.mail", ["['a.txt']", ""]),
    ]


def test_other_data_and_other_lengths_are_warned_of(two: tuple[Path, Path]) -> None:
    mail, toy = two
    path = toy / "cosine" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["data"]["english"] = "data/english-ffffffffffff"
    path.write_text(json.dumps(manifest))
    assert read_comparison([(mail, None), (toy, "cosine")]).warnings == [
        "english is other data in some of these runs, so its losses are not comparable.",
        "They read different amounts: curves end at different places.",
    ]
    assert read_comparison([(toy, None)]).warnings[1:] == []


def test_one_arm_is_no_comparison_and_a_strange_arm_is_named(two: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match="name two runs or more, or one that has several arms"):
        read_comparison([(two[0], None)])
    with pytest.raises(InputError, match=r"toy/wsd: no arm of this run; it has infinite and cosi"):
        read_comparison([(two[0], None), (two[1], "wsd")])


def test_the_page_lays_curves_of_a_source_over_one_another(two: tuple[Path, Path]) -> None:
    found = read_comparison([(two[0], None), (two[1], None)])
    page = write_comparison(found, two[0].parent)
    assert page == two[0].parent / "compare.html"
    text = page.read_text()
    charts = re.findall(r'data-chart="([^"]+)">(.*?)</div>', text, re.DOTALL)
    drawn = {name: set(re.findall(r'data-arm="(\d)"', chart)) for name, chart in charts}
    assert drawn == {"loss-0": {"0", "1", "2"}, "loss-1": {"0"}, "loss-2": {"1", "2"},
                     "loss-3": {"1", "2"}}  # fmt: skip


def test_csv_has_the_same_numbers(two: tuple[Path, Path]) -> None:
    found = read_comparison([(two[0], None), (two[1], None)])
    rows = list(csv.DictReader(as_csv(found).splitlines()))
    assert len(rows) == 8
    old = rows[1]
    assert (old["run"], old["stream"], old["role"]) == ("mail", "old", "measured only")
    assert float(old["forgotten"]) == pytest.approx(0.4235)
    assert (old["forgotten_low"], rows[0]["forgotten"]) == ("", "")
    assert float(old["after_low"]) < float(old["after"]) < float(old["after_high"])
