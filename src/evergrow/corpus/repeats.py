"""Text that was there before: whole documents, and long lines such as licence headers."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import final

from blake3 import blake3

from evergrow.corpus.document import Document


@dataclass
class Dropped:
    """What was dropped from one source, counted; lines in bytes too."""

    exact_duplicates: int = 0
    in_earlier_source: int = 0
    repeated_lines: int = 0
    repeated_line_bytes: int = 0
    empty: int = 0


@final
@dataclass
class KnownDocuments:
    """Content hashes of the documents of earlier sources, as read and as stored.

    Costs about 100 bytes of memory a document.
    """

    digests: set[bytes] = field(default_factory=set)

    def add(self, digest: str) -> None:
        self.digests.add(bytes.fromhex(digest[:32]))

    def __contains__(self, digest: str) -> bool:
        return bytes.fromhex(digest[:32]) in self.digests


def without_repeats(
    documents: Iterable[Document],
    drop_repeated_lines: int | None,
    earlier: KnownDocuments,
    dropped: Dropped,
) -> Iterator[Document]:
    """The documents that say something new, without the lines that were said before.

    A document is dropped when it is blank, when an earlier source has it, or when this source had
    it, each as read and again after lines were dropped. ``dropped`` counts as the stream is read.
    """
    seen = KnownDocuments()
    lines: set[bytes] = set()
    for document in documents:
        if not document.text.strip():
            dropped.empty += 1
            continue
        if _is_known(document, earlier, seen, dropped):
            continue
        if drop_repeated_lines is not None:
            text = without_repeated_lines(document.text, drop_repeated_lines, lines, dropped)
            edited = document.edited(text)
            if not text.strip():
                dropped.empty += 1
                continue
            if edited is not document and _is_known(edited, earlier, seen, dropped):
                continue
            document = edited
        yield document


def _is_known(
    document: Document, earlier: KnownDocuments, seen: KnownDocuments, dropped: Dropped
) -> bool:
    if document.content_hash in earlier:
        dropped.in_earlier_source += 1
        return True
    if document.content_hash in seen:
        dropped.exact_duplicates += 1
        return True
    seen.add(document.content_hash)
    return False


def without_repeated_lines(
    text: str, min_characters: int, lines: set[bytes], dropped: Dropped
) -> str:
    """The text without lines of at least ``min_characters`` that ``lines`` has; adds the new ones.

    White space at both ends of a line counts neither for its length nor for its identity. ``lines``
    holds 64-bit hashes: among 10^8 lines the chance of one false repeat is 3e-4.
    """
    kept = []
    for line in text.split("\n"):
        content = line.strip()
        if len(content) >= min_characters:
            key = blake3(content.encode()).digest(8)
            if key in lines:
                dropped.repeated_lines += 1
                dropped.repeated_line_bytes += len(line.encode()) + 1
                continue
            lines.add(key)
        kept.append(line)
    return "\n".join(kept)


def up_to_bytes(documents: Iterable[Document], max_bytes: int | None) -> Iterator[Document]:
    """The documents before the first one that would take the total past ``max_bytes``."""
    total = 0
    for document in documents:
        total += document.num_bytes
        if max_bytes is not None and total > max_bytes:
            return
        yield document
