"""The one Document: a piece of text that knows its origin and its content hash."""

from dataclasses import dataclass
from typing import Self

from blake3 import blake3


def content_id(text: str) -> str:
    """The blake3 hex digest of the text's UTF-8 bytes."""
    return blake3(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Document:
    """Text with its origin. It never changes: an edit or a cut makes a new document with a parent.

    ``path`` names the file (relative to the recipe's folder when inside it), ``date`` is kept as
    the file spells it or None, ``id`` is the content hash, ``parent`` the id of the document as
    read.
    """

    text: str
    source: str
    path: str
    date: str | None
    id: str
    parent: str | None = None

    @classmethod
    def of(cls, text: str, source: str, path: str, date: str | None = None) -> Self:
        """A document as read. Raises UnicodeEncodeError when the text holds a lone surrogate."""
        return cls(text, source, path, date, content_id(text))

    def edited(self, text: str) -> "Document":
        """This document with another text; itself when nothing changed."""
        if text == self.text:
            return self
        parent = self.parent or self.id
        return Document(text, self.source, self.path, self.date, content_id(text), parent)

    @property
    def num_bytes(self) -> int:
        return len(self.text.encode())
