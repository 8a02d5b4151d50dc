"""Files to Documents: text, JSONL and Parquet, plain or packed, streaming and in a fixed order."""

import json
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from datetime import date as Date
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from blake3 import blake3

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document
from evergrow.corpus.files import COMPRESSIONS, SourceFile, match_files, open_unpacked
from evergrow.corpus.parts import cut
from evergrow.corpus.quarantine import Quarantine
from evergrow.errors import InputError

MAX_DOCUMENT_BYTES = 4 * 2**20  # longer texts are cut at line ends; bounds memory of tokenising
OPEN_FILES = 64  # read in turn; within every system's limit on open files
FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".parquet": "parquet"}
SAVE_AS_UTF8 = "save the file as UTF-8 (iconv -f latin1 -t utf-8) or leave it out of `files`"

FileReader = Callable[[SourceFile, SourceConfig, Quarantine], Iterator[Document]]


def read_documents(
    config: SourceConfig, base: Path, quarantine: Quarantine
) -> Generator[Document, None, None]:
    """All documents of the files that ``config`` names, globs relative to ``base``; see read_files.

    Raises InputError past 0.1 % bad documents.
    """
    paths = match_files(config.files, base, quarantine.source)
    yield from read_files(config, [SourceFile.at(path, base) for path in paths], quarantine)
    quarantine.check()


def read_files(
    config: SourceConfig, files: Sequence[SourceFile], quarantine: Quarantine
) -> Generator[Document, None, None]:
    """The documents of ``files``: one of each in turn, the files ordered by a hash of their names.

    So any beginning of the stream is spread over the files, whatever they contain. Texts longer
    than 4 MiB come as several documents, cut at line ends. Bad documents go to ``quarantine``;
    ask it with ``check()`` when done. Raises InputError for a broken file or a missing column.
    """
    ordered = sorted(files, key=lambda file: blake3(file.name.encode()).digest())
    with closing(_in_turn(ordered, config, quarantine)) as documents:
        for document in documents:
            quarantine.num_documents += 1
            yield from cut(document, MAX_DOCUMENT_BYTES)


def _in_turn(
    files: Sequence[SourceFile], config: SourceConfig, quarantine: Quarantine
) -> Generator[Document, None, None]:
    def opened(file: SourceFile) -> Iterator[Document]:
        return READERS[_format(file, config)](file, config, quarantine)

    waiting = iter(files)
    turns = deque(opened(file) for file in islice(waiting, OPEN_FILES))
    while turns:
        documents = turns.popleft()
        document = next(documents, None)
        if document is not None:
            yield document
            turns.append(documents)
        elif (file := next(waiting, None)) is not None:
            turns.append(opened(file))


