"""The held-out part of a source: chosen by a hash of the content, whatever the order.

Documents longer than 1/32 of the held-out part are cut at line ends for the choice, so that it
holds about 32 documents or more and no book takes it all; what is left of a document around a
held-out part stays together. In a large corpus hardly any document is that long. A part that
occurs twice is never held out, so every byte is either trained on or held out.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from evergrow.corpus.config import HeldOutConfig
from evergrow.corpus.document import Document
from evergrow.corpus.parts import cut
from evergrow.errors import InputError

BYTES_PER_TOKEN = 5  # an upper bound before a tokenizer exists: usual are 2.5 to 4.5
MIN_DOCUMENTS = 32  # a bootstrap over documents needs some
# Of a source that is only ever measured, everything is held out; no recipe can ask for it.
EVERYTHING = HeldOutConfig.model_construct(fraction=1.0, tokens=1)
MIN_PART_BYTES = 256  # shorter parts hold no context to predict from


@dataclass(frozen=True)
class Split:
    """Which parts are held out: content hashes of parts at most ``part_bytes`` long."""

    hashes: frozenset[str]
    part_bytes: int


def held_out_bytes(config: HeldOutConfig, num_bytes: int) -> int:
    """Bytes to hold out of ``num_bytes``: the larger of the fraction and 5 bytes a token."""
    return max(round(config.fraction * num_bytes), config.tokens * BYTES_PER_TOKEN)


def choose_held_out(
    documents: Callable[[], Iterable[Document]], num_bytes: int, config: HeldOutConfig, source: str
) -> Split:
    """Take parts in the order of their hashes until the held-out bytes are reached.

    ``documents`` opens the stream; ``num_bytes`` is its text in all. Raises InputError when the
    source has less than twice the held-out bytes, unless all of it is held out.
    """
    wanted = held_out_bytes(config, num_bytes)
    if config.fraction < 1 and num_bytes < 2 * wanted:
        raise InputError(
            f"sources.{source}: {num_bytes:,} bytes of text are too few, {2 * wanted:,} are needed "
            f"to hold out {config.tokens:,} tokens; give it more text or lower held_out.tokens"
        )
    part_bytes = max(MIN_PART_BYTES, wanted // MIN_DOCUMENTS)
    times: Counter[str] = Counter()
    sizes: dict[str, int] = {}
    for document in documents():
        for part in cut(document, part_bytes):
            times[part.content_hash] += 1
            if part.text.strip():
                sizes[part.content_hash] = part.num_bytes
    chosen, total = set(), 0
    for digest in sorted(sizes):
        if total >= wanted:
            break
        if times[digest] == 1:
            chosen.add(digest)
            total += sizes[digest]
    return Split(frozenset(chosen), part_bytes)


def split_documents(documents: Iterable[Document], split: Split) -> Iterator[tuple[Document, bool]]:
    """Every document, or what is left of it, with whether it is held out."""
    for document in documents:
        rest: list[Document] = []
        for part in cut(document, split.part_bytes):
            if part.content_hash not in split.hashes:
                rest.append(part)
                continue
            yield from _training(document, rest)
            rest = []
            yield part, True
        yield from _training(document, rest)


def _training(document: Document, parts: list[Document]) -> Iterator[tuple[Document, bool]]:
    if parts:
        yield document.edited("".join(part.text for part in parts)), False
