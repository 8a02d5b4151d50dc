"""Long documents cut at line ends."""

from collections.abc import Iterator
from dataclasses import replace

from evergrow.corpus.document import Document, document_id

MAX_DOCUMENT_BYTES = 4 * 2**20  # longer texts are cut at line ends; bounds memory of tokenising


def cut(document: Document, max_bytes: int) -> list[Document]:
    """The document in parts of at most ``max_bytes``, about equal, whose texts join to its own.

    Cuts fall on line ends; only a line longer than ``max_bytes`` is cut inside, after a space if it
    has one. A document that fits is returned as it is. The first part keeps key and id; a later one
    has ``#`` and its byte offset in the text behind the key, and the id of that.
    """
    if len(document.text) * 4 <= max_bytes or document.num_bytes <= max_bytes:
        return [document]
    num_parts = -(-document.num_bytes // max_bytes)
    wanted = -(-document.num_bytes // num_parts)
    parts, sizes = [[]], [0]
    for piece, num_bytes in _pieces(document.text, max_bytes):
        if parts[-1] and (sizes[-1] >= wanted or sizes[-1] + num_bytes > max_bytes):
            parts.append([])
            sizes.append(0)
        parts[-1].append(piece)
        sizes[-1] += num_bytes
    offsets = (sum(sizes[:i]) for i in range(len(sizes)))
    return [_part(document, "".join(p), o) for p, o in zip(parts, offsets, strict=True)]


def _part(document: Document, text: str, offset: int) -> Document:
    part = document.edited(text)
    if offset == 0:
        return part
    key = f"{document.key}#{offset}"
    return replace(part, key=key, id=document_id(document.source, key))


def _pieces(text: str, max_bytes: int) -> Iterator[tuple[str, int]]:
    """Lines with their ends and sizes; lines longer than ``max_bytes`` come in several pieces."""
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        line = text[start:end]
        while (size := len(line.encode())) > max_bytes:
            head = line.encode()[:max_bytes].decode(errors="ignore")
            head = head[: head.rfind(" ") + 1] or head
            yield head, len(head.encode())
            line = line[len(head) :]
        yield line, size
        start = end
