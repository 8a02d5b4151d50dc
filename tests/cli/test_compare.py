"""Runs beside one another in a terminal, and pages opened in the browser."""

import webbrowser
from pathlib import Path

import pytest
from cli.conftest import Call, Refused
from report.make_run import make_run

from evergrow.cli.live import tell_page
from evergrow.listener import Listener
from evergrow.report import write_report


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that a browser was asked for."""
    found: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: found.append(address))
    return found


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    return make_run(tmp_path / "runs" / "toy", arms=("infinite", "cosine"))


def test_arms_by_their_paths(
    toy: Path, call: Call, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    mail = make_run(
        toy.parent / "mail", arms=("cosine",), streams=("english",), only_measured=("old",)
    )
    assert call("compare", str(mail), str(toy / "cosine")) == 0
    said = capsys.readouterr().out
    (row,) = (line for line in said.splitlines() if "old (measured only)" in line)
    assert row.split() == [
        "mail", "old", "(measured", "only)", "2.277", "2.700", "(2.651", "to", "2.760)", "+0.423"
    ]  # fmt: skip
    assert "toy/cosine" in said and "toy/infinite" not in said
    assert "They read different amounts" in said
    assert f"page: {toy.parent / 'compare.html'}" in said


def test_csv_is_all_that_is_printed(
    toy: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("compare", str(toy), "--csv") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("run,stream,role,unit,before,after,")
    assert [line.split(",")[0] for line in lines[1:]] == ["toy/infinite"] * 3 + ["toy/cosine"] * 3
    assert not (toy.parent / "compare.html").exists()


def test_a_single_arm_is_refused(toy: Path, refused: Refused) -> None:
    said = refused("compare", str(toy / "cosine"))
    assert said == "compare: name two runs or more, or one that has several arms"


def test_all_runs_or_one_open_in_the_browser(
    toy: Path, call: Call, opened: list[str], refused: Refused
) -> None:
    missing = toy.parent / "nowhere"
    assert refused("open", "--runs", str(missing)).startswith(f"{missing}: no such folder")
    assert "no report yet" in refused("open", str(toy))
    write_report(toy)
    assert call("open", str(toy)) == 0
    assert call("open", "--runs", str(toy.parent)) == 0
    pages = [toy / "report.html", toy.parent / "index.html"]
    assert opened == [page.as_uri() for page in pages]


@pytest.mark.parametrize("opens", [False, True])
def test_the_page_is_said_and_opened_when_asked(
    opens: bool, tmp_path: Path, opened: list[str]
) -> None:
    said: list[str] = []
    listener = Listener(say=said.append)
    tell_page(listener, opens)
    listener.page(tmp_path / "report.html")
    assert said == [f"page, written anew while it trains: {tmp_path / 'report.html'}"]
    assert opened == [(tmp_path / "report.html").as_uri()] * opens
