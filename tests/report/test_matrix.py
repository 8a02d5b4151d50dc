"""The heat map holds the evaluations of releases, and the distance to the best earlier one."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from report.make_run import add_data, add_score

from evergrow.lineage import Measured
from evergrow.report.folder import Arm, RunFolder, read_run_folder
from evergrow.report.matrix import Row, columns, heat_map, released, ways

Make = Callable[..., Path]


def rows_of(folder: RunFolder, arm: Arm) -> list[Row]:
    """The heat map of an arm whose stages are one trunk."""
    ((_, way),) = ways(arm)
    return heat_map(folder, arm, way)


def test_rows_equal_the_summarys_loss_matrix(made: Make) -> None:
    path = made()
    summary = json.loads((path / "summary.json").read_text())
    folder = read_run_folder(path)
    for arm in folder.arms:
        rows = rows_of(folder, arm)
        assert [row.label for row in rows] == [
            "before",
            "after english",
            "after python",
            "after cpp",
        ]
        expected = summary["arms"][arm.name]
        values = [[cell.value for cell in row.cells] for row in rows]
        assert values == [expected["before"], *expected["loss_matrix"]]


def test_lost_is_measured_from_the_lowest_release_since_the_streams_own_stage(made: Make) -> None:
    folder = read_run_folder(made(arms=("cosine",)))
    rows = rows_of(folder, folder.arms[0])
    english = [row.cells[0].value or 0.0 for row in rows]
    assert [row.cells[0].lost for row in rows] == pytest.approx(
        [None, None, english[2] - english[1], english[3] - min(english[1:3])]
    )
    assert [row.cells[2].lost for row in rows] == [None] * 4
    assert [[cell.own for cell in row.cells].index(True) for row in rows[1:]] == [0, 1, 2]


def test_all_arms_share_one_scale(made: Make) -> None:
    folder = read_run_folder(made())
    cells = [cell for arm in folder.arms for row in rows_of(folder, arm)[1:] for cell in row.cells]
    by_value = sorted(cells, key=lambda cell: cell.value or 0)
    assert (by_value[0].shade, by_value[-1].shade) == (0.0, 1.0)
    assert [cell.shade for cell in by_value] == sorted(cell.shade for cell in cells)


def test_a_stage_that_mixes_sources_counts_by_weight(made: Make) -> None:
    path = made(arms=("cosine",), streams=("english", "python"))
    manifest = json.loads((path / "cosine/manifest.json").read_text())
    manifest["stages"][1] |= {"name": "both", "mixture": {"english": 0.25, "python": 0.75}}
    (path / "cosine/manifest.json").write_text(json.dumps(manifest))
    arm = read_run_folder(path).arms[0]
    parts = [released(arm, "both", name) or 0.0 for name in ("english", "python")]
    assert released(arm, "both", "both") == pytest.approx(0.25 * parts[0] + 0.75 * parts[1])


def test_sources_that_no_stage_learns_get_a_column_of_their_own(made: Make) -> None:
    path = made(arms=("cosine",), streams=("english",))
    add_data(path, "cosine", "wiki")
    wiki = Measured(source="wiki", unit="bits per byte", loss=1.5, low=1.25, high=1.75)
    add_score(path, "cosine-0-0.0-0", "wiki", losses=[wiki])
    folder = read_run_folder(path)
    assert columns(folder) == ["english", "wiki"]
    assert rows_of(folder, folder.arms[0])[1].cells[1].value == 1.5


def test_what_is_only_measured_was_known_before_the_first_stage(made: Make) -> None:
    folder = read_run_folder(made(arms=("cosine",), streams=("english",), only_measured=("old",)))
    rows = rows_of(folder, folder.arms[0])
    assert columns(folder) == ["english", "old"]
    assert [row.cells[1].lost for row in rows] == [None, pytest.approx(0.4235)]
    assert rows[1].cells[0].lost is None
