"""CSV and TSV with a line of names first, quoted as RFC 4180 says."""

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from typing import BinaryIO, final

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document
from evergrow.corpus.encodings import open_text, undecodable
from evergrow.corpus.files import SourceFile
from evergrow.corpus.formats.rows import (
    BadRow,
    refuse_twice,
    row_document,
    row_fields,
)
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.unpack import MAX_LINE_BYTES, Line, read_lines
from evergrow.errors import InputError

QUOTE = "quote fields that hold quotes, delimiters or line ends, and double the quotes in them"
TOO_LONG = f"rows longer than {MAX_LINE_BYTES // 2**20} MiB, as after a quote that is not closed"


def read_csv(file: SourceFile, config: SourceConfig, quarantine: Quarantine) -> Iterator[Document]:
    """One document a row; a field may go over several lines.

    Raises InputError when the first line lacks a field that the source asks for, or has one twice.
    """
    yield from _read(file, config, quarantine, ",")


def read_tsv(file: SourceFile, config: SourceConfig, quarantine: Quarantine) -> Iterator[Document]:
    """The same, with tabs between the fields."""
    yield from _read(file, config, quarantine, "\t")


class _TooLong(Exception):
    pass


@final
class _Records:
    """The lines of a stream as csv wants them, and those of the record that is being read.

    Bytes that are not UTF-8 become lone surrogates, so that they cost their own row only.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._lines = read_lines(stream)
        self._again: deque[Line] = deque()
        self._record: list[Line] = []

    def begin(self) -> None:
        self._record = []

    def go_back(self) -> None:
        """Go on after the first line of the record: a stray quote costs no rows but its own."""
        self._again.extendleft(reversed(self._record[1:]))
        self._record = self._record[:1]

    @property
    def offset(self) -> int:
        return self._record[0].offset

    @property
    def head(self) -> bytes:
        return self._record[0].data

    @property
    def num_bytes(self) -> int:
        return sum(line.num_bytes for line in self._record)

    def __iter__(self) -> "_Records":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self._record.append(line)
        if line.offset + line.num_bytes - self.offset > MAX_LINE_BYTES:
            raise _TooLong
        encoding = "utf-8-sig" if line.offset == 0 else "utf-8"
        return line.data.decode(encoding, "surrogateescape")


def _read(
    file: SourceFile, config: SourceConfig, quarantine: Quarantine, delimiter: str
) -> Iterator[Document]:
    # The limit is the module's own, for all its readers; a longer field never reaches them.
    csv.field_size_limit(MAX_LINE_BYTES)
    with open_text(file, config, quarantine) as stream:
        records = _Records(stream)
        rows = csv.reader(records, delimiter=delimiter, strict=True)
        names = _names(rows, file, config, quarantine)
        while True:
            records.begin()
            try:
                values = next(rows, None)
                if values is None:
                    return
                if values:
                    row = _row(names, values, records.head, config)
                    yield row_document(row, file, records.offset, config, quarantine)
            except BadRow as bad:
                quarantine.add(file.name, records.offset, bad.reason, bad.way_out, records.head)
            except (csv.Error, _TooLong) as error:
                size = records.num_bytes if isinstance(error, _TooLong) else 0
                reason = TOO_LONG if size else f"rows that are not CSV ({error})"
                quarantine.add(file.name, records.offset, reason, QUOTE, records.head, size)
                records.go_back()


def _row(
    names: Sequence[str], values: Sequence[str], head: bytes, config: SourceConfig
) -> dict[str, str]:
    if len(names) != len(values):
        raise BadRow("rows with more or fewer fields than the first line names", QUOTE)
    for value in values:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise BadRow(*undecodable(head, config)) from None
    return dict(zip(names, values, strict=True))


def _names(
    rows: Iterator[list[str]], file: SourceFile, config: SourceConfig, quarantine: Quarantine
) -> list[str]:
    try:
        names = next(rows, [])
    except (csv.Error, _TooLong) as error:
        raise InputError(
            f"{file.path}: its first line does not name the columns ({error or TOO_LONG}); {QUOTE}"
        ) from error
    refuse_twice(file.path, names)
    for setting, field in row_fields(config).items():
        if field not in names:
            raise InputError(
                f"{file.path}: no column {field!r}; set sources.{quarantine.source}.{setting} to "
                f"one of {', '.join(names)[:200]}"
            )
    return names
