"""The card: sizes, lengths and examples that a person may see."""

import json
from pathlib import Path

import pytest
from corpus.curate.texts import make, prose, write_texts

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.curate.card import EXAMPLE_CHARACTERS, year_of
from evergrow.corpus.curate.corpus import Corpus


@pytest.mark.parametrize(
    ("date", "year"),
    [(None, "unknown"), ("2024-05-01T10:00:00Z", "2024"), ("2019", "2019"), ("May", "unreadable")],
)
def test_years(date: str | None, year: str) -> None:
    assert year_of(date) == year


def test_years_stand_in_order_and_others_by_size(tmp_path: Path) -> None:
    rows = [
        {"text": prose(80 + n, 60 + 20 * (n == 2)), "date": date, "license": name}
        for n, (date, name) in enumerate(
            [("2021", "MIT"), (None, None), ("1999-05", "CC0-1.0"), ("2010", "MIT")]
        )
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = SourceConfig(files=["rows.jsonl"], date_field="date", license_field="license")
    settings = {"sources": ["rows"], "decontaminate": None, "near": None}
    made = make(tmp_path / "web", tmp_path, of={"rows": source}, **settings)
    sizes = json.loads((made.folder / "card.json").read_text(encoding="utf-8"))["sizes"]
    assert list(sizes["year"]) == ["1999", "2010", "2021", "unknown"]
    assert list(sizes["license"]) == ["MIT", "CC0-1.0", "unknown"]
    assert sizes["license"]["MIT"]["read_documents"] == 2
    assert sizes["license"]["MIT"]["read_bytes"] == sum(len(rows[n]["text"]) for n in (0, 3))


def test_sizes_lengths_and_duplicates(whole: Corpus) -> None:
    card = json.loads((whole.folder / "card.json").read_text(encoding="utf-8"))
    sources = card["sizes"]["source"]
    assert [sources[n]["read_documents"] for n in ("news", "notes")] == [12, 6]
    assert [sources[n]["kept_documents"] for n in ("news", "notes")] == [9, 4]
    assert card["sizes"]["year"] == {"unknown": {**_sum(sources)}}
    assert card["sizes"]["domain"].keys() == {"prose"}
    assert sum(row["read"] for row in card["lengths"]) == 18
    assert card["lengths"][2] == {"from_bytes": 4, "read": 1, "kept": 0}  # the blank one
    assert card["waterfall"] == whole.manifest.waterfall.model_dump()


def _sum(sizes: dict[str, dict[str, int]]) -> dict[str, int]:
    names = next(iter(sizes.values()))
    return {name: sum(size[name] for size in sizes.values()) for name in names}


def test_examples_are_short_and_masked(tmp_path: Path) -> None:
    base = write_texts(tmp_path / "texts")
    (base / "news/short.txt").write_text("Ask anna.kern@example.org for the rest of it\n")
    for number in range(6):
        (base / f"notes/low{number}.txt").write_text(prose(70 + number, 40))
    made = make(tmp_path / "web", base)
    card = json.loads((made.folder / "card.json").read_text(encoding="utf-8"))
    examples = card["examples"]["gopher.min_words"]
    assert len(examples) == 3
    every = [example["text"] for rule in card["examples"].values() for example in rule]
    assert not any("anna" in text for text in every)
    assert max(map(len, every)) == EXAMPLE_CHARACTERS
