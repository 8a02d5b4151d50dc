"""The texts of some documents of a corpus, when columns are not enough: read by shard, compared."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from evergrow.corpus.curate.measure import Shard
from evergrow.corpus.document import Document
from evergrow.corpus.duplicates.likeness import Pair
from evergrow.corpus.duplicates.signatures import jaccard, shingles

ROWS_AT_A_TIME = 64  # of a shard
Read = Callable[[Sequence[int]], Iterator[tuple[int, Document]]]
PAIRS_AT_A_TIME = 10_000  # compared: bounds memory to what so many texts say


def documents_at(
    folder: Path, shards: Sequence[Shard], starts: np.ndarray, rows: Sequence[int]
) -> Iterator[tuple[int, Document]]:
    """The documents of some rows, ascending; only their shards are read.

    ``starts`` holds the first row of each shard.
    """
    numbers = np.searchsorted(starts, rows, "right") - 1
    for number in np.unique(numbers).tolist():
        mine = np.asarray(rows)[numbers == number].tolist()
        start = int(starts[number])
        with pq.ParquetFile(folder / shards[number].text.name) as file:
            for batch in file.iter_batches(ROWS_AT_A_TIME, use_threads=False):
                here = [row for row in mine if start <= row < start + len(batch)]
                taken = batch.take(pa.array([row - start for row in here], pa.int64()))
                yield from zip(here, (Document(**one) for one in taken.to_pylist()), strict=True)
                start += len(batch)


@final
@dataclass
class Compared:
    """The exact similarities of pairs of documents, once they were compared.

    Rows of earlier corpora come first in their numbers, ``first`` of them, which
    ``read_earlier`` reads as far as they are still there. A pair is None where a text is not.
    """

    read: Read
    shingle: int
    first: int = 0
    read_earlier: Read = lambda rows: iter(())
    exact: dict[Pair, float | None] = field(default_factory=dict)

    def compare(self, pairs: Sequence[Pair]) -> None:
        """Fill ``exact`` with the shares of all shingles of two texts that both have."""
        for start in range(0, len(pairs), PAIRS_AT_A_TIME):
            some = pairs[start : start + PAIRS_AT_A_TIME]
            rows = sorted({row for pair in some for row in pair})
            read = [
                *self.read_earlier([row for row in rows if row < self.first]),
                *((row + self.first, document) for row, document in self.read(
                    [row - self.first for row in rows if row >= self.first]
                )),
            ]  # fmt: skip
            said = {row: shingles(document.text, self.shingle) for row, document in read}
            self.exact |= {pair: _alike(*(said.get(row) for row in pair)) for pair in some}


def _alike(one: np.ndarray | None, other: np.ndarray | None) -> float | None:
    return None if one is None or other is None else jaccard(one, other)
