"""Whom a document repeats, and who repeats it."""

from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.find import Place, document_at, fate_at, find_documents
from evergrow.corpus.curate.manifest import MANIFEST
from evergrow.corpus.curate.measure import MINHASH, read_signals
from evergrow.corpus.curate.whole import decided_files, refuse_changed
from evergrow.corpus.curate.write import Fate, decisions_file
from evergrow.corpus.duplicates.signatures import jaccard, shingles, similarities


@dataclass(frozen=True)
class Partner:
    """The document that another one repeats, how alike they are by their texts and as their
    signatures estimate it, and what became of that one.

    All None but ``id`` and ``corpus``, its corpus' key, when it is not there any more.
    """

    id: str
    corpus: str
    path: str | None = None
    key: str | None = None
    source: str | None = None
    kept: bool | None = None
    rule: str | None = None
    similarity: float | None = None
    estimate: float | None = None


@dataclass(frozen=True)
class Repeat:
    """A document that was dropped because of another one."""

    id: str
    stage: str


def partner_of(corpus: Corpus, place: Place, fate: Fate) -> Partner | None:
    """The document that this one repeats, if it does."""
    if fate.partner is None:
        return None
    key = fate.partner_corpus
    home = corpus if key is None else _corpus_of(corpus, key)
    places = find_documents(home, fate.partner) if home else []
    if home is None or not places:
        return Partner(fate.partner, key or corpus.key)
    document, its_fate = document_at(home, places[0]), fate_at(home, places[0])
    return Partner(
        id=fate.partner,
        corpus=key or corpus.key,
        path=document.path,
        key=document.key,
        source=document.source,
        kept=its_fate.keep,
        rule=its_fate.rule,
        similarity=_similarity(corpus, place, home, places, fate.stage),
        estimate=_estimate(corpus, place, home, places) if fate.stage == "near" else None,
    )


def _corpus_of(corpus: Corpus, key: str) -> Corpus | None:
    """The corpus of this key among the parents and theirs; None when it is not there any more."""
    for parent in corpus.parents:
        if (parent.folder / MANIFEST).exists():
            other = Corpus.open(parent.folder)
            if (found := other if other.key == key else _corpus_of(other, key)) is not None:
                return found
    return None


def _similarity(
    corpus: Corpus, place: Place, home: Corpus, places: list[Place], stage: str | None
) -> float:
    """1 for the same text, else the share of shingles that both texts have, of the best part."""
    near = corpus.config.near
    if stage == "exact" or near is None:
        return 1.0
    mine, *theirs = (
        shingles(document_at(where, p).text, near.shingle)
        for where, p in [(corpus, place), *((home, p) for p in places)]
    )
    return max(jaccard(mine, other) for other in theirs)


def _estimate(corpus: Corpus, place: Place, home: Corpus, places: list[Place]) -> float | None:
    """What signatures say of the best part; None where the other corpus has none."""
    mine = _signature(corpus, place)
    theirs = [found for p in places if (found := _signature(home, p)) is not None]
    if mine is None or not theirs:
        return None
    return float(similarities(mine, np.stack(theirs)).max())


def _signature(corpus: Corpus, place: Place) -> np.ndarray | None:
    key = corpus.manifest.signals.get(MINHASH)
    if key is None:
        return None
    column = read_signals(corpus.folder, key, place.shard.name, ["signature"])["signature"]
    data = column[place.row].as_py()
    return None if data is None else np.frombuffer(data, np.uint8)


def repeats_of(corpus: Corpus, place: Place) -> list[Repeat]:
    """The documents of the same corpus that were dropped because of this one."""
    refuse_changed(corpus, decided_files(corpus), quick=True)
    found = []
    for shard in corpus.shards:
        table = pq.read_table(
            corpus.folder / decisions_file(shard),
            columns=["id", "stage", "partner_corpus"],
            filters=[("partner", "==", place.id)],
        )
        rows = (row for row in table.to_pylist() if row["partner_corpus"] is None)
        found += [Repeat(row["id"], row["stage"]) for row in rows]
    return found