def _format(file: SourceFile, config: SourceConfig) -> str:
    if config.format != "auto":
        return config.format
    suffixes = [s.lower() for s in file.path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return FORMATS.get(suffixes[-1], "text") if suffixes else "text"


def read_text(file: SourceFile, config: SourceConfig, quarantine: Quarantine) -> Iterator[Document]:
    """One document a file; longer files in blocks of at most 4 MiB that end with a line."""
    with open_unpacked(file) as stream:
        offset, rest = 0, b""
        while block := stream.read(MAX_DOCUMENT_BYTES - len(rest)):
            rest += block
            if len(rest) < MAX_DOCUMENT_BYTES:
                continue
            end = rest.rfind(b"\n") + 1 or _character_start(rest)
            yield from _decoded(rest[:end], file, offset, quarantine)
            offset, rest = offset + end, rest[end:]
        if rest:
            yield from _decoded(rest, file, offset, quarantine)


def _character_start(block: bytes) -> int:
    """Where the last UTF-8 character of ``block`` starts; the block's end when it is not UTF-8."""
    starts = (i for i in range(len(block) - 1, len(block) - 5, -1) if block[i] & 0xC0 != 0x80)
    return next(starts, len(block))


def _decoded(
    block: bytes, file: SourceFile, offset: int, quarantine: Quarantine
) -> Iterator[Document]:
    try:
        text = block.decode("utf-8-sig" if offset == 0 else "utf-8")
    except UnicodeDecodeError as error:
        place = offset + error.start
        quarantine.add(file.name, place, "bytes that are not UTF-8", SAVE_AS_UTF8)
        return
    place = f"{file.name}#{offset}" if offset else None
    yield Document.of(text, quarantine.source, file.name, key=place)


def read_jsonl(
    file: SourceFile, config: SourceConfig, quarantine: Quarantine
) -> Iterator[Document]:
    """One document a line; blank lines are skipped."""
    offset = 0
    with open_unpacked(file) as stream:
        for line in stream:
            if line.strip():
                try:
                    yield _row_document(_parse(line), quarantine.source, file, offset, config)
                except _BadRow as bad:
                    quarantine.add(file.name, offset, bad.reason, bad.way_out)
            offset += len(line)


class _BadRow(Exception):
    def __init__(self, reason: str, way_out: str) -> None:
        self.reason = reason
        self.way_out = way_out


def _parse(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise _BadRow("bytes that are not UTF-8", SAVE_AS_UTF8) from None
    except (ValueError, RecursionError):
        way_out = "write one JSON object a line, or set format: text"
        raise _BadRow("rows that are not JSON", way_out) from None
    if not isinstance(row, dict):
        raise _BadRow("rows that are not JSON objects", "write one JSON object a line")
    return row


def _row_document(
    row: dict[str, Any], source: str, file: SourceFile, place: int, config: SourceConfig
) -> Document:
    field = config.text_field
    text = row.get(field)
    if not isinstance(text, str):
        kind = type(text).__name__ if field in row and text is not None else "missing"
        raise _BadRow(
            f"text field {field!r} that is {kind}",
            f"set text_field to the name of the text (the first bad row has {', '.join(row)})",
        )
    date = None if config.date_field is None else row.get(config.date_field)
    if isinstance(date, Date):  # also datetime
        date = date.isoformat()
    try:
        spelt = None if date is None else str(date)
        return Document.of(text, source, file.name, spelt, key=f"{file.name}#{place}")
    except UnicodeEncodeError:
        raise _BadRow("halves of surrogate pairs", "write whole characters") from None


def read_parquet(
    file: SourceFile, config: SourceConfig, quarantine: Quarantine
) -> Iterator[Document]:
    """One document a row; only the text and date columns are read.

    Raises InputError when the file is broken or packed, or has no such columns.
    """
    columns = [config.text_field, *([config.date_field] if config.date_field else [])]
    with _parquet_file(file.path) as table:
        names = table.schema_arrow.names
        for column in columns:
            if column not in names:
                raise InputError(
                    f"{file.path}: no column {column!r}; set "
                    f"sources.{quarantine.source}.text_field or date_field to one of "
                    f"{', '.join(names)}"
                )
        row = 0
        for batch in table.iter_batches(batch_size=256, columns=columns):
            for values in zip(*(batch.column(c) for c in columns), strict=True):
                try:
                    row_values = _python_row(columns, values)
                    yield _row_document(row_values, quarantine.source, file, row, config)
                except _BadRow as bad:
                    quarantine.add(file.name, row, bad.reason, bad.way_out)
                row += 1


def _python_row(columns: Sequence[str], values: Sequence[pa.Scalar]) -> dict[str, Any]:
    try:
        return {column: value.as_py() for column, value in zip(columns, values, strict=True)}
    except UnicodeDecodeError:
        raise _BadRow("bytes that are not UTF-8", "write the column as UTF-8 text") from None


def _parquet_file(path: Path) -> pq.ParquetFile:
    if path.suffix.lower() in COMPRESSIONS:
        raise InputError(f"{path}: Parquet compresses inside; unpack the file and name it .parquet")
    try:
        return pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: not a whole Parquet file ({error}); write it again") from error


READERS: dict[str, FileReader] = {"text": read_text, "jsonl": read_jsonl, "parquet": read_parquet}
