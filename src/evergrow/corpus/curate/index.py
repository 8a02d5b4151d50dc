"""The index of a corpus: what it ever kept, so that later corpora do not take it again.

``index.parquet`` holds a row a kept document: ``id``, ``content_hash`` (128 bits of that of the
text as kept), ``bands``, ``source`` and ``corpus``, the key of the corpus that kept it; and the
rows of the corpora it was itself compared with, so that the newest index is enough. In memory a
document costs 40 bytes and 8 a band, 152 with 14 bands; two to three times that while it is read.

Letters in array names: E documents, B bands.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from evergrow.corpus.curate.units import StoredFile, table_writer
from evergrow.corpus.duplicates.clusters import digest_halves, doubles
from evergrow.corpus.duplicates.signatures import bands_of

INDEX = "index.parquet"
ROWS_AT_A_TIME = 1 << 16


@dataclass(frozen=True)
class Index:
    """E documents that corpora kept.

    ids_E2, hashes_E2  uint64: 128 bits of the id, and of the hash of the text as kept
    bands_EB           uint64; B is 0 without near duplicates, 0 stands for a text without words
    source_E, corpus_E int32: places in ``sources``, and in ``corpora``, keys of corpora
    """

    ids_E2: np.ndarray
    hashes_E2: np.ndarray
    bands_EB: np.ndarray
    source_E: np.ndarray
    corpus_E: np.ndarray
    sources: list[str]
    corpora: list[str]

    @classmethod
    def room_for(cls, num: int, num_bands: int) -> "Index":
        """Of ``num`` documents that are yet to be filled in."""
        return cls(
            ids_E2=np.empty((num, 2), np.uint64),
            hashes_E2=np.empty((num, 2), np.uint64),
            bands_EB=np.empty((num, num_bands), np.uint64),
            source_E=np.empty(num, np.int32),
            corpus_E=np.empty(num, np.int32),
            sources=[],
            corpora=[],
        )

    def __len__(self) -> int:
        return len(self.ids_E2)

    def take(self, rows: np.ndarray) -> "Index":
        """Of these rows alone."""
        arrays = ("ids_E2", "hashes_E2", "bands_EB", "source_E", "corpus_E")
        return replace(self, **{name: getattr(self, name)[rows] for name in arrays})

    def tables(self) -> Iterator[pa.Table]:
        """Its rows as ``index.parquet`` has them, some at a time."""
        for start in range(0, len(self), ROWS_AT_A_TIME):
            rows = slice(start, start + ROWS_AT_A_TIME)
            yield pa.table(
                [
                    _hex(self.ids_E2[rows]),
                    _binary(self.hashes_E2[rows]),
                    _bands(self.bands_EB[rows]),
                    _named(self.source_E[rows], self.sources),
                    _named(self.corpus_E[rows], self.corpora),
                ],
                schema=_schema(self.bands_EB.shape[1]),
            )


def write_index(folder: Path, indexes: Sequence[Index]) -> StoredFile:
    """``index.parquet`` with the rows of all, in order; they have equally many bands."""
    with table_writer(folder / INDEX, _schema(indexes[0].bands_EB.shape[1])) as writer:
        for table in (table for index in indexes for table in index.tables()):
            writer.write_table(table)
    return StoredFile.at(folder, INDEX, sum(map(len, indexes)))


def load_index(folders: Sequence[Path], num_bands: int) -> Index:
    """All that the indexes in these folders hold, each document once, the first of equal ones."""
    files = [
        pq.ParquetFile(folder / INDEX, read_dictionary=["source", "corpus"]) for folder in folders
    ]
    index = Index.room_for(sum(file.metadata.num_rows for file in files), num_bands)
    columns = ["id", "content_hash", "source", "corpus", *(["bands"] if num_bands else [])]
    start = 0
    for file in files:
        with file:
            for batch in file.iter_batches(ROWS_AT_A_TIME, columns=columns, use_threads=False):
                _fill(index, slice(start, start + len(batch)), batch)
                start += len(batch)
    if len(files) < 2:
        return index
    both = np.concatenate([index.ids_E2, index.hashes_E2], axis=1)
    return index.take(np.flatnonzero(~doubles(both)))


def _fill(index: Index, rows: slice, batch: pa.RecordBatch) -> None:
    index.ids_E2[rows] = digest_halves(batch["id"].to_pylist())
    hashes = b"".join(batch["content_hash"].to_pylist())
    index.hashes_E2[rows] = np.frombuffer(hashes, "<u8").reshape(-1, 2)
    index.source_E[rows] = _places(batch["source"], index.sources)
    index.corpus_E[rows] = _places(batch["corpus"], index.corpora)
    if index.bands_EB.shape[1]:
        known = batch["bands"].null_count < len(batch)  # a corpus without near duplicates has none
        index.bands_EB[rows] = bands_of(batch["bands"]) if known else 0


def _places(column: pa.DictionaryArray, names: list[str]) -> np.ndarray:
    """The places in ``names``, to which new ones are added."""
    own = column.dictionary.to_pylist()
    names += [name for name in own if name not in names]
    places = np.array([names.index(name) for name in own], np.int32)
    return places[column.indices.to_numpy()]


def _schema(num_bands: int) -> pa.Schema:
    return pa.schema(
        [
            ("id", pa.string()),
            ("content_hash", pa.binary(16)),
            ("bands", pa.binary(8 * max(num_bands, 1))),
            ("source", pa.string()),
            ("corpus", pa.string()),
        ]
    )


def _hex(ids_E2: np.ndarray) -> pa.Array:
    text = ids_E2.astype("<u8").tobytes().hex().encode()
    offsets = np.arange(0, len(text) + 1, 32, dtype=np.int32)
    return pa.StringArray.from_buffers(len(ids_E2), pa.py_buffer(offsets), pa.py_buffer(text))


def _binary(values_EX: np.ndarray, valid: pa.Buffer | None = None) -> pa.Array:
    data = pa.py_buffer(values_EX.astype("<u8").tobytes())
    kind = pa.binary(8 * values_EX.shape[1])
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(values_EX), [valid, data])


def _bands(bands_EB: np.ndarray) -> pa.Array:
    if not bands_EB.shape[1]:
        return pa.nulls(len(bands_EB), pa.binary(8))
    there = np.packbits(bands_EB.any(axis=1), bitorder="little")
    return _binary(bands_EB, pa.py_buffer(there.tobytes()))


def _named(places_E: np.ndarray, names: Sequence[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(places_E, pa.array(names, pa.string())).cast(pa.string())
