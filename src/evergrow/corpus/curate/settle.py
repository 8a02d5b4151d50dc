"""The deciding stage as one unit: decisions, index and card of a corpus, from all its columns.

It is the only stage that sees all documents at once; what it holds of each stands in columns.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from blake3 import blake3

from evergrow.corpus.contamination import Suite, checked
from evergrow.corpus.curate.card import write_card
from evergrow.corpus.curate.config import CorpusConfig
from evergrow.corpus.curate.decide import KEPT, Decided
from evergrow.corpus.curate.earlier import Parent
from evergrow.corpus.curate.index import Index, write_index
from evergrow.corpus.curate.known import Known, learn
from evergrow.corpus.curate.measure import (
    CONTAMINATION,
    Shard,
    groups_of,
    read_signals,
    suites_of,
)
from evergrow.corpus.curate.units import Done, finish, key_of
from evergrow.corpus.curate.unlisted import warnings
from evergrow.corpus.curate.waterfall import duplicates, near_pairs, refuse_nothing, waterfall
from evergrow.corpus.curate.write import write_decisions
from evergrow.corpus.records import Checked, Settled, StoredFile
from evergrow.made import chosen

COMPARED = 2  # raise by hand when near repeats of earlier corpora are found otherwise
WITHOUT_EFFECT = {"against", "executor", "max_epochs", "signals"}  # on what is kept


@dataclass(frozen=True)
class Settle:
    """All decisions of a corpus; ``key`` is the corpus' own."""

    folder: Path
    name: str
    where: str
    config: CorpusConfig
    base: Path
    shards: tuple[Shard, ...]
    parents: tuple[Parent, ...]

    @property
    def label(self) -> str:
        return f"{self.folder}: deciding"

    @property
    def sidecar(self) -> str:
        return "decided.json"

    @property
    def keys(self) -> dict[str, str]:
        """The key of every signal group, by its name."""
        return {name: group.key for name, group in groups_of(self.config, self.base).items()}

    @property
    def key(self) -> str:
        settings = chosen(self.config, WITHOUT_EFFECT)
        shards = [[shard.name, shard.text.blake3] for shard in self.shards]
        compared = [COMPARED] if self.config.near else []
        parents = [[parent.key, parent.index, *compared] for parent in self.parents]
        return key_of("decide", self.name, settings, shards, sorted(self.keys.items()), parents)

    def run(self) -> Done[Settled]:
        """Decide and write it down. Raises InputError when nothing is kept."""
        suites = suites_of(self.config, self.base)
        names = [suite.name for suite in suites]
        known = learn(self.folder, self.shards, self.config, self.keys, names, self.parents)
        decided = known.decide()
        told = waterfall(known.columns, decided)
        refuse_nothing(told, self.where)
        settled = Settled(
            suites=self._checked(suites),
            waterfall=told,
            duplicates=duplicates(known.columns, decided, self.config.sources),
            near=near_pairs(decided, self.config),
            warnings=warnings(known),
            kept=self._kept(known, decided),
        )
        files = [write_decisions(known, number, decided) for number in range(len(self.shards))]
        files.append(self._write_index(known, decided))
        files.append(write_card(known, decided, settled))
        return finish(self.folder, self.sidecar, self.key, files, settled)

    def _kept(self, known: Known, decided: Decided) -> dict[str, str]:
        """By shard a digest of which of its documents stay."""
        bounds = known.columns.starts
        return {
            shard.name: blake3(
                np.packbits(decided.reason_D[bounds[i] : bounds[i + 1]] == KEPT).tobytes()
            ).hexdigest(16)
            for i, shard in enumerate(self.shards)
        }

    def _checked(self, suites: Sequence[Suite]) -> list[Checked]:
        """What is said of each test: its items, and how many documents held one."""
        config = self.config.decontaminate
        if config is None:
            return []
        key = self.keys[CONTAMINATION]
        hits = (
            found
            for shard in self.shards
            for found in read_signals(self.folder, key, shard.name, ["hits"])["hits"].to_pylist()
        )
        return checked(suites, hits, config.n)

    def _write_index(self, known: Known, decided: Decided) -> StoredFile:
        """What the earlier corpora kept, then what this one keeps."""
        columns = known.columns
        rows = np.flatnonzero(decided.reason_D == KEPT)
        near, nothing = columns.near, np.empty((len(rows), 0), np.uint8)
        kept = Index(
            ids_E2=columns.ids_D2[rows],
            hashes_E2=columns.hashes_D2[rows],
            bands_EB=near.bands_DB[rows] if near else nothing.astype(np.uint64),
            signatures_EP=near.signatures_DP[rows] if near else nothing,
            source_E=columns.source_D[rows].astype(np.int32),
            corpus_E=np.zeros(len(rows), np.int32),
            sources=list(self.config.sources),
            corpora=[self.key],
        )
        return write_index(self.folder, [known.earlier, kept])
