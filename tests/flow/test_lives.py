"""docs/models.md says what was measured: what each family keeps of what it was brought with."""

from pathlib import Path

import pytest
from flow.lives import KINDS_BROUGHT, Life, fate, life_of, table, written_table

PAGE = Path(__file__).parents[2] / "docs/models.md"
FAST = ("Llama 3.2, SmolLM 2", "BERT", "T5")


def written() -> dict[str, str]:
    """Family -> its row."""
    rows = written_table(PAGE.read_text(encoding="utf-8")).splitlines()[2:]
    return {row.split(" | ")[0].removeprefix("| "): row for row in rows}


def row(name: str, life: Life) -> str:
    return table({name: life}).splitlines()[-1]


def test_every_family_has_a_row_and_none_loses_anything() -> None:
    rows = written()
    assert list(rows) == list(KINDS_BROUGHT), "run python docs/generate.py models"
    fates = {name: cells.split(" | ")[4] for name, cells in rows.items()}
    assert {name for name, told in fates.items() if told.startswith("no")} == set()


@pytest.mark.parametrize("name", FAST)
def test_a_family_lives_as_its_row_says(name: str, base: Path, tmp_path: Path) -> None:
    assert row(name, life_of(KINDS_BROUGHT[name], base, tmp_path)) == written()[name]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in KINDS_BROUGHT if name not in FAST])
def test_the_others_live_as_their_rows_say(name: str, base: Path, tmp_path: Path) -> None:
    life = life_of(KINDS_BROUGHT[name], base, tmp_path)
    assert row(name, life) == written()[name], fate(life)
