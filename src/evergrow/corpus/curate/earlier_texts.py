"""The texts of documents that earlier corpora keep, as far as those are still there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import final

import numpy as np
import pyarrow.parquet as pq

from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.index import Index
from evergrow.corpus.curate.manifest import MANIFEST
from evergrow.corpus.curate.texts import documents_at
from evergrow.corpus.document import Document
from evergrow.disk import checksum_once
from evergrow.errors import InputError


@final
@dataclass
class EarlierTexts:
    """The documents of ``index``, in the corpora at ``folders`` and in those they were compared
    with; of a corpus that was moved or made anew nothing is there."""

    folders: Sequence[Path]
    index: Index

    def read(self, rows: Sequence[int]) -> Iterator[tuple[int, Document]]:
        """The documents of some rows of the index that are still there.

        Raises InputError for a corpus whose files are not as they were written.
        """
        rows_R = np.asarray(rows, np.int64)
        corpus_R = self.index.corpus_E[rows_R]
        for number in np.unique(corpus_R).tolist():
            corpus = self._corpora.get(self.index.corpora[number])
            if corpus is not None:
                yield from self._of(corpus, rows_R[corpus_R == number])

    @cached_property
    def _corpora(self) -> dict[str, Corpus]:
        """Every corpus that can be reached from the folders, by key."""
        found: dict[str, Corpus] = {}
        folders = [*self.folders]
        while folders:
            folder = folders.pop()
            if (folder / MANIFEST).exists() and (corpus := Corpus.open(folder)).key not in found:
                found[corpus.key] = corpus
                folders += [parent.folder for parent in corpus.parents]
        return found

    def _of(self, corpus: Corpus, rows_R: np.ndarray) -> Iterator[tuple[int, Document]]:
        wanted = dict(zip(self.index.ids_of(rows_R), rows_R.tolist(), strict=True))
        found: dict[int, int] = {}  # row in the corpus -> row in the index
        starts = [0]
        for shard in corpus.shards:
            path = corpus.folder / shard.text.name
            if not path.exists() or checksum_once(path) != shard.text.blake3:
                raise InputError(f"{path}: damaged or gone; run its 'evergrow curate' again first")
            ids = pq.read_table(path, columns=["id"])["id"].to_pylist()
            for row, identity in enumerate(ids, starts[-1]):
                if (place := wanted.pop(identity, None)) is not None:  # of two the first is kept
                    found[row] = place
            starts.append(starts[-1] + len(ids))
        read = documents_at(corpus.folder, corpus.shards, np.array(starts), sorted(found))
        yield from ((found[row], document) for row, document in read)
