"""All that is known of a corpus' documents when it is decided about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from evergrow.corpus.curate.columns import Columns, Judged, judge_shards, load_columns
from evergrow.corpus.curate.config import CorpusConfig
from evergrow.corpus.curate.decide import Decided, Reason, decide
from evergrow.corpus.curate.earlier import Parent
from evergrow.corpus.curate.earlier_texts import EarlierTexts
from evergrow.corpus.curate.index import Index, load_index
from evergrow.corpus.curate.measure import Shard, all_rules
from evergrow.corpus.curate.texts import Compared, documents_at
from evergrow.corpus.duplicates.clusters import doubles


@dataclass(frozen=True)
class Known:
    """Columns and judgements; ``keys`` holds the key of every signal group, ``double_D`` (bool)
    says which documents have an id that another one had before, ``compared`` how similar pairs of
    texts are that were looked at."""

    folder: Path
    shards: Sequence[Shard]
    config: CorpusConfig
    keys: Mapping[str, str]
    columns: Columns
    judged: Judged
    double_D: np.ndarray
    earlier: Index
    compared: Compared

    def decide(self, without: Reason | None = None, count_any: bool = True) -> Decided:
        """What becomes of every document; ``without`` one reason, all else equal."""
        found = (self.columns, self.judged, self.double_D, self.earlier, self.compared)
        return decide(*found, self.config, without, count_any)


def learn(
    folder: Path,
    shards: Sequence[Shard],
    config: CorpusConfig,
    keys: Mapping[str, str],
    suites: Sequence[str],
    parents: Sequence[Parent],
) -> Known:
    """Read the columns of all shards and ask the policy's rules of them."""
    columns = load_columns(folder, shards, keys, config, suites)
    judged = judge_shards(folder, shards, keys, all_rules(config))
    double_D = doubles(columns.ids_D2)
    earlier = load_index([parent.folder for parent in parents], config.near)
    read = partial(documents_at, folder, shards, columns.starts)
    before = EarlierTexts([parent.folder for parent in parents], earlier).read
    compared = Compared(read, config.near.shingle if config.near else 1, len(earlier), before)
    return Known(folder, shards, config, keys, columns, judged, double_D, earlier, compared)


def id_text(halves_2: np.ndarray) -> str:
    """A row of ``Columns.ids_D2`` as documents spell it: 32 hex digits."""
    return halves_2.astype("<u8").tobytes().hex()
