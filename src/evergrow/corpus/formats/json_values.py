"""JSON that is no JSON Lines: an array of objects, or objects over several lines."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, final

from pydantic import JsonValue

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document
from evergrow.corpus.encodings import open_text, peeked, undecodable
from evergrow.corpus.files import SourceFile
from evergrow.corpus.formats.jsonl import NOT_OBJECTS, TWICE, line_documents
from evergrow.corpus.formats.rows import BadRow, row_document
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.unpack import BUFFER_BYTES, MAX_LINE_BYTES

DAMAGED = ("JSON that is damaged or breaks off", "write the file again, or set format: text")
_BETWEEN = re.compile(r"[\s,\ufeff]*")  # a byte order mark, too


def read_json(file: SourceFile, config: SourceConfig, quarantine: Quarantine) -> Iterator[Document]:
    """One document an object of the array that the file is, or one an object or line."""
    with open_text(file, config, quarantine) as stream:
        if _is_of_lines(peeked(stream)):
            yield from line_documents(stream, file, config, quarantine)
            return
        values = _Values(stream)
        for value in values:
            try:
                yield _document(value, file, config, quarantine)
            except BadRow as bad:
                head = value.text[:200].encode("utf-8", "surrogateescape")
                quarantine.add(file.name, value.offset, bad.reason, bad.way_out, head)
        if values.rest:
            quarantine.add(file.name, values.offset, *DAMAGED, values.rest)


def _is_of_lines(head: bytes) -> bool:
    """Whether the first line that is not blank is an object, or something broken inside."""
    lines = head.decode("utf-8-sig", "replace").lstrip().split("\n", 1)
    if not lines[0].startswith("{"):
        return False
    try:
        json.loads(lines[0])
    except json.JSONDecodeError as error:
        return len(lines) > 1 and error.pos < len(lines[0].rstrip())
    except RecursionError:
        return True
    return True


class _Value(NamedTuple):
    """A value with its text and the byte offset of that."""

    offset: int
    text: str
    value: JsonValue
    has_twice: bool


def _document(
    found: _Value, file: SourceFile, config: SourceConfig, quarantine: Quarantine
) -> Document:
    try:
        found.text.encode()
    except UnicodeEncodeError:
        data = found.text.encode("utf-8", "surrogateescape")
        raise BadRow(*undecodable(data, config)) from None
    if not isinstance(found.value, dict):
        raise BadRow(*NOT_OBJECTS)
    if found.has_twice:
        raise BadRow(*TWICE)
    return row_document(found.value, file, found.offset, config, quarantine)


@final
class _Values:
    """The values of an array or of a sequence, parsed as they come in.

    At the end ``rest`` begins what could not be parsed, at ``offset``; empty when all could.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._bytes = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._parser = json.JSONDecoder(object_pairs_hook=self._object)
        self._text, self._at = "", 0
        self._is_whole = self._has_twice = False
        self.offset = 0
        self.rest = b""

    def _object(self, pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
        found = dict(pairs)
        self._has_twice |= len(found) < len(pairs)
        return found

    def __iter__(self) -> Iterator[_Value]:
        is_array = self._next() == "["
        if is_array:
            self._pass(self._at + 1)
        while self._next() not in ("", "]"):
            value = self._parsed()
            if value is None:
                break
            yield value
        if is_array and self._next() == "]":
            self._pass(self._at + 1)
            is_array = False
        self._next()
        rest = self._text[self._at : self._at + 200] or ("[" if is_array else "")
        self.rest = rest.encode("utf-8", "surrogateescape")

    def _parsed(self) -> _Value | None:
        """The value that begins here; None when it is damaged or takes over 32 MiB."""
        while True:
            self._has_twice = False
            try:
                value, end = self._parser.raw_decode(self._text, self._at)
            except (ValueError, RecursionError):
                value, end = None, len(self._text)
            if end < len(self._text) or (self._is_whole and value is not None):
                text = self._text[self._at : end]
                found = _Value(self.offset, text, value, self._has_twice)
                self._pass(end)
                return found
            if self._is_whole or len(self._text) - self._at > MAX_LINE_BYTES:
                return None
            self._more(len(self._text) - self._at)  # twice as much: little is parsed in vain

    def _pass(self, end: int) -> None:
        self.offset += len(self._text[self._at : end].encode("utf-8", "surrogateescape"))
        self._at = end

    def _next(self) -> str:
        """Go on to what is neither blank nor a comma: its first character, "" at the end."""
        while True:
            match = _BETWEEN.match(self._text, self._at)
            assert match is not None
            self._pass(match.end())
            if self._at < len(self._text) or self._is_whole:
                return self._text[self._at : self._at + 1]
            self._more(0)

    def _more(self, count: int) -> None:
        data = self._stream.read(max(count, BUFFER_BYTES))
        self._is_whole = not data
        self._text = self._text[self._at :] + self._bytes.decode(data, final=self._is_whole)
        self._at = 0
