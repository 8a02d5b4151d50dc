"""A corpus carried out: ingest, lines, measure, decide, write; what is done already is skipped."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from evergrow.config import Record
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.curate.config import CorpusConfig
from evergrow.corpus.curate.corpus import Corpus, Parts, write_manifest
from evergrow.corpus.curate.earlier import Parent, parent_at
from evergrow.corpus.curate.executor import Executor, Task
from evergrow.corpus.curate.ingest import Ingest, plan_ingest, refuse_bad
from evergrow.corpus.curate.lines import HashPieces, plan_cut, plan_merge
from evergrow.corpus.curate.manifest import MANIFEST
from evergrow.corpus.curate.measure import (
    FACTS,
    Measure,
    Shard,
    groups_of,
    measured,
    signals_file,
)
from evergrow.corpus.curate.settle import Settle
from evergrow.corpus.curate.units import Counts, Done, finished, remove_others
from evergrow.corpus.curate.whole import is_whole
from evergrow.corpus.curate.write import Write
from evergrow.corpus.records import Cut, Ingested, Settled, Written
from evergrow.corpus.signals.group import SignalGroup
from evergrow.disk import write_file
from evergrow.errors import InputError

Tell = Callable[[str, int, int], None]  # stage, units done, units in all


class _Unit(Task, Protocol):
    @property
    def sidecar(self) -> str: ...

    @property
    def key(self) -> str: ...


@dataclass(frozen=True)
class Order:
    """A corpus to be made: where, of what, beside which earlier ones.

    folder  of the corpus; base: where relative paths of sources and suites start
    where   the recipe's key that asks for it, for errors
    kept    by folder below it, the files that are this corpus'; the others go when it is finished
    """

    folder: Path
    name: str
    where: str
    config: CorpusConfig
    sources: Mapping[str, SourceConfig]
    base: Path
    earlier: Sequence[Path]
    executor: Executor
    tell: Tell
    kept: dict[str, list[str]] = field(default_factory=dict)

    def begin(self) -> None:
        """From here on files are replaced, so the folder holds no finished corpus any more."""
        (self.folder / MANIFEST).unlink(missing_ok=True)

    def carry_out(self, stage: str, tasks: Sequence[Task]) -> list[Any]:
        """Results of tasks, in order, by this order's executor."""
        if tasks:
            self.begin()
            self.tell(stage, 0, len(tasks))
        return self.executor.run(tasks, lambda done: self.tell(stage, done, len(tasks)))

    def finish(
        self, stage: str, tasks: Sequence[_Unit], counted: type[Counts]
    ) -> list[Done[Counts]]:
        """Every unit done: as it was found, or carried out now."""
        found = [finished(self.folder, task.sidecar, task.key, counted) for task in tasks]
        return self.finish_missing(stage, tasks, found)

    def finish_missing(
        self, stage: str, tasks: Sequence[_Unit], found: Sequence[Done[Counts] | None]
    ) -> list[Done[Counts]]:
        """Every unit done, those carried out now that were not ``found``."""
        missing = [task for task, done in zip(tasks, found, strict=True) if done is None]
        made = iter(self.carry_out(stage, missing))
        return [done or next(made) for done in found]

    def keep_only(self, below: str, done: Sequence[Done[Any]], sidecars: Sequence[str]) -> None:
        """Of a folder of the corpus only these files are its own."""
        self.kept[below] = [*sidecars, *(f.name for d in done for f in d.files)]

    def remove_others(self) -> None:
        """Delete what other settings left; only when the manifest is written, which needs none."""
        for below, names in self.kept.items():
            remove_others(self.folder, below, names)


def curate_corpus(order: Order) -> Corpus:
    """Carry out every stage that is not done.

    Before the first file is replaced the manifest goes, so that a finished corpus is never a
    mixture, wherever this is killed; when it is refused with all files as they were, it comes back.

    Raises InputError for what is wrong about sources, suites or earlier corpora, and when nothing
    is kept; EvergrowError for a full disk or a process that died.
    """
    with _put_back(order.folder):
        corpus = write_manifest(order.folder, _carried_out(order))
    order.remove_others()
    return corpus


@contextmanager
def _put_back(folder: Path) -> Iterator[None]:
    """After a refusal the manifest of before, when every file that it depends on is as it was."""
    path = folder / MANIFEST
    before = path.read_bytes() if path.exists() else None
    try:
        yield
    except InputError:
        if before is not None and not path.exists() and is_whole(folder, before):
            write_file(path, before)
        raise


