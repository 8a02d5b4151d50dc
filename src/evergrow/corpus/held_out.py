"""The held-out part of a source: chosen by the hash of the content, so that order does not matter.

Documents longer than 1/32 of the held-out part are cut at line ends for the choice, so that it always
holds at least 32 documents and no book takes it all; what is left of a document around a held-out
part stays together. In a large corpus hardly any document is that long.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from evergrow.corpus.config import HeldOutConfig
from evergrow.corpus.document import Document
from evergrow.corpus.parts import cut
from evergrow.errors import InputError

BYTES_PER_TOKEN = 5  # an upper bound before a tokenizer exists: usual are 2.5 to 4.5
MIN_DOCUMENTS = 32  # a bootstrap over documents needs some


@dataclass(frozen=True)
class Split:
    """Which parts are held out: ids of parts that are at most ``part_bytes`` long."""

    ids: frozenset[str]
    part_bytes: int


def held_out_bytes(config: HeldOutConfig, num_bytes: int) -> int:
    """Bytes to hold out of ``num_bytes``: the larger of the fraction and 5 bytes for every token."""
    return max(round(config.fraction * num_bytes), config.tokens * BYTES_PER_TOKEN)


def choose_held_out(
    documents: Callable[[], Iterable[Document]], num_bytes: int, config: HeldOutConfig, source: str
) -> Split:
    """Take parts in the order of their hashes until the held-out bytes are reached.

    ``documents`` opens the stream; ``num_bytes`` is its text in all. Raises InputError when the source
    has less than twice the held-out bytes.
    """
    wanted = held_out_bytes(config, num_bytes)
    if num_bytes < 2 * wanted:
        raise InputError(
            f"sources.{source}: {num_bytes:,} bytes of text are too few, {2 * wanted:,} are needed to "
            f"hold out {config.tokens:,} tokens; give it more text or lower held_out.tokens"
        )
    part_bytes = max(1, wanted // MIN_DOCUMENTS)
    parts = {p.id: p.num_bytes for d in documents() for p in _candidates(d, part_bytes)}
    chosen, total = set(), 0
    for part_id in sorted(parts):
        if total >= wanted:
            break
        chosen.add(part_id)
        total += parts[part_id]
    return Split(frozenset(chosen), part_bytes)


def _candidates(document: Document, part_bytes: int) -> Iterator[Document]:
    return (part for part in cut(document, part_bytes) if part.text.strip())


def split_documents(documents: Iterable[Document], split: Split) -> Iterator[tuple[Document, bool]]:
    """Every document, or what is left of it, with whether it is held out.

    A held-out text that occurs twice is held out once and never trained on.
    """
    given: set[str] = set()
    for document in documents:
        rest: list[Document] = []
        for part in cut(document, split.part_bytes):
            if part.id not in split.ids:
                rest.append(part)
                continue
            yield from _training(document, rest)
            rest = []
            if part.id not in given:
                given.add(part.id)
                yield part, True
        yield from _training(document, rest)


def _training(document: Document, parts: list[Document]) -> Iterator[tuple[Document, bool]]:
    text = "".join(part.text for part in parts)
    if text.strip():
        yield document.edited(text), False
