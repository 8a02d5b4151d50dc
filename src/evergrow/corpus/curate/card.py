"""The corpus card: numbers and examples for the report, as ``card.json``."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow.parquet as pq

from evergrow.corpus.curate.columns import text_signals
from evergrow.corpus.curate.decide import KEPT, Decided
from evergrow.corpus.curate.known import Known
from evergrow.corpus.curate.texts import documents_at
from evergrow.corpus.document import Document
from evergrow.corpus.edits import MASKS, edit
from evergrow.corpus.records import (
    CARD,
    CARD_FORMAT,
    Card,
    Example,
    Length,
    Settled,
    Size,
    StoredFile,
)
from evergrow.disk import write_file

EXAMPLES = 3  # a rule
EXAMPLE_CHARACTERS = 200
MASKED_CHARACTERS = 2_000  # masked before the cut, so that no half of an address is left
UNKNOWN = "unknown"
SIZES = tuple(Size.model_fields)
_YEAR = re.compile(r"(\d{4})(?!\d)")
# What the card counts by, and the signal that says it; origin comes from the documents themselves.
LABELS = {"language": "language.language", "domain": "programming.domain"}


def write_card(known: Known, decided: Decided, settled: Settled) -> StoredFile:
    """Sizes by source, language, domain, year and licence, lengths, duplicates, and examples by
    rule."""
    card = Card(
        format=CARD_FORMAT,
        suites=settled.suites,
        waterfall=settled.waterfall,
        duplicates=settled.duplicates,
        near=settled.near,
        warnings=settled.warnings,
        sizes=_sizes(known, decided),
        lengths=_lengths(known, decided),
        examples=_examples(known, decided),
    )
    text = json.dumps(card.model_dump(), ensure_ascii=False, indent=1)
    write_file(known.folder / CARD, text + "\n")
    return StoredFile.at(known.folder, CARD, 0)


def _sizes(known: Known, decided: Decided) -> dict[str, dict[str, Size]]:
    """By what, by label; years in order, else largest first."""
    columns = known.columns
    totals: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
    for number in range(len(known.shards)):
        rows = slice(int(columns.starts[number]), int(columns.starts[number + 1]))
        kept = decided.reason_D[rows] == KEPT
        sizes = columns.bytes_D[rows]
        counted_D4 = np.stack(
            [np.ones(len(kept), np.int64), sizes, kept, np.where(kept, sizes, 0)], axis=1
        )
        for what, labels in _labels(known, number):
            _add(totals[what], labels, counted_D4)
    return {
        what: {n: Size(**dict(zip(SIZES, by[n].tolist(), strict=True))) for n in _order(what, by)}
        for what, by in totals.items()
    }


def _add(totals: dict[str, np.ndarray], labels: Sequence[str], counted_D4: np.ndarray) -> None:
    """Add the counts of a shard's documents to those of their labels."""
    names, place_D = np.unique(np.array(labels, object), return_inverse=True)
    mine = np.zeros((len(names), len(SIZES)), np.int64)
    np.add.at(mine, place_D, counted_D4)
    for name, four in zip(names.tolist(), mine, strict=True):
        totals[name] = totals.get(name, 0) + four


def _order(what: str, by: Mapping[str, np.ndarray]) -> list[str]:
    """The labels as a person reads them: years from the first on, unknown ones last."""
    if what == "year":
        return sorted(by, key=lambda label: (not label.isdigit(), label))
    return sorted(by, key=lambda label: (-int(by[label][1]), label))


def _labels(known: Known, number: int) -> Iterator[tuple[str, list[str]]]:
    """What is counted by, with a label for every document of a shard."""
    shard = known.shards[number]
    origin = pq.read_table(known.folder / shard.text.name, columns=["date", "license"])
    dates = origin["date"].to_pylist()
    yield "source", [shard.source] * len(dates)
    yield "year", [year_of(date) for date in dates]
    yield "license", [license or UNKNOWN for license in origin["license"].to_pylist()]
    for what, signal in LABELS.items():
        values = text_signals(known.folder, shard, known.keys, signal)
        if values is not None:
            yield what, [value or UNKNOWN for value in values]


def year_of(date: str | None) -> str:
    """The year of a date as the data spells it; a date that names none is ``unreadable``."""
    if date is None:
        return UNKNOWN
    match = _YEAR.search(date)
    return match[1] if match else "unreadable"


def _lengths(known: Known, decided: Decided) -> list[Length]:
    """Documents by their bytes, in bins from a power of two up to the next."""
    bins_D = np.frexp(np.maximum(known.columns.bytes_D, 1).astype(np.float64))[1] - 1
    kept_D = decided.reason_D == KEPT
    read, kept = np.bincount(bins_D), np.bincount(bins_D[kept_D], minlength=bins_D.max() + 1)
    return [
        Length(from_bytes=1 << power, read=int(read[power]), kept=int(kept[power]))
        for power in range(len(read))
    ]


def _examples(known: Known, decided: Decided) -> dict[str, list[Example]]:
    """By rule the texts of the three dropped documents whose ids are lowest: a fair draw."""
    rule_of: dict[int, str] = {}
    for number, reason in enumerate(decided.reasons):
        rows = np.flatnonzero(decided.reason_D == number)
        ids_D2 = known.columns.ids_D2[rows].byteswap()
        order = np.lexsort((ids_D2[:, 1], ids_D2[:, 0]))[:EXAMPLES]
        rule_of |= {int(row): reason.rule for row in rows[order]}
    found: dict[str, list[Example]] = {}
    for row, document in documents_at(
        known.folder, known.shards, known.columns.starts, sorted(rule_of)
    ):
        example = Example(id=document.id, path=document.path, text=excerpt(document))
        found.setdefault(rule_of[row], []).append(example)
    return found


def excerpt(document: Document) -> str:
    """The beginning of a text, personal data masked."""
    beginning = document.edited(document.text[:MASKED_CHARACTERS])
    masked, _ = edit(beginning, MASKS)
    text = masked.text
    return text if len(text) <= EXAMPLE_CHARACTERS else text[: EXAMPLE_CHARACTERS - 3] + "..."
