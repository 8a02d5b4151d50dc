"""What results show of themselves: the command line's own words, as text and as HTML."""

import os
import webbrowser
from collections.abc import Callable
from pathlib import Path

import pytest
from cli.conftest import Call
from cli.conftest import call as call
from rich.table import Table
from rich.tree import Tree
from transformers import AutoConfig

import evergrow
from evergrow.cli.terminal import console
from evergrow.python.results import Record, Rows
from evergrow.python.screen import as_html, as_text

SILENT = evergrow.Listener()


def show_all() -> None:
    table = Table("arm", title="a < b")
    table.add_column("loss", justify="right")
    table.add_row("[bold]one[/bold]", "1.5")
    console.print(table)
    console.print("two & three", markup=False)
    tree = Tree("root")
    tree.add("leaf <1>")
    console.print(tree)


def lines_of(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def test_tables_sentences_and_trees_are_html() -> None:
    assert as_html(show_all).splitlines() == [
        "<table><caption>a &lt; b</caption><thead><tr>"
        '<th style="text-align:left">arm</th><th style="text-align:right">loss</th></tr></thead>'
        '<tbody><tr><td style="text-align:left">one</td><td style="text-align:right">1.5</td></tr>'
        "</tbody></table>",
        "<p>two &amp; three</p>",
        "<pre>root",
        "└── leaf &lt;1&gt;</pre>",
    ]


def test_text_is_what_a_terminal_shows_and_nothing_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = as_text(show_all).splitlines()
    assert lines[-3:] == ["two & three", "root", "└── leaf <1>"]
    assert "│ one │  1.5 │" in lines
    assert capsys.readouterr().out == ""
    console.print("heard")
    assert capsys.readouterr().out == "heard\n"


def test_a_console_that_failed_prints_again(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        as_text(fails)
    console.print("heard")
    assert capsys.readouterr().out == "heard\n"


def test_results_show_what_the_commands_print(
    lived: Path, call: Call, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lived.parent.parent)
    monkeypatch.setenv("COLUMNS", "100")
    runs, run = lived.parent.name, f"{lived.parent.name}/{lived.name}"
    model = f"{run}/main/releases/two"
    pairs: list[tuple[Callable[[], object], tuple[str, ...]]] = [
        (lambda: evergrow.list_(runs), ("list", "--runs", runs)),
        (lambda: evergrow.log(run), ("log", run)),
        (lambda: evergrow.log(run, seen=True), ("log", run, "--seen")),
        (lambda: evergrow.eval_(run, listener=SILENT), ("eval", run)),
        (
            lambda: evergrow.grow_plan(model, {"hidden": 32, "heads": 4}),
            ("grow", "plan", model, "--to", "hidden=32,heads=4"),
        ),
    ]
    for ask, words in pairs:
        call(*words)
        printed = capsys.readouterr().out
        assert lines_of(str(ask())) == lines_of(printed), words


def test_a_result_shows_its_table_and_leads_to_its_page(
    lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = evergrow.load(lived)
    monkeypatch.chdir(lived.parent)
    forgot = f"{result.arm().forgetting:.3f}"
    html = evergrow.load("tiny")._repr_html_()
    assert f'<td style="text-align:right">{forgot}</td>' in html
    assert html.endswith('<p><a href="tiny/report.html" target="_blank">The whole report</a></p>')
    monkeypatch.chdir("/")
    assert f'<a href="{result.report.as_uri()}"' not in html
    text = str(result)
    assert forgot in text
    assert text.splitlines()[-1] == f"report: {result.report}"


def test_rows_and_records_are_plain_values_too(lived: Path) -> None:
    scores = evergrow.eval_(lived, listener=SILENT)
    assert isinstance(scores, Rows)
    assert [score.source for score in scores] == ["land", "sea"]
    assert "<td" in scores._repr_html_()
    log = evergrow.log(lived)
    assert isinstance(log, Record)
    assert [stage["name"] for stage in log["stages"]] == ["one", "two"]
    assert log._repr_html_().startswith("<pre>tiny, main, seed 0")


def test_a_release_shows_its_scores_and_where_it_is(lived: Path) -> None:
    release = evergrow.load(lived).release()
    first, last = repr(release).splitlines()[1], repr(release).splitlines()[-1]
    assert "95 % interval" in first
    assert last == f"release: {release.folder}"
    assert str(release) == os.fspath(release) == str(release.folder)
    assert AutoConfig.from_pretrained(release).hidden_size == 16
    assert f"<code>{release.folder}</code>" in release._repr_html_()
    assert evergrow.sample(release, "wave", tokens=3, seed=1)


def test_runs_are_compared_and_pages_opened(
    base: Path, lived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    other = evergrow.run(
        base / "tiny.yaml", {"name": "other", "replay.fraction": 0}, runs=tmp_path, listener=SILENT
    )
    compared = evergrow.compare(lived, other)
    assert [each["key"] for each in compared["differences"]] == ["replay.fraction"]
    assert {row["stream"] for row in compared["rows"]} == {"one", "two"}
    assert Path(compared["page"]) == lived.parent / "compare.html"
    assert "replay.fraction" in str(compared)
    assert compared._repr_html_().endswith('target="_blank">The whole page</a></p>')
    assert evergrow.open_(other) == other.report
    assert evergrow.open_(runs=tmp_path).parent == tmp_path
    assert opened[0] == other.report.as_uri()


def test_the_schema_and_the_page_are_what_the_commands_give(lived: Path) -> None:
    assert "stages" in evergrow.schema()["properties"]
    assert evergrow.report(lived) == lived / "report.html"
