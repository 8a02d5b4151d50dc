"""Parquet: one document a row."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from evergrow.corpus.addresses import open_address
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document
from evergrow.corpus.encodings import NOT_UTF8, peeked, refuse_pointer
from evergrow.corpus.files import SourceFile
from evergrow.corpus.formats.rows import BadRow, refuse_twice, row_document, row_fields
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.unpack import FREE_BYTES, MAX_RATIO, UnpacksTooLarge, open_raw, refuse_changed
from evergrow.errors import InputError

ROWS_AT_ONCE = 256  # at most; and about so many bytes
BYTES_AT_ONCE = 2**20
# Columns are read in pieces of 256 KiB, not a row group at once: many files are open together.
IN_PIECES: dict[str, Any] = {"pre_buffer": False, "buffer_size": 2**18}


def read_parquet(
    file: SourceFile, config: SourceConfig, quarantine: Quarantine
) -> Iterator[Document]:
    """One document a row; only the columns that the source asks for are read.

    Raises InputError when the file is broken or packed once more, or lacks columns, and
    UnpacksTooLarge when its own record says that pages unpack to too much.
    """
    with ExitStack() as stack:
        table = _open(file, stack)
        schema = table.schema_arrow
        columns = asked_columns(schema, file, config, quarantine)
        at_once = _rows_at_once(table.metadata, columns)
        fields = list(dict.fromkeys(row_fields(config).values()))
        batches = _batches(table, at_once, fields, file)
        yield from column_documents(batches, columns, file, config, quarantine)
    refuse_changed(file)


def asked_columns(
    schema: pa.Schema, file: SourceFile, config: SourceConfig, quarantine: Quarantine
) -> list[str]:
    """The columns that hold what a source asks for, the one of the text first.

    Raises InputError for those that are missing, and for two of one name.
    """
    refuse_twice(file.path, schema.names)
    columns = {}
    for setting, field in row_fields(config).items():
        column = field if field in schema.names else field.partition(".")[0]
        if column not in schema.names:
            raise InputError(
                f"{file.path}: no column {field!r}; set "
                f"sources.{quarantine.source}.{setting} to one of {', '.join(schema.names)}"
            )
        columns[column] = None
    return list(columns)


def column_documents(
    batches: Iterator[pa.RecordBatch],
    columns: Sequence[str],
    file: SourceFile,
    config: SourceConfig,
    quarantine: Quarantine,
) -> Iterator[Document]:
    """One document a row of the batches."""
    row = 0
    for batch in batches:
        for values in zip(*(batch.column(c) for c in columns), strict=True):
            try:
                row_values = _python_row(columns, values, config)
                yield row_document(row_values, file, row, config, quarantine)
            except BadRow as bad:
                quarantine.add(file.name, row, bad.reason, bad.way_out, _head(values[0]))
            row += 1


def _batches(
    table: pq.ParquetFile, at_once: int, columns: Sequence[str], file: SourceFile
) -> Iterator[pa.RecordBatch]:
    """The rows, about 1 MiB at a time. Raises InputError where the file is damaged inside."""
    batches = table.iter_batches(at_once, columns=list(columns), use_threads=False)
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:  # the disk's or the net's
                raise
            raise damaged(file, error) from error
        if batch is None:
            return
        yield batch


def damaged(file: SourceFile, error: Exception) -> InputError:
    """What to raise for a file that cannot be read to its end."""
    told = " ".join(str(error).split())
    return InputError(
        f"{file.path}: damaged inside ({told}); fetch or write it again, or leave it out of `files`"
    )


def _python_row(
    columns: Sequence[str], values: Sequence[pa.Scalar], config: SourceConfig
) -> dict[str, object]:
    row = {}
    for column, value in zip(columns, values, strict=True):
        try:
            row[column] = _python(value)
        except UnicodeDecodeError:
            raise BadRow(NOT_UTF8.reason, "write the column as UTF-8 text") from None
        except (ValueError, OverflowError):  # the year 10000, a zone of no map
            if column in (config.text_field, config.id_field):
                raise BadRow(
                    f"field {column!r} with a {value.type} that cannot be read",
                    "write texts and ids as text",
                ) from None
            row[column] = f"a {value.type} that cannot be read"
    return row


def _python(value: pa.Scalar) -> Any:
    """The value in Python, which counts no nanoseconds: dates need none."""
    if pa.types.is_timestamp(value.type) and value.type.unit == "ns":
        value = value.cast(pa.timestamp("us", value.type.tz), safe=False)
    return value.as_py()


def _head(text: pa.Scalar) -> bytes:
    """The bytes of a text, for the record of a bad row; nothing of other types."""
    if not (pa.types.is_string(text.type) or pa.types.is_large_string(text.type)):
        return b""
    buffer = text.as_buffer()  # pyright: ignore[reportAttributeAccessIssue]
    return b"" if buffer is None else buffer.slice(0, min(200, buffer.size)).to_pybytes()


def _open(file: SourceFile, stack: ExitStack) -> pq.ParquetFile:
    if file.suffixes[1]:
        raise InputError(
            f"{file.path}: Parquet compresses inside; unpack the file and name it .parquet"
        )
    with open_raw(file) as raw:
        refuse_pointer(peeked(raw))
    try:
        if isinstance(file.path, Path):
            return stack.enter_context(pq.ParquetFile(file.path, **IN_PIECES))
        raw = stack.enter_context(open_address(str(file.path)))
        return stack.enter_context(pq.ParquetFile(raw, **IN_PIECES))
    except pa.ArrowInvalid as error:
        raise InputError(
            f"{file.path}: not a whole Parquet file ({error}); write it again"
        ) from error


def _rows_at_once(metadata: pq.FileMetaData, columns: Sequence[str]) -> int:
    """So many rows that they hold about 1 MiB, going by what the file records of its columns.

    Raises UnpacksTooLarge when a column unpacks to far more than it takes on disk.
    """
    num_bytes = 0
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(index)
            if chunk.path_in_schema.split(".")[0] not in columns:
                continue
            size = chunk.total_uncompressed_size
            if size > max(FREE_BYTES, MAX_RATIO * chunk.total_compressed_size):
                raise UnpacksTooLarge(size)
            num_bytes += size
    fitting = BYTES_AT_ONCE * metadata.num_rows // max(1, num_bytes)
    return min(ROWS_AT_ONCE, max(1, fitting))
