"""Documents in a Parquet file."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from evergrow.corpus.document import Document

ROW_GROUP_BYTES = 16 * 2**20
ROW_GROUP_ROWS = 2**15  # as Python objects a tiny document takes over 1 kB
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

    Row groups end at 16 MiB of text or 32,768 rows, and nothing in the file tells the time: same
    documents and versions, same bytes.
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
            if group_bytes >= ROW_GROUP_BYTES or len(rows) == ROW_GROUP_ROWS:
                writer.write_table(document_table(rows))
                rows, group_bytes = [], 0
        if rows or not num_documents:
            writer.write_table(document_table(rows))
    return num_documents, num_bytes


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
