"""Text that was there before: whole documents, and long lines such as licence headers."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import final

from evergrow.corpus.document import Document
from evergrow.corpus.duplicates.pieces import KnownPieces, repeated_spans, without_spans


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
    lines = KnownPieces()
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
    text: str, min_characters: int, lines: KnownPieces, dropped: Dropped
) -> str:
    """The text without lines of at least ``min_characters`` that ``lines`` has; adds the new ones.

    White space at both ends of a line counts neither for its length nor for its identity.
    """
    spans = repeated_spans(text, "line", min_characters, lines)
    dropped.repeated_lines += len(spans)
    dropped.repeated_line_bytes += sum(len(text[start:end].encode()) for start, end in spans)
    return without_spans(text, spans)


def up_to_bytes(documents: Iterable[Document], max_bytes: int | None) -> Iterator[Document]:
    """The documents before the first one that would take the total past ``max_bytes``."""
    total = 0
    for document in documents:
        total += document.num_bytes
        if max_bytes is not None and total > max_bytes:
            return
        yield document
