"""docs/growth.md says what is measured here: every operator on every family."""

from pathlib import Path

import pytest
from grow.table import EXACT, ROWS, measure, written_rows
from grow.tiny import TINY

from evergrow.grow.depth import DEPTH_OPERATORS
from evergrow.grow.operators import METHODS
from evergrow.models.families import FAMILIES

PAGE = Path(__file__).parents[2] / "docs/growth.md"
WRITTEN = written_rows(PAGE.read_text(encoding="utf-8"))
WAY_OUT = "run python docs/generate.py growth"


def test_every_operator_has_a_row_and_every_family_a_column() -> None:
    measured = {row.split(",")[0] for row in ROWS}
    assert METHODS.keys() | DEPTH_OPERATORS.keys() <= measured
    assert TINY.keys() == FAMILIES.keys()
    assert WRITTEN.keys() == ROWS.keys(), WAY_OUT
    assert all(cells.keys() == TINY.keys() for cells in WRITTEN.values()), WAY_OUT


@pytest.mark.parametrize("row", ROWS)
def test_the_table_says_what_is_measured(row: str) -> None:
    for family in TINY:
        cell, written = measure(family, row), WRITTEN[row][family]
        if cell.text in ("-", "refused"):
            assert written == cell.text, (family, WAY_OUT)
            continue
        # the plan, which saw no weights, judged alike
        assert (cell.claimed == "exact") == (cell.text == "exact"), (family, cell)
        if "new ids" in row:
            assert cell.difference < EXACT  # of the old ids' logits
        if cell.text == "exact":
            assert written == "exact", (family, WAY_OUT)
        else:  # to two digits, wherever rounding cuts
            assert float(written) == pytest.approx(float(cell.text), rel=0.06), (family, WAY_OUT)
