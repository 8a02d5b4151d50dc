"""Edits of a kept document: lines and citations cut, personal data masked, each span recorded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from evergrow.corpus.document import Document
from evergrow.corpus.signals.c4 import CITATION, judged_lines
from evergrow.corpus.signals.personal import FINDERS, Kind
from evergrow.corpus.signals.programming import Domain, domain_of
from evergrow.errors import InputError

VERSION = 3  # raised by hand when the same edits would give another text
MASKED: dict[Kind, str] = {  # the first three as StarCoder has them
    "email": "<EMAIL>",
    "ip_address": "<IP_ADDRESS>",
    "key": "<KEY>",
    "phone": "<PHONE>",
    "card": "<CARD>",
    "iban": "<IBAN>",
}


@dataclass(frozen=True, slots=True)
class Edit:
    """Characters ``start`` to ``end`` of the text as read become ``replacement``."""

    kind: str
    start: int
    end: int
    replacement: str


def edit(document: Document, edits: Sequence[str]) -> tuple[Document, list[Edit]]:
    """The document with these edits made in one pass, and the spans, from left to right.

    Where two spans overlap, the one that begins first counts whole, of two that begin together the
    longer, and the other from where that ends. An edit that is not for the document's domain leaves
    it alone (``withheld`` names it). Raises InputError for an edit that does not exist.
    """
    _refuse_unknown(edits)
    domain = domain_of(document)
    asked = [EDITS[name] for name in edits if domain in EDITS[name].domains]
    spans = _apart([span for one in asked for span in one.find(document.text)])
    return document.edited(apply(document.text, spans)), spans


def withheld(document: Document, edits: Sequence[str]) -> list[str]:
    """The edits among these that are not for documents of this one's domain."""
    domain = domain_of(document)
    return [name for name in edits if domain not in EDITS[name].domains]


def _refuse_unknown(edits: Sequence[str]) -> None:
    if unknown := next((name for name in edits if name not in EDITS), None):
        raise InputError(f"edits: expected some of {', '.join(EDITS)}, got {unknown!r}")


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
            kept.append(replace(span, start=start))
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
        return [Edit(f"mask.{kind}", *span, MASKED[kind]) for span in FINDERS[kind](text)]

    return mask


class EditRule(NamedTuple):
    """What an edit finds in a text, and the domains that it is for."""

    find: Callable[[str], list[Edit]]
    domains: tuple[Domain, ...] = ("prose", "code")


EDITS: dict[str, EditRule] = {
    "c4_lines": EditRule(_c4_lines, ("prose",)),
    "citations": EditRule(_citations, ("prose",)),
    "mask_emails": EditRule(_mask("email")),
    "mask_ip_addresses": EditRule(_mask("ip_address")),
    "mask_keys": EditRule(_mask("key")),
    "mask_phones": EditRule(_mask("phone")),
    "mask_cards": EditRule(_mask("card")),
    "mask_ibans": EditRule(_mask("iban")),
}
MASKS = tuple(name for name in EDITS if name.startswith("mask_"))
