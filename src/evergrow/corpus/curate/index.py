"""The index of a corpus: what it ever kept, so that later corpora do not take it again.

``index.parquet`` holds a row a kept document: ``id``, ``content_hash`` (128 bits of that of the
text as kept), ``bands``, ``signature``, ``source`` and ``corpus``, the key of the corpus that kept
it; and the rows of the corpora it was itself compared with, so that the newest index is enough. In
memory a document costs 40 bytes, 8 a band and 1 a permutation, 264 with 14 bands of 112; two to
three times that while it is read.

Letters in array names: E documents, B bands, P permutations.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from evergrow.corpus.curate.config import NearConfig
from evergrow.corpus.curate.units import table_writer
from evergrow.corpus.duplicates.clusters import digest_halves, doubles
from evergrow.corpus.duplicates.signatures import bands_of, signatures_of
from evergrow.corpus.records import StoredFile

INDEX = "index.parquet"
ROWS_AT_A_TIME = 1 << 16


@dataclass(frozen=True)
class Index:
    """E documents that corpora kept.

    ids_E2, hashes_E2  uint64: 128 bits of the id, and of the hash of the text as kept
    bands_EB           uint64; B is 0 without near duplicates, 0 stands for a text without bands
    signatures_EP      uint8; P is 0 without near duplicates
    source_E, corpus_E int32: places in ``sources``, and in ``corpora``, keys of corpora
    """

    ids_E2: np.ndarray
    hashes_E2: np.ndarray
    bands_EB: np.ndarray
    signatures_EP: np.ndarray
    source_E: np.ndarray
    corpus_E: np.ndarray
    sources: list[str]
    corpora: list[str]

    @classmethod
    def room_for(cls, num: int, near: NearConfig | None) -> "Index":
        """Of ``num`` documents that are yet to be filled in."""
        bands, permutations = (near.bands, near.permutations) if near else (0, 0)
        return cls(
            ids_E2=np.empty((num, 2), np.uint64),
            hashes_E2=np.empty((num, 2), np.uint64),
            bands_EB=np.empty((num, bands), np.uint64),
            signatures_EP=np.empty((num, permutations), np.uint8),
            source_E=np.empty(num, np.int32),
            corpus_E=np.empty(num, np.int32),
            sources=[],
            corpora=[],
        )

    def __len__(self) -> int:
        return len(self.ids_E2)

    def take(self, rows: np.ndarray) -> "Index":
        """Of these rows alone."""
        arrays = ("ids_E2", "hashes_E2", "bands_EB", "signatures_EP", "source_E", "corpus_E")
        return replace(self, **{name: getattr(self, name)[rows] for name in arrays})

    def ids_of(self, rows: np.ndarray) -> list[str]:
        """The ids of these rows as documents spell them."""
        return _hex(self.ids_E2[rows]).to_pylist()

    def _has_bands(self, rows: slice) -> np.ndarray:
        return np.any(self.bands_EB[rows], axis=1)

    def tables(self) -> Iterator[pa.Table]:
        """Its rows as ``index.parquet`` has them, some at a time."""
        for start in range(0, len(self), ROWS_AT_A_TIME):
            rows = slice(start, start + ROWS_AT_A_TIME)
            yield pa.table(
                [
                    _hex(self.ids_E2[rows]),
                    _binary(self.hashes_E2[rows]),
                    _known(self.bands_EB[rows], there := self._has_bands(rows)),
                    _known(self.signatures_EP[rows], there),
                    _named(self.source_E[rows], self.sources),
                    _named(self.corpus_E[rows], self.corpora),
                ],
                schema=_schema(self),
            )


def write_index(folder: Path, indexes: Sequence[Index]) -> StoredFile:
    """``index.parquet`` with the rows of all, in order; they have equally many bands."""
    with table_writer(folder / INDEX, _schema(indexes[0])) as writer:
        for table in (table for index in indexes for table in index.tables()):
            writer.write_table(table)
    return StoredFile.at(folder, INDEX, sum(map(len, indexes)))


def load_index(folders: Sequence[Path], near: NearConfig | None) -> Index:
    """All that the indexes in these folders hold, each document once, the first of equal ones."""
    files = [
        pq.ParquetFile(folder / INDEX, read_dictionary=["source", "corpus"]) for folder in folders
    ]
    index = Index.room_for(sum(file.metadata.num_rows for file in files), near)
    columns = ["id", "content_hash", "source", "corpus", *(["bands", "signature"] if near else [])]
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
        index.signatures_EP[rows] = signatures_of(batch["signature"]) if known else 0


def _places(column: pa.DictionaryArray, names: list[str]) -> np.ndarray:
    """The places in ``names``, to which new ones are added."""
    own = column.dictionary.to_pylist()
    names += [name for name in own if name not in names]
    places = np.array([names.index(name) for name in own], np.int32)
    return places[column.indices.to_numpy()]


def _schema(index: Index) -> pa.Schema:
    return pa.schema(
        [
            ("id", pa.string()),
            ("content_hash", pa.binary(16)),
            ("bands", pa.binary(max(8 * index.bands_EB.shape[1], 1))),
            ("signature", pa.binary(max(index.signatures_EP.shape[1], 1))),
            ("source", pa.string()),
            ("corpus", pa.string()),
        ]
    )


def _hex(ids_E2: np.ndarray) -> pa.Array:
    text = ids_E2.astype("<u8").tobytes().hex().encode()
    offsets = np.arange(0, len(text) + 1, 32, dtype=np.int32)
    return pa.StringArray.from_buffers(len(ids_E2), pa.py_buffer(offsets), pa.py_buffer(text))


def _binary(values_EX: np.ndarray, valid: pa.Buffer | None = None) -> pa.Array:
    little = values_EX.astype(values_EX.dtype.newbyteorder("<"))
    kind = pa.binary(little.itemsize * little.shape[1])
    data = pa.py_buffer(little.tobytes())
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(values_EX), [valid, data])


def _known(values_EX: np.ndarray, there_E: np.ndarray) -> pa.Array:
    """The rows that are there; null for the others."""
    if not values_EX.shape[1]:
        return pa.nulls(len(values_EX), pa.binary(1))
    there = np.packbits(there_E, bitorder="little")
    return _binary(values_EX, pa.py_buffer(there.tobytes()))


def _named(places_E: np.ndarray, names: Sequence[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(places_E, pa.array(names, pa.string())).cast(pa.string())
