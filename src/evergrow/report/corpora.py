"""The corpus card on the page: what came in, what each rule took, what was kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from evergrow.config import damage
from evergrow.corpus.curate.manifest import finished_corpora, read_manifest
from evergrow.corpus.records import CARD, CARD_FORMAT, Card, Length, Size, SourceRecord, Step
from evergrow.disk import read_object
from evergrow.errors import InputError
from evergrow.run import refuse_newer

MOST_LABELS = 12  # of a kind


@dataclass(frozen=True)
class CorpusCard:
    """One corpus on the page."""

    name: str
    card: Card
    sources: Mapping[str, SourceRecord]

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
    path, again, manifest = folder / CARD, "run 'evergrow curate' again", read_manifest(folder)
    data = read_object(path, again, InputError)
    refuse_newer(data.get("format"), CARD_FORMAT, path)
    if not manifest.card.is_whole(folder):
        raise InputError(f"{path}: damaged (it is not what was written); {again}")
    try:
        card = Card.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{path}: {damage(error)}; {again}") from error
    return CorpusCard(folder.name, card, manifest.sources)
