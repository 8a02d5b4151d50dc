"""The corpus card on the page: what came in, what each rule took, what was kept."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from evergrow.corpus.curate.earlier import finished_corpora
from evergrow.errors import InputError
from evergrow.report.folder import Record
from evergrow.run import refuse_newer

FORMAT = 1
MOST_LABELS = 12  # of a kind


class Amount(Record):
    """Documents and bytes."""

    documents: int = 0
    bytes: int = 0


class Step(Amount):
    """What a rule took: of what was left before it, and (any) of all that was read."""

    stage: str
    rule: str
    any_documents: int = 0


class Kept(Amount):
    """What stayed; edits may have made it shorter."""

    bytes_after_edits: int = 0


class Waterfall(Record):
    """From all that was read to all that was kept."""

    read: Amount
    steps: list[Step]
    kept: Kept


class Duplicates(Record):
    """Documents dropped for one that stays: rows the dropped one's source, columns the other's."""

    sources: list[str]
    exact: list[list[int]]
    near: list[list[int]]


class Size(Record):
    """Documents of one label before and after."""

    read_documents: int
    read_bytes: int
    kept_documents: int
    kept_bytes: int


class Length(Record):
    """Documents from so many bytes up to twice as many."""

    from_bytes: int
    read: int
    kept: int


class Example(Record):
    """The beginning of a document that a rule dropped."""

    path: str
    text: str


class Card(Record):
    """``card.json`` of a corpus."""

    suites: list[dict[str, str | int]]
    waterfall: Waterfall
    duplicates: Duplicates
    sizes: dict[str, dict[str, Size]]
    lengths: list[Length]
    examples: dict[str, list[Example]]


class Source(Record):
    """What ``corpus.json`` says of a source."""

    documents: int
    quarantined: dict[str, int] = {}
    flagged: dict[str, int] = {}
    skipped: dict[str, int] = {}


@dataclass(frozen=True)
class CorpusCard:
    """One corpus on the page."""

    name: str
    card: Card
    sources: Mapping[str, Source]

    @property
    def steps(self) -> list[Step]:
        """The rules that took something, or would have."""
        return [s for s in self.card.waterfall.steps if s.documents or s.any_documents]

    @property
    def sizes(self) -> list[tuple[str, list[tuple[str, Size]]]]:
        """By source, year, licence, language and domain, in the card's order: all years, of others
        the eleven largest and the rest as one."""
        return [(kind, _shown(kind, list(of.items()))) for kind, of in self.card.sizes.items()]

    @property
    def lengths(self) -> list[Length]:
        """Without the lengths that no document has."""
        return [length for length in self.card.lengths if length.read]

    @property
    def unreadable(self) -> dict[str, int]:
        """Documents not read, files left out and dates that are doubted, by reason."""
        found: dict[str, int] = {}
        for source in self.sources.values():
            for reason, count in (source.quarantined | source.flagged | source.skipped).items():
                found[reason] = found.get(reason, 0) + count
        return found


def _shown(kind: str, sizes: list[tuple[str, Size]]) -> list[tuple[str, Size]]:
    if kind == "year" or len(sizes) <= MOST_LABELS:
        return sizes
    first, rest = sizes[: MOST_LABELS - 1], [size for _, size in sizes[MOST_LABELS - 1 :]]
    summed = {name: sum(getattr(size, name) for size in rest) for name in Size.model_fields}
    return [*first, (f"{len(rest)} others", Size(**summed))]


def read_corpora(root: Path) -> list[CorpusCard]:
    """The finished corpora of the recipe in ``root``; InputError for damaged or newer files."""
    return [_read(folder) for folder in finished_corpora(root)]


def _read(folder: Path) -> CorpusCard:
    path = folder / "card.json"
    try:
        manifest = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
        data = json.loads(path.read_text(encoding="utf-8"))
        refuse_newer(data.get("format"), FORMAT, path)
        card = Card.model_validate(data)
        sources = {n: Source.model_validate(s) for n, s in manifest["sources"].items()}
    except (OSError, ValueError, ValidationError) as error:
        raise InputError(f"{path}: damaged ({error}); run 'evergrow curate' again") from error
    return CorpusCard(folder.name, card, sources)
