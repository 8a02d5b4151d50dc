"""What is seen while work runs: sentences in a log, bars before eyes."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from evergrow.cli import live
from evergrow.listener import Progress

TRAINED = {
    "loss": 2.5, "lr": 1e-3, "tokens_per_second": 1500.0, "mfu": 0.25, "peak_memory_bytes": 2e9
}  # fmt: skip


@pytest.mark.parametrize("terminal", [True, False])
def test_bars_are_for_eyes_and_sentences_for_all(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=160, highlight=False)
    monkeypatch.setattr(live, "console", console)
    with live.watching() as listener:
        listener.say("restored [weights]")
        listener.progress(Progress(Path("runs/a/seed-3"), "mail", "trunk", 30, 60, TRAINED))
    said = file.getvalue()
    assert "restored [weights]\n" in said
    bar = "loss 2.500  lr 1.00e-03  1,500/s  MFU 25%  2.0 GB"
    assert (bar in said, "a/seed-3 mail" in said) == (terminal, terminal)


def test_a_bar_says_skipped_steps_and_work_that_is_no_training() -> None:
    assert live._numbers({**TRAINED, "loss": None}).startswith("loss skipped  lr")
    assert live._numbers({"words": "3 of 9 files"}) == "3 of 9 files"
