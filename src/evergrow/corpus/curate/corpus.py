"""A finished corpus: its manifest, and its documents in order."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evergrow.config import decode
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.curate.config import CorpusConfig
from evergrow.corpus.curate.earlier import FORMAT, MANIFEST, Parent, read_manifest
from evergrow.corpus.curate.measure import Shard
from evergrow.corpus.curate.units import Done, StoredFile
from evergrow.corpus.document import Document
from evergrow.corpus.table import stored_documents
from evergrow.disk import write_file
from evergrow.errors import EvergrowError

COUNTED = ("suites", "waterfall", "duplicates", "near", "warnings")  # by the deciding stage


@dataclass(frozen=True)
class Corpus:
    """A finished corpus in ``folder``; ``manifest`` is what its ``corpus.json`` holds."""

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "Corpus":
        """Raises InputError when the folder holds no finished corpus, a newer or damaged one."""
        return cls(folder, read_manifest(folder))

    @property
    def key(self) -> str:
        """32 hex digits of all that decides the corpus' bytes."""
        return str(self.manifest["key"])

    @property
    def config(self) -> CorpusConfig:
        """The settings it was made with."""
        return decode(
            CorpusConfig, self.manifest["settings"], f"{self.folder / MANIFEST}: settings"
        )

    @property
    def num_documents(self) -> int:
        """How many it keeps."""
        return int(self.manifest["waterfall"]["kept"]["documents"])

    @property
    def facts(self) -> dict[str, Any]:
        """What prepared data and releases say of it: its key, its parents, the tests it was
        searched for."""
        parents = [{"name": p["name"], "key": p["key"]} for p in self.manifest["parents"]]
        made = {"name": self.manifest["name"], "key": self.key, "parents": parents}
        return {**made, "checked_against": self.manifest["suites"]}

    @property
    def shards(self) -> list[Shard]:
        """Every shard of documents, kept and dropped alike, with the file that holds its text."""
        return [
            Shard(one["shard"], one["source"], StoredFile.of(one))
            for one in self.manifest["documents"]
        ]

    @property
    def parents(self) -> list[Parent]:
        """The earlier corpora it was compared with, where they are now."""
        return [
            Parent(self.folder / one["folder"], one["name"], one["key"], one["index"])
            for one in self.manifest["parents"]
        ]

    def documents(self) -> Iterator[Document]:
        """The kept documents, edited, in the order of sources, shards and rows.

        Raises EvergrowError for a shard that is not as it was written.
        """
        for one in self.manifest["shards"]:
            file = StoredFile.of(one)
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
    ingested: list[Done]
    shards: list[Shard]
    cut: list[Done]
    keys: Mapping[str, str]
    settled: Done
    written: list[Done]
    parents: list[Parent]

    def settled_file(self, name: str) -> StoredFile:
        """A file that the deciding stage wrote."""
        return next(file for file in self.settled.files if file.name == name)


def write_manifest(folder: Path, parts: Parts) -> Corpus:
    """``corpus.json``, written last and only when it says something else than before.

    Its bytes hold no time and no place outside, and do not depend on workers or interruptions.
    """
    kept = [(file, done) for done in parts.written for file in done.files]
    counts = parts.settled.counts
    cut: Counter[str] = sum((Counter(done.counts) for done in parts.cut), Counter())
    manifest = {
        "format": FORMAT,
        "name": parts.name,
        "key": parts.settled.key,
        "parents": [_parent(folder, parent) for parent in parts.parents],
        "settings": parts.config.model_dump(mode="json", exclude={"executor", "max_epochs"}),
        "sources": {name: _source(parts, name) for name in parts.config.sources},
        "signals": dict(parts.keys),
        "cut": {name: cut[name] for name in ("pieces", "bytes", "code_documents")},
        "withheld": _counted([done.counts for done in parts.written], "withheld"),
        **{name: counts[name] for name in COUNTED},
        "index": parts.settled_file("index.parquet").record(),
        "card": parts.settled_file("card.json").record(),
        "read": [file.record() for done in parts.ingested for file in done.files],
        "documents": [
            {"shard": s.name, "source": s.source, **s.text.record()} for s in parts.shards
        ],
        "shards": [{"source": done.counts["source"], **file.record()} for file, done in kept],
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    path = folder / MANIFEST
    if not path.exists() or path.read_bytes() != text.encode():
        write_file(path, text)
    return Corpus(folder, json.loads(text))


def _parent(folder: Path, parent: Parent) -> dict[str, str]:
    place = Path(os.path.relpath(parent.folder.resolve(), folder.resolve())).as_posix()
    return {"name": parent.name, "key": parent.key, "folder": place, "index": parent.index}


def _source(parts: Parts, name: str) -> dict[str, Any]:
    done = [unit.counts for unit in parts.ingested if unit.counts["source"] == name]
    totals = {n: sum(counts[n] for counts in done) for n in ("documents", "bytes")}
    known = {n: sum(counts[n] for counts in done) for n in ("date", "license")}
    return {
        "settings": parts.sources[name].content_settings,
        **totals,
        "unknown": {n: totals["documents"] - count for n, count in known.items()},
        "quarantined": _counted(done, "bad"),
        "flagged": _counted(done, "flags"),
        "skipped": _counted(done, "skipped"),
        "files": [file for counts in done for file in counts["files"]],
    }


def _counted(done: Sequence[Mapping[str, Any]], what: str) -> dict[str, int]:
    """By reason, over all of these units."""
    total: Counter[str] = sum((Counter(counts[what]) for counts in done), Counter())
    return dict(sorted(total.items()))
