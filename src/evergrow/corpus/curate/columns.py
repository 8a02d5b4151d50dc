"""What deciding needs of every document, as arrays: no text.

Letters in array names: D documents, R rules, B bands, P permutations, S suites. With what is
decided a document costs 65 bytes and 1 a suite; to find near duplicates 8 more, 8 a band and 1 a
permutation (297 with 14 bands of 112), and about 60 while it works. One shard's signals are in
memory at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from evergrow.corpus.contamination import hits_in
from evergrow.corpus.curate.config import CorpusConfig, NearConfig
from evergrow.corpus.curate.measure import (
    CONTAMINATION,
    FACTS,
    MINHASH,
    Shard,
    groups_needed,
    read_signals,
)
from evergrow.corpus.duplicates.clusters import digest_halves
from evergrow.corpus.duplicates.signatures import bands_of, signatures_of
from evergrow.corpus.policies.rule import Rule, judge
from evergrow.errors import EvergrowError

PASSED, SEVERAL = -1, -2  # instead of the number of a rule


@dataclass(frozen=True)
class Columns:
    """Every document of a corpus, in order.

    starts        int64 [shards + 1]: the first row of each shard
    ids_D2        uint64: the id's 128 bits; hashes_D2 the same of the text as kept
    bytes_D       as read; kept_bytes_D as kept, after edits
    source_D      the place of its source in the corpus' sources
    near          what near duplicates are found by; None without them
    contaminated_DS  bool: it holds an item of the suite
    dates         as the data spells them, only when they decide which duplicate stays
    """

    shards: list[str]
    starts: np.ndarray
    ids_D2: np.ndarray
    hashes_D2: np.ndarray
    bytes_D: np.ndarray
    kept_bytes_D: np.ndarray
    source_D: np.ndarray
    near: "NearColumns | None"
    contaminated_DS: np.ndarray
    suites: list[str]
    dates: list[str | None] | None

    def __len__(self) -> int:
        return int(self.starts[-1])


@dataclass(frozen=True)
class NearColumns:
    """bands_DB uint64 and signatures_DP uint8, zeros for a text shorter than a shingle; and
    characters_D int64, the length of what a text says."""

    bands_DB: np.ndarray
    signatures_DP: np.ndarray
    characters_D: np.ndarray

    @classmethod
    def room_for(cls, num: int, near: NearConfig) -> "NearColumns":
        """Of ``num`` documents that are yet to be filled in."""
        return cls(
            np.empty((num, near.bands), np.uint64),
            np.empty((num, near.permutations), np.uint8),
            np.empty(num, np.int64),
        )

    def fill(self, rows: slice, table: pa.Table) -> None:
        """Take the rows of a shard from its MinHash columns."""
        self.bands_DB[rows] = bands_of(table["bands"])
        self.signatures_DP[rows] = signatures_of(table["signature"])
        self.characters_D[rows] = table["characters"].to_numpy()


@dataclass(frozen=True)
class Judged:
    """What the rules say of every document: the number of the first it fails, and of the only one.

    first_D, only_D   int16: PASSED when it fails none; only_D is SEVERAL when it fails more
    any_documents, any_bytes  by rule: how many documents fail it, whatever else they fail
    """

    rules: list[Rule]
    first_D: np.ndarray
    only_D: np.ndarray
    any_documents: np.ndarray
    any_bytes: np.ndarray


def load_columns(
    folder: Path,
    shards: Sequence[Shard],
    keys: Mapping[str, str],
    config: CorpusConfig,
    suites: Sequence[str],
) -> Columns:
    """Read what decisions need of every shard, one after another.

    ``keys`` holds the key of every signal group by its name.
    """
    starts = np.cumsum([0, *(shard.text.rows for shard in shards)])
    num = int(starts[-1])
    near = config.near
    columns = Columns(
        shards=[shard.name for shard in shards],
        starts=starts,
        ids_D2=np.empty((num, 2), np.uint64),
        hashes_D2=np.empty((num, 2), np.uint64),
        bytes_D=np.empty(num, np.int64),
        kept_bytes_D=np.empty(num, np.int64),
        source_D=np.empty(num, np.int16),
        near=None if near is None else NearColumns.room_for(num, near),
        contaminated_DS=np.zeros((num, len(suites)), bool),
        suites=list(suites),
        dates=[] if near is not None and near.keep == "newest" else None,
    )
    for number, shard in enumerate(shards):
        rows = slice(int(starts[number]), int(starts[number + 1]))
        columns.source_D[rows] = config.sources.index(shard.source)
        _fill(columns, rows, folder, shard, keys)
    return columns


def _fill(
    columns: Columns, rows: slice, folder: Path, shard: Shard, keys: Mapping[str, str]
) -> None:
    wanted = ["id", "date"] if columns.dates is not None else ["id"]
    origin = pq.read_table(folder / shard.text.name, columns=wanted)
    ids = origin["id"].to_pylist()
    table = read_signals(
        folder, keys[FACTS], shard.name, ["id", "num_bytes", "kept_bytes", "kept_hash"]
    )
    if table["id"].to_pylist() != ids:
        raise EvergrowError(
            f"{folder}: the signals of {shard.name} belong to other documents; delete "
            f"{folder / 'signals'} and curate again"
        )
    columns.ids_D2[rows] = digest_halves(ids)
    columns.hashes_D2[rows] = digest_halves(
        [digest.hex() for digest in table["kept_hash"].to_pylist()]
    )
    columns.bytes_D[rows] = table["num_bytes"].to_numpy()
    columns.kept_bytes_D[rows] = table["kept_bytes"].to_numpy()
    if columns.dates is not None:
        columns.dates.extend(origin["date"].to_pylist())
    if columns.near is not None:
        columns.near.fill(rows, read_signals(folder, keys[MINHASH], shard.name))
    if CONTAMINATION in keys:
        hits = read_signals(folder, keys[CONTAMINATION], shard.name, ["hits"])["hits"]
        for row, found in enumerate(hits.to_pylist()):
            for hit in hits_in(found):
                columns.contaminated_DS[rows.start + row, columns.suites.index(hit.suite)] = True


def signal_columns(
    folder: Path, shard: Shard, keys: Mapping[str, str], rules: Sequence[Rule]
) -> dict[str, np.ndarray]:
    """``<group>.<field>`` to a shard's values, for all that ``rules`` look at."""
    signals = {"facts.num_bytes"}.union(*(rule.signals for rule in rules))
    found: dict[str, np.ndarray] = {}
    for name in sorted(groups_needed(rules) | {FACTS}):
        fields = sorted(s.partition(".")[2] for s in signals if s.partition(".")[0] == name)
        table = read_signals(folder, keys[name], shard.name, fields)
        found |= {f"{name}.{field}": _values(table[field]) for field in fields}
    return found


