"""A finished corpus: its manifest, and its documents in order."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evergrow.config import decode
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.curate.config import CorpusConfig
from evergrow.corpus.curate.earlier import Parent
from evergrow.corpus.curate.index import INDEX
from evergrow.corpus.curate.manifest import FORMAT, MANIFEST, read_manifest
from evergrow.corpus.curate.measure import Shard
from evergrow.corpus.curate.units import Done
from evergrow.corpus.document import Document
from evergrow.corpus.records import (
    CARD,
    Cut,
    Facts,
    Ingested,
    KeptFile,
    Manifest,
    Named,
    ParentRecord,
    Settled,
    ShardFile,
    SourceRecord,
    StoredFile,
    Unknown,
    Written,
)
from evergrow.corpus.table import stored_documents
from evergrow.disk import sealed, write_file
from evergrow.errors import EvergrowError


@dataclass(frozen=True)
class Corpus:
    """A finished corpus in ``folder``; ``manifest`` is what its ``corpus.json`` says."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path) -> "Corpus":
        """Raises InputError when the folder holds no finished corpus, a newer or damaged one."""
        return cls(folder, read_manifest(folder))

    @property
    def key(self) -> str:
        """32 hex digits of all that decides the corpus' bytes."""
        return self.manifest.key

    @property
    def config(self) -> CorpusConfig:
        """The settings it was made with."""
        return decode(CorpusConfig, self.manifest.settings, f"{self.folder / MANIFEST}: settings")

    @property
    def num_documents(self) -> int:
        """How many it keeps."""
        return self.manifest.waterfall.kept.documents

    @property
    def facts(self) -> Facts:
        """What prepared data and releases say of it."""
        told = self.manifest
        parents = [Named(name=parent.name, key=parent.key) for parent in told.parents]
        return Facts(name=told.name, key=told.key, parents=parents, checked_against=told.suites)

    @property
    def shards(self) -> list[Shard]:
        """Every shard of documents, kept and dropped alike, with the file that holds its text."""
        return [Shard(one.shard, one.source, one) for one in self.manifest.documents]

    @property
    def parents(self) -> list[Parent]:
        """The earlier corpora it was compared with, where they are now."""
        return [
            Parent(self.folder / one.folder, one.name, one.key, one.index)
            for one in self.manifest.parents
        ]

    def documents(self) -> Iterator[Document]:
        """The kept documents, edited, in the order of sources, shards and rows.

        Raises EvergrowError for a shard that is not as it was written.
        """
        for file in self.manifest.shards:
            if not file.is_whole(self.folder):
                raise EvergrowError(
                    f"{self.folder / file.name}: damaged or gone; run its 'evergrow curate' again"
                )
            yield from stored_documents(self.folder / file.name)


@dataclass(frozen=True)
class Parts:
    """All that a finished corpus consists of."""

    name: str
    config: CorpusConfig
    sources: Mapping[str, SourceConfig]
    ingested: list[Done[Ingested]]
    shards: list[Shard]
    cut: list[Done[Cut]]
    keys: Mapping[str, str]
    settled: Done[Settled]
    written: list[Done[Written]]
    parents: list[Parent]

    def settled_file(self, name: str) -> StoredFile:
        """A file that the deciding stage wrote."""
        return next(file for file in self.settled.files if file.name == name)


def write_manifest(folder: Path, parts: Parts) -> Corpus:
    """``corpus.json``, written last and only when it says something else than before.

    Its bytes hold no time and no place outside, and do not depend on workers or interruptions.
    """
    settled = parts.settled.counts
    manifest = Manifest(
        format=FORMAT,
        name=parts.name,
        key=parts.settled.key,
        parents=[_parent(folder, parent) for parent in parts.parents],
        settings=parts.config.model_dump(mode="json", exclude={"executor", "max_epochs"}),
        sources={name: _source(parts, name) for name in parts.config.sources},
        signals=dict(parts.keys),
        cut=_cut([done.counts for done in parts.cut]),
        withheld=_counted([done.counts.withheld for done in parts.written]),
        suites=settled.suites,
        waterfall=settled.waterfall,
        duplicates=settled.duplicates,
        near=settled.near,
        warnings=settled.warnings,
        index=parts.settled_file(INDEX),
        card=parts.settled_file(CARD),
        read=[file for done in parts.ingested for file in done.files],
        documents=[ShardFile(shard=s.name, source=s.source, **dict(s.text)) for s in parts.shards],
        shards=[
            KeptFile(source=done.counts.source, **dict(file))
            for done in parts.written
            for file in done.files
        ],
    )
    text = json.dumps(sealed(manifest.model_dump()), indent=1, ensure_ascii=False) + "\n"
    path = folder / MANIFEST
    if not path.exists() or path.read_bytes() != text.encode():
        write_file(path, text)
    return Corpus(folder, manifest)


def _parent(folder: Path, parent: Parent) -> ParentRecord:
    place = Path(os.path.relpath(parent.folder.resolve(), folder.resolve())).as_posix()
    return ParentRecord(name=parent.name, key=parent.key, folder=place, index=parent.index)


def _source(parts: Parts, name: str) -> SourceRecord:
    units = [done.counts for done in parts.ingested if done.counts.source == name]
    documents = sum(unit.documents for unit in units)
    return SourceRecord(
        settings=parts.sources[name].content_settings,
        documents=documents,
        bytes=sum(unit.bytes for unit in units),
        unknown=Unknown(
            date=documents - sum(unit.date for unit in units),
            license=documents - sum(unit.license for unit in units),
        ),
        quarantined=_counted([unit.bad for unit in units]),
        flagged=_counted([unit.flags for unit in units]),
        skipped=_counted([unit.skipped for unit in units]),
        files=[file for unit in units for file in unit.files],
    )


def _cut(units: Sequence[Cut]) -> Cut:
    return Cut(
        pieces=sum(unit.pieces for unit in units),
        bytes=sum(unit.bytes for unit in units),
        code_documents=sum(unit.code_documents for unit in units),
    )


def _counted(units: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """By reason, over all of these units."""
    total: Counter[str] = sum((Counter(counts) for counts in units), Counter())
    return dict(sorted(total.items()))
