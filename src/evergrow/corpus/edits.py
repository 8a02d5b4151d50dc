"""Edits of a kept document: lines and citations cut, personal data masked, each span recorded."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from evergrow.corpus.document import Document
from evergrow.corpus.signals.c4 import CITATION, judged_lines
from evergrow.corpus.signals.personal import Kind, find_personal
from evergrow.corpus.signals.programming import domain_of
from evergrow.errors import InputError

VERSION = 2  # raised by hand when the same edits would give another text
MASKS = ("mask_emails", "mask_ip_addresses", "mask_keys")
MASKED = {"email": "<EMAIL>", "ip_address": "<IP_ADDRESS>", "key": "<KEY>"}  # as StarCoder has it


class Edit(NamedTuple):
    """Characters ``start`` to ``end`` of the text as read become ``replacement``."""

    kind: str
    start: int
    end: int
    replacement: str


def edit(document: Document, edits: Sequence[str]) -> tuple[Document, list[Edit]]:
    """The document with these edits made in one pass, and the spans, from left to right.

    Where two spans overlap, the one that begins first counts whole, of two that begin together the
    longer, and the other from where that ends. C4's edits leave code alone. Raises InputError for
    an edit that does not exist.
    """
    found: list[Edit] = []
    for name in edits:
        if name not in EDITS:
            raise InputError(f"edits: expected some of {', '.join(EDITS)}, got {name!r}")
        if name in MASKS or domain_of(document) == "prose":
            found += EDITS[name](document.text)
    spans = _apart(found)
    return document.edited(apply(document.text, spans)), spans


def apply(text: str, edits: Sequence[Edit]) -> str:
    """The text with spans replaced that follow each other without overlap."""
    pieces, end = [], 0
    for span in edits:
        pieces += [text[end : span.start], span.replacement]
        end = span.end
    return "".join([*pieces, text[end:]])


def _apart(edits: list[Edit]) -> list[Edit]:
    kept: list[Edit] = []
    for span in sorted(edits, key=lambda e: (e.start, -e.end)):
        start = max(span.start, kept[-1].end if kept else 0)
        if start < span.end:
            kept.append(span._replace(start=start))
    return kept


def _c4_lines(text: str) -> list[Edit]:
    """Lines that C4 does not keep, each with the break behind it."""
    cut, start = [], 0
    verdicts = judged_lines(text)
    for line, judged in zip(text.splitlines(keepends=True), verdicts, strict=True):
        if judged.verdict != "kept":
            cut.append(Edit(f"c4_lines.{judged.verdict}", start, start + len(line), ""))
        start += len(line)
    return cut


def _citations(text: str) -> list[Edit]:
    return [Edit("citations", *match.span(), "") for match in CITATION.finditer(text)]


def _mask(kind: Kind) -> Callable[[str], list[Edit]]:
    def mask(text: str) -> list[Edit]:
        found = (place for place in find_personal(text) if place.kind == kind)
        return [Edit(f"mask.{kind}", place.start, place.end, MASKED[kind]) for place in found]

    return mask


EDITS: dict[str, Callable[[str], list[Edit]]] = {
    "c4_lines": _c4_lines,
    "citations": _citations,
    "mask_emails": _mask("email"),
    "mask_ip_addresses": _mask("ip_address"),
    "mask_keys": _mask("key"),
}
