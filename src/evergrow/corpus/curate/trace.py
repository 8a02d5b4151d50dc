"""Where a document went: the corpora that keep it and the runs whose data holds it."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.find import MAX_FOUND, is_beginning
from evergrow.corpus.curate.manifest import read_manifest
from evergrow.corpus.document import document_id
from evergrow.errors import EvergrowError, InputError
from evergrow.run import Run

UNREADABLE = (EvergrowError, OSError, ValueError, KeyError, TypeError, pa.ArrowException)
Read = TypeVar("Read")


@dataclass(frozen=True)
class InCorpus:
    """A corpus that keeps a document, found ``by`` its id, or its text under another one."""

    folder: str
    name: str
    key: str
    by: str = ""


@dataclass(frozen=True)
class InRun:
    """A part of a Run's data that holds a document, the stages that read it, and the same."""

    run: str
    source: str
    part: str
    stages: list[str]
    by: str = ""


Holder = TypeVar("Holder", InCorpus, InRun)


@dataclass(frozen=True)
class Held(Generic[Holder]):
    """A table of documents, the sources they may be of, and what is told when it has the one."""

    path: Path
    sources: tuple[str, ...]
    told: tuple[Holder, ...]


@dataclass(frozen=True)
class Elsewhere:
    """A document that others hold: the corpora that keep it, the Runs that were given it."""

    id: str
    source: str | None
    path: str | None
    corpora: list[InCorpus]
    runs: list[InRun]


@dataclass(frozen=True)
class Unreadable:
    """What could not be looked at, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Looked:
    """How much was looked through below ``folder``, and what could not be."""

    folder: str
    corpora: int
    runs: int
    unreadable: list[Unreadable]


@dataclass
class Shelves:
    """All that may hold a document: the tables of corpora, and of data with the runs that read it.

    What is damaged is no reason to say nothing of the rest: it stands in ``unreadable``.
    """

    runs: Path
    corpora: list[list[Held[InCorpus]]] = field(default_factory=list)
    data: list[Held[InRun]] = field(default_factory=list)
    num_runs: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)

    @classmethod
    def below(cls, runs: Path, corpus: Corpus) -> "Shelves":
        """Of every recipe below a folder, and of ``corpus`` and its recipe wherever they are.

        Raises InputError when there is no such folder.
        """
        if not runs.is_dir():
            raise InputError(
                f"{runs}: no such folder, so nothing can be said of the corpora and runs in it; "
                "give the one that holds yours with --runs"
            )
        shelves = cls(runs)
        own = corpus.folder.parent.parent
        for folder in _once([corpus.folder, *own.glob("corpora/*/"), *runs.glob("*/corpora/*/")]):
            if (held := shelves._look(folder, _corpus_tables)) is not None:
                shelves.corpora.append(held)
        for data in _once([*own.glob("data/"), *runs.glob("*/data/")]):
            shelves._take_data(data.parent)
        return shelves

    def _take_data(self, root: Path) -> None:
        """The tables of a recipe's data, each with the Runs that read it."""
        places = sorted([*root.glob("*/manifest.json"), *root.glob("*/seed-*/manifest.json")])
        runs = [run for path in places if (run := self._look(path.parent, Run)) is not None]
        self.num_runs += len(runs)
        for table in sorted(root.glob("data/*/*/documents.parquet")):
            told = self._look(table.parent.parent, lambda f, t=table: _data_table(t, f, root, runs))
            if told is not None:
                self.data.append(told)

    def _look(self, path: Path, read: Callable[[Path], Read]) -> Read | None:
        """What is read there; None, with the reason written down, when that cannot be."""
        try:
            return read(path)
        except UNREADABLE as error:
            said = str(error).partition("\n")[0]
            told = said if isinstance(error, EvergrowError) else f"damaged or gone ({said})"
            self.unreadable[str(path)] = told
            return None

    def trace(self, identity: str, texts: set[str]) -> tuple[list[InCorpus], list[InRun]]:
        """The corpora that keep the document, and the parts of data that hold it.

        ``texts`` are hashes of its text, as read and as kept: a copy under another id counts, too,
        and says so. Documents of data made before they had ids are found by their text.
        """
        corpora = [told for tables in self.corpora for told in self._first(tables, identity, texts)]
        runs = [told for held in self.data for told in self._first([held], identity, texts)]
        return corpora, runs

    def _first(
        self, tables: Iterable[Held[Holder]], identity: str, texts: set[str]
    ) -> Iterator[Holder]:
        """What is told of the first of the tables that holds the document."""
        for held in tables:
            if by := self._look(held.path, lambda path: _holds(path, identity, texts)):
                yield from (replace(told, by=by) for told in held.told)
                return

    def find(self, wanted: str) -> list[Elsewhere]:
        """The documents of this id, beginning of an id, key or path that somebody holds, traced.

        Raises InputError when they are too many.
        """
        tables = [*(held for tables in self.corpora for held in tables), *self.data]
        ids = {wanted, *(document_id(s, wanted) for held in tables for s in held.sources)}
        origins: dict[str, tuple[str | None, str | None]] = {}
        texts: dict[str, set[str]] = {}
        for held in tables:
            for row in self._look(held.path, lambda path: _rows(path, wanted, ids)) or []:
                source, path = origins.get(row["id"], (None, None))
                origins[row["id"]] = row.get("source") or source, row.get("path") or path
                hashes = {row[name] for name in ("content_hash", "parent") if row[name]}
                texts.setdefault(row["id"], set()).update(hashes)
        if len(origins) > MAX_FOUND:
            raise InputError(
                f"{wanted!r}: names {len(origins):,} documents that others hold and the corpus "
                f"does not; name one of them by its id, such as {next(iter(origins))}"
            )
        return [
            Elsewhere(identity, *origin, *self.trace(identity, texts[identity]))
            for identity, origin in origins.items()
        ]

    def told(self) -> Looked:
        """How much was looked through, and what could not be and why."""
        unreadable = [Unreadable(path, reason) for path, reason in self.unreadable.items()]
        return Looked(str(self.runs), len(self.corpora), self.num_runs, unreadable)


