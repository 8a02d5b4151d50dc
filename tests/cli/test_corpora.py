"""Corpora from the shell: what each rule dropped, and both policies side by side."""

from typing import Any

import pytest

from evergrow.cli.corpora import show_waterfall, show_what_if


def step(rule: str, documents: int, any_documents: int = 0) -> dict[str, Any]:
    size = documents * 1_000
    return {"rule": rule, "documents": documents, "bytes": size, "any_documents": any_documents}


def cells(said: str, rule: str) -> list[str]:
    """The words of the row of a rule."""
    return next(line.split() for line in said.splitlines() if line.strip().startswith(rule))


def test_a_waterfall_counts_down_and_leaves_out_rules_that_met_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = [step("short", 10, 12), step("never", 0), step("repeated", 2_000, 2_000)]
    show_waterfall(
        "notes",
        {
            "read": {"documents": 5_000, "bytes": 5_000_000},
            "steps": steps,
            "kept": {"documents": 2_990, "bytes": 2_990_000},
        },
    )
    said = capsys.readouterr().out
    assert cells(said, "read") == ["read", "5", "MB", "5,000"]
    assert cells(said, "short") == ["short", "10", "10", "kB", "12", "4,990"]
    assert cells(said, "repeated") == ["repeated", "2,000", "2", "MB", "2,000", "2,990"]
    assert cells(said, "kept") == ["kept", "3", "MB", "2,990"]
    assert "never" not in said


def test_what_if_shows_rules_of_either_policy(capsys: pytest.CaptureFixture[str]) -> None:
    show_what_if(
        {
            "corpus": "notes",
            "now": {"steps": [step("old", 3)], "kept": {"documents": 7, "bytes": 7_000}},
            "then": {"steps": [step("new", 4)], "kept": {"documents": 6, "bytes": 6_000}},
            "alone": {"new": {"documents": 2, "bytes": 2_000}},
        }
    )
    said = capsys.readouterr().out
    assert "notes: the other policy" in said
    assert cells(said, "old") == ["old", "3", "not", "asked"]
    assert cells(said, "new") == ["new", "not", "asked", "4", "4", "kB", "+2", "(2", "kB)"]
    assert cells(said, "kept") == ["kept", "7", "6", "6", "kB"]
