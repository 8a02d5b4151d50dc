"""Text that was there before: whole documents, long lines of prose, licences above code."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from evergrow.corpus.document import Document
from evergrow.corpus.duplicates.pieces import KnownPieces, repeated_spans, without_spans
from evergrow.corpus.signals.programming import domain_of


@dataclass
class Dropped:
    """What was dropped from one source, counted; lines in bytes too.

    ``code_documents`` are those whose lines could not go: only the comments that they begin with.
    """

    exact_duplicates: int = 0
    in_earlier_source: int = 0
    repeated_lines: int = 0
    repeated_line_bytes: int = 0
    empty: int = 0
    code_documents: int = 0


@final
class KnownDocuments:
    """Content hashes of the documents of earlier sources, as read and as stored.

    64 bits of each: of a billion documents one in 40 times two would be taken for the same. They
    stand in a sorted array, the newest in a set, which together cost under 40 bytes a document.
    """

    def __init__(self) -> None:
        self._sorted = np.empty(0, np.uint64)
        self._newest: set[int] = set()

    def add(self, digest: str) -> None:
        self._newest.add(int(digest[:16], 16))
        if len(self._newest) >= max(1 << 16, len(self._sorted) // 16):
            newest = np.sort(np.fromiter(self._newest, np.uint64, len(self._newest)))
            self._newest = set()
            places = np.searchsorted(self._sorted, newest)
            inside = places < len(self._sorted)
            new = np.ones(len(newest), bool)
            new[inside] = self._sorted[places[inside]] != newest[inside]
            self._sorted = np.insert(self._sorted, places[new], newest[new])

    def __contains__(self, digest: str) -> bool:
        number = int(digest[:16], 16)
        if number in self._newest:
            return True
        place = int(np.searchsorted(self._sorted, np.uint64(number)))
        return place < len(self._sorted) and int(self._sorted[place]) == number


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
            edited = without_repeated_lines(document, drop_repeated_lines, lines, dropped)
            if not edited.text.strip():
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
    document: Document, min_characters: int, lines: KnownPieces, dropped: Dropped
) -> Document:
    """The document without lines of at least ``min_characters`` that ``lines`` has; adds the new.

    White space at both ends of a line counts neither for its length nor for its identity. Code
    loses whole comments before its first line of code, counted as one line each, and no other.
    """
    text = document.text
    spans = repeated_spans(document, "line", min_characters, lines)
    dropped.repeated_lines += len(spans)
    dropped.repeated_line_bytes += sum(len(text[start:end].encode()) for start, end in spans)
    dropped.code_documents += domain_of(document) == "code"
    return document.edited(without_spans(text, spans))


def up_to_bytes(documents: Iterable[Document], max_bytes: int | None) -> Iterator[Document]:
    """The documents before the first one that would take the total past ``max_bytes``."""
    total = 0
    for document in documents:
        total += document.num_bytes
        if max_bytes is not None and total > max_bytes:
            return
        yield document
