"""The page of all runs."""

import shutil
from pathlib import Path

import pytest
from report.make_run import make_run

from evergrow.report import write_report
from evergrow.report.index import list_folders, write_index


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A finished run, one that has begun, a damaged one, and a folder that is none."""
    folder = tmp_path / "runs"
    write_report(make_run(folder / "mail", arms=("cosine",), only_measured=("old",)))
    begun = make_run(folder / "begun", arms=("cosine",), progress=0.1, status="running")
    (begun / "summary.json").unlink()
    shutil.copytree(folder / "mail", folder / "damaged")
    (folder / "damaged" / "summary.json").write_text("{")
    (folder / "notes").mkdir()
    return folder


def test_every_run_has_a_line(runs: Path) -> None:
    begun, damaged, mail = list_folders(runs)
    assert [one.name for one in (begun, damaged, mail)] == ["begun", "damaged", "mail"]
    assert [one.status for one in (begun, damaged, mail)] == ["begun", "unreadable", "done"]
    assert (mail.page, begun.page) == ("mail/report.html", "")
    assert (mail.arms, mail.seeds, mail.streams) == (1, 1, "english, python, cpp")
    assert mail.average is not None and mail.forgotten is not None
    assert mail.tokens == 537_600


def test_what_was_forgotten_counts_what_is_only_measured(runs: Path) -> None:
    _, _, mail = list_folders(runs)
    alone = make_run(runs.parent / "other" / "x", arms=("cosine",))
    (other,) = list_folders(alone.parent)
    assert mail.forgotten is not None and other.forgotten is not None
    # two streams of the plan, and one that rose by .4235 in each of three stages
    assert mail.forgotten == pytest.approx((2 * other.forgotten + 3 * 0.4235) / 3)


def test_the_page_links_reports_and_escapes_names(runs: Path) -> None:
    (runs / "mail").rename(runs / "a&b mail")
    text = write_index(runs).read_text()
    assert '<a href="a%26b%20mail/report.html">a&amp;b mail</a>' in text
    assert "4 runs" not in text and "3 runs" in text
