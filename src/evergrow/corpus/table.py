"""Documents in a Parquet file."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from evergrow.corpus.document import Document

ROW_GROUP_BYTES = 16 * 2**20
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
        )
    ]
)


def write_documents(path: Path, documents: Iterable[Document]) -> tuple[int, int]:
    """Write the stream to a new Parquet file; returns the numbers of documents and of bytes."""
    num_documents = num_bytes = group_bytes = 0
    rows: list[Document] = []
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for document in documents:
            rows.append(document)
            size = document.num_bytes
            num_documents, num_bytes = num_documents + 1, num_bytes + size
            group_bytes += size
            if group_bytes >= ROW_GROUP_BYTES:
                writer.write_table(_table(rows))
                rows, group_bytes = [], 0
        writer.write_table(_table(rows))
    return num_documents, num_bytes


def _table(rows: list[Document]) -> pa.Table:
    return pa.table({n: [getattr(r, n) for r in rows] for n in SCHEMA.names}, schema=SCHEMA)


def stored_documents(path: Path) -> Iterator[Document]:
    """The documents of a file that ``write_documents`` wrote, in order."""
    with pq.ParquetFile(path) as table:
        for batch in table.iter_batches(batch_size=1024):
            for row in batch.to_pylist():
                yield Document(**row)
