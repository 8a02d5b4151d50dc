"""The tree: shared stages once, forks where they left, arms of one ancestor side by side."""

from collections.abc import Callable
from pathlib import Path

import pytest

from evergrow.report.canvas import DASH
from evergrow.report.folder import read_run_folder
from evergrow.report.lineage import DROP, LANE, LEFT, RIGHT, TOP, WIDTH, lineage, stripes

Make = Callable[..., Path]


def test_shared_stages_are_drawn_once_and_striped(made: Make) -> None:
    tree = lineage(read_run_folder(made()))
    trunks = [curve for curve in tree.curves if curve.kind == "trunk"]
    assert len(trunks) == 4 * 3 - 2
    assert sorted(curve.colors for curve in trunks if len(curve.colors) > 1) == [(0, 2), (1, 3)]
    assert [name for _, name, _ in tree.lanes] == [
        "infinite", "infinite-replay", "cosine", "cosine-replay"
    ]  # fmt: skip


def test_forks_start_at_their_step_and_end_below_the_trunk(made: Make) -> None:
    folder = read_run_folder(made(arms=("infinite",), streams=("english",)))
    tree = lineage(folder)
    (fork,) = (curve for curve in tree.curves if curve.kind == "release")
    step = folder.arms[0].stages[0].fork_step
    assert step is not None
    x = LEFT + (WIDTH - LEFT - RIGHT) * step / 350
    assert float(fork.path[1:].split()[0]) == pytest.approx(x, abs=0.06)
    (ring,) = (node for node in tree.nodes if node.kind == "release")
    assert (ring.x, ring.y) == (WIDTH - RIGHT, TOP + DROP)
    assert ring.title == "infinite/releases/english"


def test_a_trunk_that_anneals_itself_carries_its_release(made: Make) -> None:
    tree = lineage(read_run_folder(made(arms=("cosine",))))
    rings = [(node.x, node.y) for node in tree.nodes if node.kind == "release"]
    dots = [(node.x, node.y) for node in tree.nodes if node.kind == "trunk"]
    assert rings == dots
    assert not [curve for curve in tree.curves if curve.kind == "release"]


def test_ad_hoc_branches_and_planned_stages(made: Make) -> None:
    tree = lineage(read_run_folder(made()))
    assert [node.label for node in tree.nodes if node.kind == "branch"] == ["mid-python"]
    running = lineage(read_run_folder(made(arms=("cosine",), progress=0.5, status="running")))
    assert [curve.kind for curve in running.curves] == ["trunk", "trunk", "planned"]
    assert tree.height == TOP + 3 * LANE + DROP + 24


def test_stripes_leave_every_colour_visible() -> None:
    assert stripes((1,)) == [("var(--arm-1)", "none")]
    assert stripes((0, 2, 9)) == [
        ("var(--arm-0)", "none"),
        ("var(--arm-2)", f"{2 * DASH} {DASH}"),
        ("var(--arm-1)", f"{DASH} {2 * DASH}"),
    ]
