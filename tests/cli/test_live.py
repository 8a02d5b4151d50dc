"""What is seen while work runs: lines in a log, one bar before eyes."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress as Bars

from evergrow.cli import live
from evergrow.listener import Listener, Progress, Reading

READ = Reading(2.5, 1e-3, 1500.0, "tokens", 0.25, 2e9)
MAIL = Progress(Path("runs/a/seed-3"), "mail", "trunk", 30, 60, READ, whole=(30, 120))


def seen(terminal: bool, width: int = 160) -> tuple[io.StringIO, Console]:
    file = io.StringIO()
    return file, Console(file=file, force_terminal=terminal, width=width, highlight=False)


@pytest.mark.parametrize("terminal", [True, False])
def test_bars_are_for_eyes_and_sentences_for_all(terminal: bool) -> None:
    file, console = seen(terminal)
    with live.watching(console) as listener:
        listener.say("restored [weights]")
        listener.progress(MAIL)
    said = file.getvalue()
    assert "restored [weights]\n" in said
    bar = "a/seed-3 mail  loss 2.500  1,500 tokens/s  lr 1.00e-03  MFU 25%  2.0 GB"
    assert (bar in said) == terminal


def test_at_80_columns_the_time_left_stands_and_the_end_is_cut() -> None:
    file, console = seen(True, 80)
    with live.watching(console) as listener:
        listener.progress(MAIL)
        listener.progress(replace(MAIL, done=60, whole=(60, 120)))
    last = [line for line in file.getvalue().splitlines() if "50%" in line][-1]
    shown = last[last.index("s left") - 1 :]
    assert shown.index("left") < shown.index("50%") < shown.index("a/seed-3 mail")
    assert "2.0 GB" not in shown


def test_one_bar_stands_for_the_whole_recipe() -> None:
    bars = Bars(*live._columns(), console=seen(True)[1])
    watcher = live._Bars(bars)
    for stage, done, whole in (("mail", 60, 60), ("film", 1, 61)):
        watcher.progress(replace(MAIL, stage=stage, done=done, whole=(whole, 120)))
    [bar] = bars.tasks
    assert (bar.description, bar.completed, bar.total) == ("a/seed-3 film", 61, 120)
    watcher.progress(replace(MAIL, done=60, whole=(120, 120)))
    assert bars.tasks == []


def test_a_log_gets_a_line_every_thirty_seconds() -> None:
    said: list[str] = []
    time = 0.0
    lines = live._Lines(said.append, lambda: time)
    for second in range(1, 91):
        time = float(second)
        lines.progress(replace(MAIL, done=second, total=1_000, whole=(second, 4_000)))
    assert len(said) == 3
    assert said[0] == (
        "a/seed-3 mail: step 30 of 1,000, 1% of all, loss 2.500, 1,500 tokens/s, 66 min left"
    )
    other = Progress(Path("corpora/notes"), "measure", "measure", 3, 9, words="3 of 9")
    time = 130.0
    lines.progress(other)
    assert said[-1] == "notes measure: 3 of 9, time unknown"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (3, "3 s"),
        (89, "89 s"),
        (95, "2 min"),
        (5340, "89 min"),
        (7500, "2 h 05 min"),
        (2e5, "2 d 7 h"),
    ],
)
def test_times_are_said_in_two_units(seconds: float, said: str) -> None:
    assert live.in_words(seconds) == said


def test_a_bar_says_skipped_steps_and_work_that_is_no_training() -> None:
    assert live._numbers(replace(MAIL, reading=replace(READ, loss=None))).startswith("loss skipped")
    assert live._numbers(replace(MAIL, reading=None, words="3 of 9 files")) == "3 of 9 files"


def test_a_listener_is_silent_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    Listener().progress(MAIL)
    Listener().say("a sentence")
    assert capsys.readouterr() == ("", "")
