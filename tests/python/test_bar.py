"""The bar by default: the terminal's, or one that a notebook shows without widgets."""

import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from evergrow.listener import Listener, Progress, Reading
from evergrow.python import bar


class Display:
    """IPython.display as far as the bar uses it: what was drawn, in order."""

    def __init__(self) -> None:
        self.drawn: list[str] = []

    def display(self, html: str, display_id: bool = False) -> "Display":
        self.drawn.append(html)
        return self

    def update(self, html: str) -> None:
        self.drawn.append(html)

    def HTML(self, text: str) -> str:
        return text


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Display:
    """A process that answers cells."""
    shown: Any = Display()
    shell: Any = ModuleType("IPython")
    shell.get_ipython = object
    for name, module in {"ipykernel": ModuleType("ipykernel"), "IPython": shell}.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    return shown


def at(done: int, loss: float | None = 2.0) -> Progress:
    reading = Reading(loss, 1e-3, 100.0, "tokens", 0.5, 1_000)
    return Progress(Path("runs/a<b"), "two", "trunk", done, 10, reading)


def test_a_notebook_has_one_bar_that_is_gone_at_the_end(
    notebook: Display, capsys: pytest.CaptureFixture[str]
) -> None:
    with bar.watched(None) as listener:
        listener.progress(at(4))
        listener.say("main, two: next rate 0.1")
    assert notebook.drawn == [
        "",
        '<div><progress value="4" max="10"></progress> 4 of 10 a&lt;b two loss 2.000</div>',
        "",
    ]
    assert capsys.readouterr().out == "main, two: next rate 0.1\n"


def test_it_is_drawn_a_few_times_a_second(notebook: Display) -> None:
    with bar.watched(None) as listener:
        for done in range(1, 11):
            listener.progress(at(done, None))
    drawn = [html for html in notebook.drawn if html]
    assert [html.count('value="1"') for html in drawn] == [1]
    assert "loss" not in drawn[0]


def test_a_notebook_leads_to_the_page_while_it_trains(
    notebook: Display, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with bar.watched(None) as listener:
        listener.page(Path("runs/life/report.html"))
    assert notebook.drawn[1].startswith('<p><a href="runs/life/report.html"')


def test_it_is_of_all_that_is_trained_and_other_work_has_words() -> None:
    whole = Progress(Path("runs/a"), "two", "trunk", 3, 10, whole=(13, 40))
    assert bar.bar(whole) == '<div><progress value="13" max="40"></progress> 13 of 40 a two </div>'
    reading = Progress(Path("runs/a"), "notes", "", 3, 10, words="3 <files>")
    assert bar.bar(reading).endswith("3 of 10 a notes 3 &lt;files&gt;</div>")


def test_elsewhere_it_is_the_command_lines_and_a_listener_is_taken_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    monkeypatch.setattr(bar, "watching", lambda: nullcontext(Listener(say=said.append)))
    with bar.watched(None) as listener:
        listener.page(Path("runs/life/report.html"))
    assert said == ["page, written anew while it trains: runs/life/report.html"]
    mine = Listener()
    with bar.watched(mine) as listener:
        assert listener is mine
