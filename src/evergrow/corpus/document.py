"""The one Document: a piece of text that knows where it comes from and what it holds."""

from dataclasses import dataclass, replace
from typing import Literal, Self

from blake3 import blake3

DateKind = Literal["declared", "crawl", "commit", "inferred"]


def content_hash(text: str) -> str:
    """The blake3 hex digest of the text's UTF-8 bytes."""
    return blake3(text.encode()).hexdigest()


def with_newlines(text: str) -> str:
    """The text with ``\\n`` at the end of lines that end otherwise in Windows and old files.

    Every rule about lines and paragraphs looks for that one character.
    """
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def document_id(source: str, key: str) -> str:
    """What a document is called whatever becomes of its text: 32 hex digits of source and key."""
    return blake3(f"{source}\0{key}".encode()).hexdigest(16)


@dataclass(frozen=True, slots=True)
class Document:
    """Text with its origin. It never changes: an edit or a cut makes a new document with a parent.

    id            of the origin, kept by edits: blake3 of ``source`` and ``key``; no two documents
                  that are read from one source have the same
    content_hash  blake3 of the text; ``parent`` is that of the text as read, None before any edit
    path          the file (relative to the recipe's folder when inside it)
    key           the place in the source: the path, with ``#`` and a row or byte offset in a file
                  of many, or the id that the data gives itself; parts of a long document have
                  ``#`` and their byte offset behind it
    date          in ISO 8601 (see dates.py), None when unknown; ``date_kind`` says who claims it
    license       SPDX id or the licence file's path; ``repository`` its name or address
    file_name     of the file that the text itself is, or that the data says it was; ``*.py`` when
                  only the language is told; None for pages and rows of prose. It says which rules
                  apply: those of code or those of prose
    meta          what else the data says, as JSON; "" for nothing
    """

    text: str
    source: str
    path: str
    key: str
    id: str
    content_hash: str
    date: str | None = None
    date_kind: DateKind | None = None
    license: str | None = None
    repository: str | None = None
    meta: str = ""
    parent: str | None = None
    file_name: str | None = None

    @classmethod
    def of(
        cls,
        text: str,
        source: str,
        path: str,
        date: str | None = None,
        *,
        key: str | None = None,
        date_kind: DateKind | None = None,
        license: str | None = None,
        repository: str | None = None,
        meta: str = "",
        file_name: str | None = None,
    ) -> Self:
        """A document as read; the formats have brought its lines to end in ``\\n``.

        Without ``key`` the document is the file: ``path`` is its key and file name, too. Raises
        UnicodeEncodeError when the text holds a lone surrogate.
        """
        if key is None and file_name is None:
            file_name = path
        place = path if key is None else key
        kind = "declared" if date is not None and date_kind is None else date_kind
        origin = (text, source, path, place, document_id(source, place), content_hash(text))
        return cls(*origin, date, kind, license, repository, meta, file_name=file_name)

    def edited(self, text: str) -> "Document":
        """This document with another text; itself when nothing changed."""
        if text == self.text:
            return self
        parent = self.parent or self.content_hash
        return replace(self, text=text, content_hash=content_hash(text), parent=parent)

    @property
    def num_bytes(self) -> int:
        return len(self.text.encode())