def _values(column: pa.ChunkedArray) -> np.ndarray:
    return column.to_numpy(zero_copy_only=False)


def judge_shards(
    folder: Path,
    shards: Sequence[Shard],
    keys: Mapping[str, str],
    rules: Sequence[Rule],
) -> Judged:
    """Ask all rules about all documents, a shard at a time."""
    firsts, onlys = [np.empty(0, np.int16)], [np.empty(0, np.int16)]
    documents, num_bytes = np.zeros(len(rules), np.int64), np.zeros(len(rules), np.int64)
    for shard in shards:
        columns = signal_columns(folder, shard, keys, rules)
        fails_DR = judge(columns, rules)
        counts_D, first_D = fails_DR.sum(axis=1), fails_DR.argmax(axis=1)
        firsts.append(np.where(counts_D == 0, PASSED, first_D).astype(np.int16))
        only_D = np.where(counts_D == 1, first_D, np.where(counts_D == 0, PASSED, SEVERAL))
        onlys.append(only_D.astype(np.int16))
        documents += fails_DR.sum(axis=0)
        num_bytes += columns["facts.num_bytes"] @ fails_DR
    return Judged(list(rules), np.concatenate(firsts), np.concatenate(onlys), documents, num_bytes)


def text_signals(
    folder: Path, shard: Shard, keys: Mapping[str, str], signal: str
) -> list[str | None] | None:
    """A shard's values of a signal that is a word; None when its group was not measured."""
    group, _, field = signal.partition(".")
    if group not in keys:
        return None
    return read_signals(folder, keys[group], shard.name, [field])[field].to_pylist()
