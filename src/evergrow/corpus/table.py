"""Documents in a Parquet file."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from evergrow.corpus.document import Document
from evergrow.disk import new_file

ROW_GROUP_BYTES = 16 * 2**20
ROWS_AT_A_TIME = 256
SCHEMA = pa.schema(
    [
        (name, pa.string())
        for name in (
            "id",
            "text",
            "source",
            "path",
            "key",
            "content_hash",
            "date",
            "date_kind",
            "license",
            "repository",
            "meta",
            "parent",
            "file_name",
        )
    ]
)


WITH_DICTIONARY = [
    "source",
    "date_kind",
    "license",
    "repository",
]  # few values: these get a dictionary
_FIELDS = [field.name for field in fields(Document)]


def write_documents(path: Path, documents: Iterable[Document]) -> tuple[int, int]:
    """Write the stream to a new Parquet file; returns the numbers of documents and of bytes.

    Row groups end at 16 MiB of text, and nothing in the file tells the time: same documents and
    versions, same bytes.
    """
    num_documents = num_bytes = group_bytes = 0
    rows: list[Document] = []
    columns: Any = WITH_DICTIONARY  # pyarrow's types know only true and false here
    with pq.ParquetWriter(path, SCHEMA, compression="zstd", use_dictionary=columns) as writer:
        for document in documents:
            rows.append(document)
            size = document.num_bytes
            num_documents, num_bytes = num_documents + 1, num_bytes + size
            group_bytes += size
            if group_bytes >= ROW_GROUP_BYTES:
                writer.write_table(document_table(rows))
                rows, group_bytes = [], 0
        if rows or not num_documents:
            writer.write_table(document_table(rows))
    return num_documents, num_bytes


def write_shards_of_documents(
    folder: Path, prefix: str, documents: Iterable[Document], shard_bytes: int
) -> list[Path]:
    """Write the stream to ``folder/<prefix>-0000.parquet`` and on; none when it is empty.

    A shard ends with the document that brings its text to ``shard_bytes``. Each file is whole or
    not there.
    """
    stream = iter(documents)
    paths: list[Path] = []
    while (first := next(stream, None)) is not None:
        path = folder / f"{prefix}-{len(paths):04d}.parquet"
        with new_file(path) as temporary:
            write_documents(temporary, _up_to(first, stream, shard_bytes))
        paths.append(path)
    return paths


def _up_to(first: Document, stream: Iterator[Document], shard_bytes: int) -> Iterator[Document]:
    total, document = 0, first
    while document is not None:
        yield document
        total += document.num_bytes
        document = next(stream, None) if total < shard_bytes else None


def document_table(documents: Sequence[Document]) -> pa.Table:
    """The documents as rows of SCHEMA, in order."""
    return pa.table({n: [getattr(d, n) for d in documents] for n in SCHEMA.names}, schema=SCHEMA)


def stored_documents(path: Path) -> Iterator[Document]:
    """The documents of a file that ``write_documents`` wrote, in order; few in memory at a time."""
    with pq.ParquetFile(path) as table:
        for batch in table.iter_batches(ROWS_AT_A_TIME, columns=_FIELDS, use_threads=False):
            columns = batch.to_pydict()
            for values in zip(*(columns[name] for name in _FIELDS), strict=True):
                yield Document(*values)