def _once(folders: Iterable[Path]) -> list[Path]:
    """Every folder once, as it was called first."""
    found: dict[Path, Path] = {}
    for folder in folders:
        found.setdefault(folder.resolve(), folder)
    return list(found.values())


def _corpus_tables(folder: Path) -> list[Held[InCorpus]]:
    manifest = read_manifest(folder)
    told = InCorpus(str(folder), manifest.name, manifest.key)
    return [Held(folder / file.name, tuple(manifest.sources), (told,)) for file in manifest.shards]


def _data_table(table: Path, folder: Path, root: Path, runs: list[Run]) -> Held[InRun]:
    """A part of a data folder, told of for every Run that reads it; if none does, for its recipe's
    folder."""
    source = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["source"]
    place, part = folder.relative_to(root).as_posix(), table.parent.name
    told = [
        InRun(str(run.folder), name, part, _stages(run, folder, part))
        for run in runs
        for name, data in run.manifest.data.items()
        if data == place
    ]
    return Held(table, (source,), tuple(told or [InRun(str(root), source, part, [])]))


def _stages(run: Run, folder: Path, part: str) -> list[str]:
    """The stages that learn from a data folder; nothing is learnt from what was held out."""
    return [s.name for s in run.manifest.stages if folder.name in s.seen and part == "train"]


def _holds(path: Path, identity: str, texts: set[str]) -> str | None:
    """How a table of documents holds it: by its ``id``, by its ``text``, or not at all."""
    names = pq.read_schema(path).names
    if "id" in names and _count(path, "id", {identity}):
        return "id"
    copies = any(_count(path, name, texts) for name in ("content_hash", "parent") if name in names)
    return "text" if copies else None


def _count(path: Path, column: str, values: set[str]) -> int:
    """Rows whose ``column`` is one of ``values``; only groups of rows that may hold it are read."""
    return pq.read_table(path, columns=[column], filters=[(column, "in", values)]).num_rows


def _rows(path: Path, wanted: str, ids: set[str]) -> list[Mapping[str, Any]]:
    """The rows of a table that have one of the ids, begin with ``wanted``, or have it as path."""
    names = pq.read_schema(path).names
    if "id" not in names:
        return []
    matches = pc.field("id").isin(list(ids)) | (pc.field("path") == wanted)
    if is_beginning(wanted):
        matches |= (pc.field("id") >= wanted) & (pc.field("id") < wanted + "g")  # after all digits
    columns = [n for n in ("id", "source", "path", "content_hash", "parent") if n in names]
    return pq.read_table(path, columns=columns, filters=matches).to_pylist()
