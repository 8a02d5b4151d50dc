"""Long documents cut at line ends."""

from collections.abc import Iterator

from evergrow.corpus.document import Document


def cut(document: Document, max_bytes: int) -> list[Document]:
    """The document in parts of at most ``max_bytes``, about equal, whose texts join to its own.

    Cuts fall on line ends; only a line longer than ``max_bytes`` is cut inside, after a space if it
    has one. A document that fits is returned as it is.
    """
    if len(document.text) * 4 <= max_bytes or document.num_bytes <= max_bytes:
        return [document]
    num_parts = -(-document.num_bytes // max_bytes)
    wanted = -(-document.num_bytes // num_parts)
    parts, size = [[]], 0
    for piece, num_bytes in _pieces(document.text, max_bytes):
        if parts[-1] and (size >= wanted or size + num_bytes > max_bytes):
            parts.append([])
            size = 0
        parts[-1].append(piece)
        size += num_bytes
    return [document.edited("".join(part)) for part in parts]


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
