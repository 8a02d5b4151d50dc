from collections.abc import Callable
from pathlib import Path

import pytest

from evergrow.run import Run
from evergrow.studies.readings import at_start, early_peak, released

LOSSES = {
    ("old", "trunk", 0): {"old": 8.0, "new": 8.0},
    ("old", "trunk", 4): {"old": 9.0, "new": 9.0},
    ("old", "release", 100): {"old": 2.0, "new": 4.0},
    ("new", "trunk", 100): {"old": 2.5, "new": 4.5},
    ("new", "trunk", 103): {"old": 2.7, "new": 4.1},
    ("new", "trunk", 105): {"old": 2.9, "new": 3.9},
    ("new", "trunk", 106): {"old": 3.1, "new": 4.7},
    ("new", "anneal", 104): {"old": 9.9, "new": 9.9},
    ("new", "trunk", 200): {"old": 3.0, "new": 3.0},
    ("new", "release", 200): {"old": 2.8, "new": 2.6},
}


@pytest.fixture
def run(tmp_path: Path, write_run: Callable[..., Run]) -> Run:
    return write_run(tmp_path / "rewarm" / "seed-0", LOSSES)


def test_a_release_is_read_of_the_last_stage_and_not_off_its_trunk(run: Run) -> None:
    assert released("old")(run) == 2.8
    assert released("new")(run) == 2.6
    assert released("cpp")(run) is None


def test_the_start_is_that_of_the_last_stage(run: Run) -> None:
    assert at_start("old")(run) == 2.5
    assert at_start("new")(run) == 4.5


def test_an_early_peak_ends_with_the_fraction_and_leaves_out_the_start(run: Run) -> None:
    assert early_peak("old", 0.05)(run) == 2.9  # steps 3 and 5 of 100, not 6
    assert early_peak("old", 0.06)(run) == 3.1
    assert early_peak("new", 0.05)(run) == 4.1  # the start was 4.5: it never rose
    assert early_peak("new", 0.02)(run) is None  # nothing was measured there


def test_one_stage_has_no_finished_model_to_start_from(
    tmp_path: Path, write_run: Callable[..., Run]
) -> None:
    losses = {key: value for key, value in LOSSES.items() if key[0] == "old"}
    run = write_run(tmp_path / "scratch" / "seed-0", losses, ("old",))
    assert at_start("old")(run) is None
    assert early_peak("old", 0.05)(run) is None
    assert released("new")(run) == 4.0
