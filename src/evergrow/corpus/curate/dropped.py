"""The documents that one rule dropped."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from evergrow.config import nearest
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.measure import Shard
from evergrow.corpus.curate.whole import decided_files, refuse_changed
from evergrow.corpus.curate.write import decisions_file
from evergrow.errors import InputError


@dataclass(frozen=True)
class DroppedDocument:
    """The value and the threshold it broke, the partner of a repeat, and where it comes from."""

    id: str
    value: float | None
    threshold: float | None
    partner: str | None
    source: str
    path: str
    key: str


@dataclass(frozen=True)
class Dropped:
    """What a rule dropped first: how many, and some of them in the order of the corpus."""

    rule: str
    num_documents: int
    documents: list[DroppedDocument]


def dropped_by(corpus: Corpus, rule: str, limit: int) -> Dropped:
    """What ``rule`` dropped, with at most ``limit`` documents told.

    Raises InputError for a rule that the corpus did not ask, and when it changed since it was
    finished.
    """
    asked = [step.rule for step in corpus.manifest.waterfall.steps]
    if rule not in asked:
        raise InputError(
            f"{corpus.folder}: no rule of this corpus is called {rule!r}; "
            f"{nearest(rule, asked, 'rules')}"
        )
    refuse_changed(corpus, decided_files(corpus), quick=True)
    documents: list[DroppedDocument] = []
    num_documents = 0
    for shard in corpus.shards:
        decisions = pq.read_table(corpus.folder / decisions_file(shard))
        rows = np.flatnonzero([one == rule for one in decisions["rule"].to_pylist()])
        num_documents += len(rows)
        documents += _listed(corpus, shard, decisions, rows[: limit - len(documents)])
    return Dropped(rule, num_documents, documents)


def _listed(
    corpus: Corpus, shard: Shard, decisions: pa.Table, rows: np.ndarray
) -> list[DroppedDocument]:
    """Some documents of a shard."""
    if not len(rows):
        return []
    refuse_changed(corpus, [shard.text], quick=True)
    origin = pq.read_table(corpus.folder / shard.text.name, columns=["source", "path", "key"])
    fates = decisions.select(["id", "value", "threshold", "partner"]).take(rows).to_pylist()
    origins = origin.take(rows).to_pylist()
    return [DroppedDocument(**fate, **of) for fate, of in zip(fates, origins, strict=True)]
