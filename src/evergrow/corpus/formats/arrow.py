"""Arrow files and streams, as data sets lie on disk: one document a row."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa

from evergrow.corpus.addresses import open_address
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document
from evergrow.corpus.encodings import peeked, refuse_pointer
from evergrow.corpus.files import SourceFile
from evergrow.corpus.formats.parquet import (
    ROWS_AT_ONCE,
    asked_columns,
    column_documents,
    damaged,
)
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.unpack import open_raw, refuse_changed
from evergrow.errors import InputError

MAGIC = b"ARROW1"


def read_arrow(
    file: SourceFile, config: SourceConfig, quarantine: Quarantine
) -> Iterator[Document]:
    """One document a row; a batch of the file is in memory at a time.

    Raises InputError when the file is damaged or packed once more, or lacks columns.
    """
    with ExitStack() as stack:
        source, is_file = _open(file, stack)
        try:
            reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
        except (pa.ArrowException, OSError) as error:
            raise damaged(file, error) from error
        columns = asked_columns(reader.schema, file, config, quarantine)
        batches = _batches(reader, columns, file)
        yield from column_documents(batches, columns, file, config, quarantine)
    refuse_changed(file)


def _open(file: SourceFile, stack: ExitStack) -> tuple[pa.NativeFile, bool]:
    """The open file, and whether it is one with a list of its batches or a stream of them."""
    if file.suffixes[1]:
        raise InputError(f"{file.path}: Arrow is read as it is; unpack the file, name it .arrow")
    with open_raw(file) as raw:
        refuse_pointer(head := peeked(raw))
    if isinstance(file.path, Path):
        return stack.enter_context(pa.OSFile(str(file.path))), head.startswith(MAGIC)
    opened = stack.enter_context(open_address(str(file.path)))
    return stack.enter_context(pa.PythonFile(opened, mode="r")), head.startswith(MAGIC)


def _batches(
    reader: pa.ipc.RecordBatchFileReader | pa.ipc.RecordBatchStreamReader,
    columns: Sequence[str],
    file: SourceFile,
) -> Iterator[pa.RecordBatch]:
    """A few rows at a time. Raises InputError where the file is damaged inside."""
    number = 0
    while True:
        try:
            if isinstance(reader, pa.ipc.RecordBatchFileReader):
                if number == reader.num_record_batches:
                    return
                batch = reader.get_batch(number)
            else:
                batch = reader.read_next_batch()
            batch = batch.select(list(columns))
            for column in batch.columns:
                _checkable(column).validate(full=True)  # what it points to is inside
        except StopIteration:
            return
        except (pa.ArrowException, OSError) as error:
            raise damaged(file, error) from error
        yield from (batch.slice(at, ROWS_AT_ONCE) for at in range(0, len(batch), ROWS_AT_ONCE))
        number += 1


def _checkable(column: pa.Array) -> pa.Array:
    """Text as bytes: what is not UTF-8 costs its own row only."""
    if pa.types.is_string(column.type):
        return column.view(pa.binary())
    return column.view(pa.large_binary()) if pa.types.is_large_string(column.type) else column
