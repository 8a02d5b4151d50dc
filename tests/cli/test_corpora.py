"""Corpora from the shell: what each rule dropped, and both policies side by side."""

import pytest

from evergrow.cli.corpora import show_waterfall, show_what_if
from evergrow.corpus.curate.what_if import Tried
from evergrow.corpus.records import Amount, Kept, Step, Waterfall


def step(rule: str, documents: int, any_documents: int = 0) -> Step:
    size = documents * 1_000
    return Step(
        stage="policy",
        rule=rule,
        documents=documents,
        bytes=size,
        any_documents=any_documents,
        any_bytes=0,
    )


def waterfall(read: int, steps: list[Step], kept: int) -> Waterfall:
    size = kept * 1_000
    return Waterfall(
        read=Amount(documents=read, bytes=read * 1_000),
        steps=steps,
        kept=Kept(documents=kept, bytes=size, bytes_after_edits=size),
    )


def cells(said: str, rule: str) -> list[str]:
    """The words of the row of a rule."""
    return next(line.split() for line in said.splitlines() if line.strip().startswith(rule))


def test_a_waterfall_counts_down_and_leaves_out_rules_that_met_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = [step("short", 10, 12), step("never", 0), step("repeated", 2_000, 2_000)]
    show_waterfall("notes", waterfall(5_000, steps, 2_990))
    said = capsys.readouterr().out
    assert cells(said, "read") == ["read", "5", "MB", "5,000"]
    assert cells(said, "short") == ["short", "10", "10", "kB", "12", "4,990"]
    assert cells(said, "repeated") == ["repeated", "2,000", "2", "MB", "2,000", "2,990"]
    assert cells(said, "kept") == ["kept", "3", "MB", "2,990"]
    assert "never" not in said


def test_what_if_shows_rules_of_either_policy(capsys: pytest.CaptureFixture[str]) -> None:
    now, then = waterfall(10, [step("old", 3)], 7), waterfall(10, [step("new", 4)], 6)
    show_what_if(Tried("notes", now, then, {"new": Amount(documents=2, bytes=2_000)}))
    said = capsys.readouterr().out
    assert "notes: the other policy" in said
    assert cells(said, "old") == ["old", "3", "not", "asked"]
    assert cells(said, "new") == ["new", "not", "asked", "4", "4", "kB", "+2", "(2", "kB)"]
    assert cells(said, "kept") == ["kept", "7", "6", "6", "kB"]
