"""The measuring stage: every stale signal group of a shard, its documents split into words once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from evergrow.config import Record, nearest
from evergrow.corpus.contamination import Suite, contamination, load_suite
from evergrow.corpus.curate.config import CorpusConfig
from evergrow.corpus.curate.earlier import group_of
from evergrow.corpus.curate.units import Done, finish, finished, key_of, write_table
from evergrow.corpus.document import Document
from evergrow.corpus.duplicates.signatures import NAME as MINHASH
from evergrow.corpus.edits import VERSION as EDITS_VERSION
from evergrow.corpus.edits import edit
from evergrow.corpus.policies import rules_of
from evergrow.corpus.policies.rule import Rule
from evergrow.corpus.records import StoredFile
from evergrow.corpus.signals import GROUPS, measure_documents
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.signals.programming import PROGRAMMING
from evergrow.corpus.table import stored_documents
from evergrow.corpus.words import Words
from evergrow.errors import InputError

FACTS, CONTAMINATION = "facts", "contamination"
BLANK = Rule("text.blank", "facts.blank", "nothing but white space is left of the text", high=0)


@dataclass(frozen=True)
class Shard:
    """A shard of a source's documents; ``text`` is the file that holds their text now."""

    name: str
    source: str
    text: StoredFile


def facts(edits: Sequence[str]) -> SignalGroup:
    """What every decision needs: sizes as read and as kept, and the hash of the text as kept.

    So the text after the policy's edits decides what repeats, and it is edited here once and again
    when it is written.
    """

    def compute(document: Document, words: Words) -> tuple[int, int, bytes, int]:
        kept, _ = edit(document, edits)
        digest = bytes.fromhex(kept.content_hash[:32])
        return document.num_bytes, kept.num_bytes, digest, int(not kept.text.strip())

    fields = {
        "num_bytes": pa.int64(),
        "kept_bytes": pa.int64(),
        "kept_hash": pa.binary(16),
        "blank": pa.int8(),
    }
    return SignalGroup(FACTS, 1, fields, compute, {"edits": list(edits), "version": EDITS_VERSION})


def all_rules(config: CorpusConfig) -> list[Rule]:
    """The corpus' rules in the order in which they are asked; blank text fails the first."""
    return [BLANK, *rules_of(config.policy)]


def groups_needed(rules: Sequence[Rule]) -> set[str]:
    """The names of the signal groups that ``rules`` look at."""
    return {signal.partition(".")[0] for rule in rules for signal in rule.signals}


def groups_of(config: CorpusConfig, base: Path) -> dict[str, SignalGroup]:
    """The signal groups of a corpus by name; raises InputError for an unknown one, a bad suite."""
    return dict(_groups_of(config.model_dump_json(), base))


@lru_cache(maxsize=4)
def _groups_of(config_json: str, base: Path) -> dict[str, SignalGroup]:
    config = CorpusConfig.model_validate_json(config_json)
    if unknown := next((name for name in config.signals if name not in GROUPS), None):
        raise InputError(
            f"signals: no signal group is called {unknown!r}; {nearest(unknown, GROUPS, 'groups')}"
        )
    wanted = {PROGRAMMING.name, *config.signals, *groups_needed(all_rules(config))}
    groups = {FACTS: facts(config.policy.edits)}
    groups |= {name: group for name, group in GROUPS.items() if name in wanted}
    if config.near is not None:
        groups[MINHASH] = group_of(config.near)
    if config.decontaminate is not None:
        groups[CONTAMINATION] = contamination(suites_of(config, base), config.decontaminate.n)
    return groups


def suites_of(config: CorpusConfig, base: Path) -> list[Suite]:
    """The tests to check against. Raises InputError for one that is missing or broken."""
    wanted = config.decontaminate.suites if config.decontaminate else []
    return [load_suite(suite, base) for suite in wanted]


def signals_file(key: str, shard: str) -> str:
    """Where the columns of the group of this key for a shard stand in the corpus' folder."""
    return f"signals/{key}/{shard}.parquet"


@dataclass(frozen=True)
class Measure:
    """The stale groups of one shard."""

    folder: Path
    shard: Shard
    stale: tuple[str, ...]
    config: CorpusConfig
    base: Path

    @property
    def label(self) -> str:
        return f"{self.folder}: measuring {self.shard.name}"

    def run(self) -> dict[str, Done[Record]]:
        """By group name, what was written."""
        known = groups_of(self.config, self.base)
        groups = [known[name] for name in self.stale]
        documents = list(stored_documents(self.folder / self.shard.text.name))
        tables = measure_documents(documents, groups)
        return {group.name: self._store(group, tables[group.name]) for group in groups}

    def _store(self, group: SignalGroup, table: pa.Table) -> Done[Record]:
        stored = write_table(self.folder, signals_file(group.key, self.shard.name), table)
        sidecar, key = measured_as(group, self.shard)
        return finish(self.folder, sidecar, key, [stored], Record())


def measured_as(group: SignalGroup, shard: Shard) -> tuple[str, str]:
    """The sidecar and the key of a group of a shard."""
    sidecar = signals_file(group.key, shard.name).removesuffix(".parquet") + ".json"
    return sidecar, key_of("measure", group.key, shard.text.blake3)


def measured(folder: Path, group: SignalGroup, shard: Shard) -> Done[Record] | None:
    """A group of a shard when it is measured already."""
    return finished(folder, *measured_as(group, shard), Record)


def read_signals(
    folder: Path, key: str, shard: str, fields: Sequence[str] | None = None
) -> pa.Table:
    """Columns of the group of this key for a shard, a row a document; all without ``fields``."""
    columns = None if fields is None else list(fields)
    return pq.read_table(folder / signals_file(key, shard), columns=columns)
