"""The held-out part of a source: chosen by a hash of the content, whatever the order.

Documents longer than 1/32 of the held-out part are cut at line ends for the choice, so that it
holds about 32 documents or more and no book takes it all; what is left of a document around a
held-out part stays together. In a large corpus hardly any document is that long. A part that
occurs twice is never held out, so every byte is either trained on or held out.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from evergrow.corpus.config import HeldOutConfig
from evergrow.corpus.document import Document
from evergrow.corpus.parts import cut
from evergrow.errors import InputError

BYTES_PER_TOKEN = 5  # an upper bound before a tokenizer exists: usual are 2.5 to 4.5
MIN_DOCUMENTS = 32  # a bootstrap over documents needs some
# Of a source that is only ever measured, everything is held out; no recipe can ask for it.
EVERYTHING = HeldOutConfig.model_construct(fraction=1.0, tokens=1, most_tokens=1 << 40)
MIN_PART_BYTES = 256  # shorter parts hold no context to predict from


@dataclass(frozen=True)
class Split:
    """Which parts are held out: content hashes of parts at most ``part_bytes`` long."""

    hashes: frozenset[str]
    part_bytes: int


def held_out_bytes(config: HeldOutConfig, num_bytes: int) -> int:
    """Bytes to hold out of ``num_bytes``: the fraction, within the least and the most tokens.

    At 5 bytes a token for the least, and the same for the most.
    """
    share = min(round(config.fraction * num_bytes), config.most_tokens * BYTES_PER_TOKEN)
    return max(share, config.tokens * BYTES_PER_TOKEN)


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
    return Split(_chosen(documents, part_bytes, wanted), part_bytes)


def _chosen(
    documents: Callable[[], Iterable[Document]], part_bytes: int, wanted: int
) -> frozenset[str]:
    """The parts of lowest hash, none of which occurs twice, that make up ``wanted`` bytes.

    Of each part 64 bits of its hash and its size are kept until they are chosen: with what sorting
    them takes under 40 bytes.
    """
    prefixes, sizes = array("Q"), array("I")
    for part in _parts(documents, part_bytes):
        prefixes.append(int(part.content_hash[:16], 16))
        sizes.append(part.num_bytes if part.text.strip() else 0)
    order = np.argsort(np.frombuffer(prefixes, np.uint64))
    found = np.frombuffer(prefixes, np.uint64)[order]
    kept = np.frombuffer(sizes, np.uint32)[order]
    del order, prefixes, sizes
    again = found[1:] == found[:-1]
    kept[1:][again] = 0
    kept[:-1][again] = 0
    totals = np.cumsum(kept, dtype=np.int64)
    chosen = found[(kept > 0) & (totals - kept < wanted)]
    wanted_prefixes = set(chosen.tolist())
    return frozenset(
        part.content_hash
        for part in _parts(documents, part_bytes)
        if int(part.content_hash[:16], 16) in wanted_prefixes
    )


def _parts(documents: Callable[[], Iterable[Document]], part_bytes: int) -> Iterator[Document]:
    for document in documents():
        yield from cut(document, part_bytes)


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
