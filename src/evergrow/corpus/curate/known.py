"""All that is known of a corpus' documents when it is decided about them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from evergrow.corpus.curate.columns import Columns, Judged, judge_shards, load_columns
from evergrow.corpus.curate.config import CorpusConfig
from evergrow.corpus.curate.decide import Decided, Reason, decide
from evergrow.corpus.curate.earlier import Earlier, Parent, load_earlier
from evergrow.corpus.curate.measure import Shard, all_rules


@dataclass(frozen=True)
class Known:
    """Columns and judgements; ``keys`` holds the key of every signal group, ``double_D`` (bool)
    says which documents have an id that another one had before."""

    folder: Path
    shards: Sequence[Shard]
    config: CorpusConfig
    keys: Mapping[str, str]
    columns: Columns
    judged: Judged
    double_D: np.ndarray
    earlier: Earlier

    def decide(self, without: Reason | None = None, count_any: bool = True) -> Decided:
        """What becomes of every document; ``without`` one reason, all else equal."""
        return decide(
            self.columns, self.judged, self.double_D, self.earlier, self.config, without, count_any
        )


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
    double_D = doubles(folder, shards, columns)
    earlier = load_earlier(parents, config.near)
    return Known(folder, shards, config, keys, columns, judged, double_D, earlier)


def doubles(folder: Path, shards: Sequence[Shard], columns: Columns) -> np.ndarray:
    """bool [D]: True where an earlier document has the same id.

    Parts of one long document share its id and are no doubles: they name the same parent.
    """
    ids_D2 = columns.ids_D2
    order = np.lexsort((ids_D2[:, 1], ids_D2[:, 0]))
    same = np.all(ids_D2[order[1:]] == ids_D2[order[:-1]], axis=1)
    shared = np.unique(np.concatenate([order[1:][same], order[:-1][same]]))
    double_D = np.zeros(len(columns), bool)
    origins: dict[bytes, str] = {}
    parts: set[tuple[bytes, str]] = set()
    for row, text, parent in _origins(folder, shards, columns, shared):
        key, origin = ids_D2[row].tobytes(), parent or text
        if key not in origins:
            origins[key] = origin
        else:
            another = parent is not None and origins[key] == origin and (key, text) not in parts
            double_D[row] = not another
        parts.add((key, text))
    return double_D


def _origins(
    folder: Path, shards: Sequence[Shard], columns: Columns, rows: np.ndarray
) -> Iterator[tuple[int, str, str | None]]:
    """The rows, in order, with the hash of their text and that of the text they were cut from."""
    for number, shard in enumerate(shards):
        first, last = int(columns.starts[number]), int(columns.starts[number + 1])
        mine = rows[(rows >= first) & (rows < last)]
        if len(mine):
            table = pq.read_table(folder / shard.text.name, columns=["content_hash", "parent"])
            texts, parents = table["content_hash"].to_pylist(), table["parent"].to_pylist()
            yield from ((int(row), texts[row - first], parents[row - first]) for row in mine)


def id_text(halves_2: np.ndarray) -> str:
    """A row of ``Columns.ids_D2`` as documents spell it: 32 hex digits."""
    return halves_2.astype("<u8").tobytes().hex()
