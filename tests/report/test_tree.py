"""A tree of stages on the page: a lane and a heat map for each leaf, curves along the way.

English from the start; Python from the start too; C++ from the release of English.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from report.make_run import BATCH, STEPS
from report.test_page import written

from evergrow.report.figures_life import release_rates, source_loss, training_loss
from evergrow.report.folder import RunFolder, read_run_folder
from evergrow.report.lineage import DROP, LANE, LEFT, RIGHT, TOP, WIDTH, lineage
from evergrow.report.matrix import final_scores, heat_map, ways
from evergrow.report.pictures import sheets
from evergrow.report.verdict import headline

Make = Callable[..., Path]
ORIGINS = {"python": "start", "cpp": "english.release"}
LENGTH = STEPS * BATCH
MIDDLE, END = LEFT + (WIDTH - LEFT - RIGHT) / 2, float(WIDTH - RIGHT)


@pytest.fixture
def tree(made: Make) -> Path:
    return made(arms=("infinite",), origins=ORIGINS)


@pytest.fixture
def folder(tree: Path) -> RunFolder:
    return read_run_folder(tree)


def test_ways_lead_to_every_leaf_the_last_stages_first(folder: RunFolder) -> None:
    found = [(leaf, [span.stage.name for span in way]) for leaf, way in ways(folder.arms[0])]
    assert found == [("cpp", ["english", "cpp"]), ("python", ["python"])]
    run = folder.arms[0].first
    assert [span.stage.name for span in run.way] == ["english", "cpp"]
    assert [(span.start, span.end) for span in run.spans] == [
        (0, LENGTH), (0, LENGTH), (LENGTH, 2 * LENGTH)
    ]  # fmt: skip


def test_every_leaf_has_a_lane(folder: RunFolder) -> None:
    drawn = lineage(folder)
    assert drawn.lanes == [(TOP, "infinite", 0), (TOP + LANE, "infinite: python", 0)]
    assert drawn.height == TOP + LANE + DROP + 24
    assert drawn.columns == [(LEFT, "english"), (MIDDLE, "cpp")]
    dots = [(node.x, node.y) for node in drawn.nodes if node.kind == "trunk"]
    assert dots == [(MIDDLE, TOP), (MIDDLE, TOP + LANE), (END, TOP)]
    rings = [(node.x, node.y) for node in drawn.nodes if node.kind == "release"]
    assert rings == [(x, y + DROP) for x, y in dots]


def test_a_line_begins_where_its_stage_does(folder: RunFolder) -> None:
    """English straight; Python from the start to its lane; C++ from English's ring up again."""
    paths = [curve.path for curve in lineage(folder).curves if curve.kind == "trunk"]
    assert [path.split(" C")[0].split(" H")[0] for path in paths] == [
        f"M{LEFT:.1f} {TOP:.1f}", f"M{LEFT:.1f} {TOP:.1f}", f"M{MIDDLE:.1f} {TOP + DROP:.1f}"
    ]  # fmt: skip
    heights = [re.split(r"[ ,]", path.split(" H")[0])[-1] for path in paths]
    assert heights == [f"{TOP:.1f}", f"{TOP + LANE:.1f}", f"{TOP:.1f}"]
    assert [path.split(" H")[1] for path in paths] == [f"{x:.1f}" for x in (MIDDLE, MIDDLE, END)]


def test_a_heat_map_for_each_leaf(folder: RunFolder) -> None:
    arm, sources = folder.arms[0], ["english", "python", "cpp"]
    losses = arm.first.losses
    maps = {leaf: heat_map(folder, arm, way) for leaf, way in ways(arm)}
    moments = {"cpp": [None, "english", "cpp"], "python": [None, "python"]}
    for leaf, rows in maps.items():
        assert [row.label for row in rows] == [
            f"after {moment}" if moment else "before" for moment in moments[leaf]
        ]
        for row, moment in zip(rows, moments[leaf], strict=True):
            assert [cell.value for cell in row.cells] == [losses[moment][s].loss for s in sources]
    english = [row.cells[0] for row in maps["cpp"]]
    assert english[2].lost == pytest.approx((english[2].value or 0) - (english[1].value or 0))
    assert [cell.lost for row in maps["python"] for cell in row.cells] == [None] * 6
    assert [cell.own for cell in maps["python"][1].cells] == [False, True, False]


def test_charts_follow_the_way_to_the_last_stage(folder: RunFolder) -> None:
    run = folder.arms[0].first
    (line,), (marks,) = (chart := source_loss(folder, 1)).lines, chart.marks
    assert marks.x == (0, LENGTH, 2 * LENGTH)
    assert marks.y == tuple(run.losses[m]["python"].loss for m in (None, "english", "cpp"))
    assert len(line.x) == 2 * 15
    assert [line.x[-1] for line in training_loss(folder).lines[::2]] == [LENGTH, 2 * LENGTH]
    assert [points[-1][0] for points, _ in release_rates(run)] == [LENGTH, 2 * LENGTH]
    assert [found.loss for found in final_scores(folder.arms[0], "python")] == [
        run.losses["cpp"]["python"].loss
    ]


def test_what_a_leaf_learnt_is_told_by_its_own_release(folder: RunFolder) -> None:
    """Not by that of C++, which never read Python."""
    losses = folder.arms[0].first.losses
    ways = [
        f"{stream} {losses[None][stream].loss:.2f} \u2192 {losses[stream][stream].loss:.2f}."
        for stream in ("cpp", "python")
    ]
    main, other = headline(folder).split(" To python: ")
    assert [way in main for way in ways] == [True, False]
    assert [way in other for way in ways] == [False, True]
    kept, end = losses["english"]["english"].loss, losses["cpp"]["english"].loss
    assert f"Forgot english: {kept:.2f} \u2192 {end:.2f} ({end - kept:+.2f})." in main
    assert other.endswith("Nothing older was measured, so nothing is said of forgetting.")


def test_the_page_shows_both_maps_and_all_texts(tree: Path) -> None:
    page = written(tree)
    captions = re.findall(r"<caption>.*infinite</span>(.*)</caption>", page)
    assert captions == ["", " to python"]
    assert ">infinite: python</text>" in page
    assert page.count("<h3>after python</h3>") == 3
    assert sheets(read_run_folder(tree), read_run_folder(tree).arms[0]) == {}
