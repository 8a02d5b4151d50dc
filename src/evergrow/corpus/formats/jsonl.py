"""JSON Lines: one object a line."""

import json
from collections.abc import Iterator
from typing import BinaryIO

from pydantic import JsonValue

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document
from evergrow.corpus.encodings import open_text, undecodable
from evergrow.corpus.files import SourceFile
from evergrow.corpus.formats.rows import BadRow, row_document
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.unpack import MAX_LINE_BYTES, Line, read_lines

TOO_LONG = f"lines longer than {MAX_LINE_BYTES // 2**20} MiB"
SPLIT = "split the document into several"
NOT_OBJECTS = ("rows that are not JSON objects", "write one JSON object a line")
TWICE = ("rows with a key given twice", "give every key of an object once")


def read_jsonl(
    file: SourceFile, config: SourceConfig, quarantine: Quarantine
) -> Iterator[Document]:
    """One document a line; blank lines are skipped."""
    with open_text(file, config, quarantine) as stream:
        yield from line_documents(stream, file, config, quarantine)


def line_documents(
    stream: BinaryIO, file: SourceFile, config: SourceConfig, quarantine: Quarantine
) -> Iterator[Document]:
    """The same of what is open already."""
    for line in read_lines(stream):
        if not line.data.strip() and not line.is_too_long:
            continue
        try:
            yield row_document(_parse(line, config), file, line.offset, config, quarantine)
        except BadRow as bad:
            size = line.num_bytes if line.is_too_long else 0
            quarantine.add(file.name, line.offset, bad.reason, bad.way_out, line.data, size)


def _parse(line: Line, config: SourceConfig) -> dict[str, JsonValue]:
    if line.is_too_long:
        raise BadRow(TOO_LONG, SPLIT)
    try:
        row = json.loads(line.data.decode("utf-8-sig"), object_pairs_hook=_object)
    except UnicodeDecodeError:
        raise BadRow(*undecodable(line.data, config)) from None
    except (ValueError, RecursionError):
        way_out = "write one JSON object a line, or set format: text"
        raise BadRow("rows that are not JSON", way_out) from None
    if not isinstance(row, dict):
        raise BadRow(*NOT_OBJECTS)
    return row


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    """Of a key given twice, readers of JSON take the one or the other."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadRow(*TWICE)
    return found
