"""The command soup: what it says before anything heavy, and its table."""

from pathlib import Path

import pytest
from cli.conftest import Refused

from evergrow.cli.soup import show_soup
from evergrow.flow.souping import Souped
from evergrow.lineage import Candidate, Measured, Soup


def test_the_table_names_the_chosen_and_the_shares(capsys: pytest.CaptureFixture[str]) -> None:
    candidates = [
        Candidate(name=name, key=name[0], loss=loss)
        for name, loss in (("one", 2.0), ("two", 1.5), ("average", 1.75))
    ]
    made = Soup(
        chosen="two",
        shares={"o": 0.0, "t": 1.0},
        candidates=candidates,
        measured_on=["sea"],
        unit="bits per byte",
    )
    line = Measured(source="sea", unit="bits per byte", loss=2.25, low=2, high=3)
    show_soup(Souped(Path("out"), made, {one.name: [line] for one in candidates}))
    rows = [" ".join(row.split()) for row in capsys.readouterr().out.splitlines()]
    assert "│ two (chosen) │ 1.5000 │ 1 │ 2.2500 │" in rows
    assert "│ average │ 1.7500 │ │ 2.2500 │" in rows


def test_what_is_not_there_is_said(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "a").mkdir()
    out = str(tmp_path / "out")
    assert "model here" in refused("soup", str(tmp_path / "a"), str(tmp_path / "a"), "--out", out)
