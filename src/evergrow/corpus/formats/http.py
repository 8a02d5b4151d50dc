"""Answers of web servers as archives keep them, also where headers do not say what the body is.

Crawlers store bodies that they have unpacked or joined already under the headers as they came.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, final

from evergrow.corpus.decoders import ERRORS, PACKED, Decoder, Inflate
from evergrow.corpus.formats.html import MAX_PAGE_BYTES
from evergrow.corpus.formats.rows import BadRow
from evergrow.errors import InputError

CANNOT = "HTTP answers that cannot be unpacked"
FETCH = "fetch the archive again or leave it out of `files`"
_PACKINGS = {"gzip": ".gz", "x-gzip": ".gz", "zstd": ".zst"}
_STATUS = re.compile(rb"HTTP/[\d.]+ +(\d{3})\b")
_CHUNK = re.compile(rb"[ \t]*([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_PAGE = re.compile(
    rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)


class Answer(NamedTuple):
    """Status, type, character set and body, the body as the server meant it: at most one byte more
    than a page may be long."""

    status: int | None
    kind: str
    charset: str | None
    body: bytes


def http_answer(block: bytes) -> Answer:
    """An answer; without a header that says what it is, a page is known by how it begins.

    Raises BadRow for a body that breaks off or is damaged.
    """
    first, fields, body = _parted(block)
    status = _STATUS.match(first)
    if _words(fields.get("transfer-encoding", "")) & {"chunked"}:
        body = _joined(body)
    for coding in reversed(fields.get("content-encoding", "").split(",")):
        body = _unpacked(body, coding.strip().lower())
    told = fields.get("content-type", "")
    kind = told.partition(";")[0].strip().lower() or ("text/html" if _PAGE.match(body) else "")
    charset = _CHARSET.search(told)
    body = body[: MAX_PAGE_BYTES + 1]
    return Answer(int(status[1]) if status else None, kind, charset[1] if charset else None, body)


def _parted(block: bytes) -> tuple[bytes, Mapping[str, str], bytes]:
    """The first line, the fields and the body; lines end in CRLF or LF alone."""
    end = re.search(rb"\r?\n\r?\n", block)
    head, body = (block[: end.start()], block[end.end() :]) if end else (block, b"")
    first, *lines = re.split(rb"\r?\n", head)
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.decode("latin-1").partition(":")
        key = name.strip().lower()
        fields[key] = f"{fields[key]}, {value.strip()}" if key in fields else value.strip()
    return first, fields, body


def _words(value: str) -> set[str]:
    return {word.strip().lower() for word in value.split(",")}


def _joined(body: bytes) -> bytes:
    """The chunks of a body; the body itself where it holds none, for it was joined before."""
    if _CHUNK.match(body) is None:
        return body
    parts, place = [], 0
    while chunk := _CHUNK.match(body, place):
        size = int(chunk[1], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(body[chunk.end() : chunk.end() + size])
        place = chunk.end() + size
        place += len(body[place : place + 2]) - len(body[place : place + 2].lstrip(b"\r\n"))
    if len(parts) == 1 and place < len(body):
        return body  # text that begins with a number
    if len(parts[-1]) < size or place < len(body):
        raise BadRow(CANNOT, FETCH)
    return b"".join(parts)


def _unpacked(body: bytes, coding: str) -> bytes:
    """The body without one coding; as it is where it is not in it."""
    packing = PACKED.get(_PACKINGS.get(coding, ""))
    if packing is not None:
        return _inflated(body, packing.decoder()) if packing.begins(body) else body
    if coding == "deflate":  # with zlib's header or without
        return _first_that_fits(body, (Inflate(15), Inflate(-15)))
    if coding == "br":
        return _first_that_fits(body, (_Brotli(),))
    return body


def _inflated(body: bytes, decoder: Decoder) -> bytes:
    """What a decoder makes of a body, no more of it than a page may have."""
    try:
        text = decoder.decompress(body, MAX_PAGE_BYTES + 1)
    except ERRORS as error:
        raise BadRow(CANNOT, FETCH) from error
    if not decoder.eof and len(text) <= MAX_PAGE_BYTES:
        raise BadRow(CANNOT, FETCH)
    return text


def _first_that_fits(body: bytes, decoders: Sequence[Decoder]) -> bytes:
    """What the first decoder that can makes of a body; the body where it is text already."""
    for decoder in decoders:
        with suppress(BadRow):
            return _inflated(body, decoder)
    try:
        body.decode()
    except UnicodeDecodeError:
        raise BadRow(CANNOT, FETCH) from None
    return body


@final
class _Brotli:
    """brotli's decompressor in the shape of the others."""

    needs_input = True
    unused_data = b""

    def __init__(self) -> None:
        try:
            import brotli
        except ImportError as error:
            raise InputError(
                "answers packed with brotli are read with a package that is not installed; "
                "pip install 'evergrow[web]'"
            ) from error
        self._inner, self._error = brotli.Decompressor(), brotli.error

    @property
    def eof(self) -> bool:
        return self._inner.is_finished()

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        try:
            return self._inner.process(data, output_buffer_limit=max_length)
        except self._error as error:
            raise EOFError from error
