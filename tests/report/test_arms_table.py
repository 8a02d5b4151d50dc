"""Columns that hold numbers, and the best of each."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from evergrow.report.arms_table import arms_table
from evergrow.report.folder import RunFolder, read_run_folder

Make = Callable[..., Path]


def best_of(folder: RunFolder, label: str) -> set[str]:
    table = arms_table(folder)
    place = [measure.label for measure in table.measures].index(label)
    return {arm.name for arm, cells in table.rows if cells[place].is_best}


def test_best_follows_the_measures_direction_and_ignores_ties(made: Make) -> None:
    folder = read_run_folder(made())
    values = {arm.name: arm.scores for arm in folder.arms if arm.scores}
    lowest = min(values, key=lambda name: values[name].average or 0)
    highest = max(values, key=lambda name: values[name].backward_transfer or 0)
    assert best_of(folder, "average") == {lowest}
    assert best_of(folder, "backward transfer") == {highest}
    assert best_of(folder, "speed") == set()
    assert best_of(read_run_folder(made(arms=("cosine",))), "average") == set()


def test_one_stream_has_no_empty_columns_and_what_is_only_measured_one_of_its_own(
    made: Make,
) -> None:
    folder = read_run_folder(made(arms=("cosine",), streams=("english",), only_measured=("old",)))
    table = arms_table(folder)
    assert [measure.label for measure in table.measures] == [
        "average", "old, rise", "tokens", "tokens, all", "speed"
    ]  # fmt: skip
    ((_, cells),) = table.rows
    assert cells[1].value == pytest.approx(0.4235)
    assert cells[1].text == "0.423"


def test_before_the_first_release_costs_alone_are_known(made: Make) -> None:
    table = arms_table(read_run_folder(made(progress=0.1, status="running")))
    assert [measure.label for measure in table.measures] == ["tokens", "tokens, all", "speed"]


def test_classes_are_told_by_shares_beside_the_trivial_answer(made: Make) -> None:
    path = made(arms=("cosine",), streams=("english",))
    summary = json.loads((path / "summary.json").read_text())
    beside = {"accuracy": 0.9, "balanced_accuracy": 0.8, "auroc": 0.95, "floor": 0.69}
    summary["arms"]["cosine"]["changes"][0]["last"]["beside"] = beside
    (path / "summary.json").write_text(json.dumps(summary))
    table = arms_table(read_run_folder(path))
    ((_, cells),) = table.rows
    told = dict(zip((m.label for m in table.measures), (c.text for c in cells), strict=True))
    assert (told["accuracy"], told["balanced accuracy"]) == ("0.900", "0.800")
    assert (told["AUROC"], told["constant"]) == ("0.950", "0.690")