def _carried_out(order: Order) -> Parts:
    """All stages."""
    parents = [parent_at(path, order.config.near) for path in order.earlier]
    groups = groups_of(order.config, order.base)
    ingested, shards = _ingest(order)
    cut: list[Done[Cut]] = []
    if order.config.exact is not None and order.config.exact.unit != "document":
        shards, cut = _cut(order, shards)
    else:
        order.keep_only("pieces", [], [])
        order.keep_only("lines", [], [])
    _measure(order, shards, groups)
    settled = _settle(order, shards, parents)
    written = _write(order, shards, settled, groups[FACTS].key)
    return Parts(
        name=order.name,
        config=order.config,
        sources=order.sources,
        ingested=ingested,
        shards=shards,
        cut=cut,
        keys={name: group.key for name, group in groups.items()},
        settled=settled,
        written=written,
        parents=parents,
    )


def _ingest(order: Order) -> tuple[list[Done[Ingested]], list[Shard]]:
    tasks: list[Ingest] = []
    for name in order.config.sources:
        source, config = order.sources[name], order.config
        tasks += plan_ingest(
            order.folder, name, source, order.base, config.shard_bytes, config.as_of
        )
    found = [task.finished(order.base) for task in tasks]
    done = order.finish_missing("ingest", tasks, found)
    for below in ("documents", "quarantine"):
        order.keep_only(below, done, [task.sidecar for task in tasks])
    refuse_bad(order.folder, done, order.sources)
    shards = [
        Shard(Path(file.name).stem, task.source, file)
        for task, unit in zip(tasks, done, strict=True)
        for file in unit.files
        if file.name.startswith("documents/")
    ]
    if not shards:
        raise InputError(f"{order.where}: its files hold no document; check them")
    return done, shards


def _cut(order: Order, shards: list[Shard]) -> tuple[list[Shard], list[Done[Cut]]]:
    """The shards without repeated lines or paragraphs."""
    exact = order.config.exact
    assert exact is not None
    hashing = [HashPieces(order.folder, shard, order.config, order.base) for shard in shards]
    hashed = order.finish(f"{exact.unit}s", hashing, Record)
    merging = plan_merge(order.folder, hashed)
    merged = order.finish("merge", merging, Record)
    sidecars = [task.sidecar for task in (*hashing, *merging)]
    order.keep_only("pieces", [*hashed, *merged], sidecars)
    cutting = plan_cut(order.folder, shards, hashed, merged, exact)
    cut = order.finish("cut", cutting, Cut)
    order.keep_only("lines", cut, [task.sidecar for task in cutting])
    after = [
        Shard(shard.name, shard.source, done.files[0])
        for shard, done in zip(shards, cut, strict=True)
    ]
    return after, cut


def _measure(order: Order, shards: Sequence[Shard], groups: Mapping[str, SignalGroup]) -> None:
    """Every signal group of every shard; the stale groups of a shard in one pass."""
    tasks = []
    for shard in shards:
        stale = [n for n, g in groups.items() if measured(order.folder, g, shard) is None]
        if stale:
            tasks.append(Measure(order.folder, shard, tuple(stale), order.config, order.base))
    order.carry_out("measure", tasks)
    wanted = [signals_file(g.key, s.name) for g in groups.values() for s in shards]
    sidecars = [name.removesuffix(".parquet") + ".json" for name in wanted]
    order.keep_only("signals", [], [*wanted, *sidecars])


def _settle(order: Order, shards: Sequence[Shard], parents: Sequence[Parent]) -> Done[Settled]:
    settle = Settle(
        folder=order.folder,
        name=order.name,
        where=order.where,
        config=order.config,
        base=order.base,
        shards=tuple(shards),
        parents=tuple(parents),
    )
    settled = finished(order.folder, settle.sidecar, settle.key, Settled)
    if settled is None:
        order.begin()
        order.tell("decide", 0, 1)
        settled = settle.run()  # here, since it alone sees everything
        order.tell("decide", 1, 1)
    order.keep_only("decisions", [settled], [])
    return settled


def _write(
    order: Order, shards: Sequence[Shard], settled: Done[Settled], facts_key: str
) -> list[Done[Written]]:
    decisions = {Path(file.name).stem: file for file in settled.files}
    edits = tuple(order.config.policy.edits)
    kept = settled.counts.kept
    tasks = [
        Write(order.folder, s, decisions[s.name], kept[s.name], edits, facts_key) for s in shards
    ]
    written = order.finish("write", tasks, Written)
    order.keep_only("kept", written, [task.sidecar for task in tasks])
    return written
