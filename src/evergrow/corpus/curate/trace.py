"""Where a document went: the corpora that keep it and the runs whose data holds it."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.earlier import read_manifest
from evergrow.corpus.curate.find import MAX_FOUND, is_beginning
from evergrow.corpus.document import document_id
from evergrow.errors import EvergrowError, InputError
from evergrow.run import Run

UNREADABLE = (EvergrowError, OSError, ValueError, KeyError, TypeError, pa.ArrowException)
Read = TypeVar("Read")


@dataclass(frozen=True)
class Held:
    """A table of documents, the sources they may be of, and what is told when it has the one."""

    path: Path
    sources: tuple[str, ...]
    told: tuple[dict[str, Any], ...]


@dataclass
class Shelves:
    """All that may hold a document: the tables of corpora, and of data with the runs that read it.

    What is damaged is no reason to say nothing of the rest: it stands in ``unreadable``.
    """

    runs: Path
    corpora: list[list[Held]] = field(default_factory=list)
    data: list[Held] = field(default_factory=list)
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

    def trace(self, identity: str, texts: set[str]) -> dict[str, list[dict[str, Any]]]:
        """The ``corpora`` that keep the document and the ``runs`` that were given it.

        ``texts`` are hashes of its text, as read and as kept: a copy under another id counts, too,
        and says so. Documents of data made before they had ids are found by their text.
        """
        corpora = [told for tables in self.corpora for told in self._first(tables, identity, texts)]
        runs = [told for held in self.data for told in self._first([held], identity, texts)]
        return {"corpora": corpora, "runs": runs}

    def _first(
        self, tables: Iterable[Held], identity: str, texts: set[str]
    ) -> Iterator[dict[str, Any]]:
        """What is told of the first of the tables that holds the document."""
        for held in tables:
            if by := self._look(held.path, lambda path: _holds(path, identity, texts)):
                yield from ({**told, "by": by} for told in held.told)
                return

    def find(self, wanted: str) -> list[dict[str, Any]]:
        """The documents of this id, beginning of an id, key or path that somebody holds, traced.

        Raises InputError when they are too many.
        """
        tables = [held for held in (*(h for c in self.corpora for h in c), *self.data)]
        sources = {source for held in tables for source in held.sources}
        ids = {wanted, *(document_id(source, wanted) for source in sources)}
        found: dict[str, dict[str, Any]] = {}
        texts: dict[str, set[str]] = {}
        for held in tables:
            for row in self._look(held.path, lambda path: _rows(path, wanted, ids)) or []:
                told = found.setdefault(row["id"], {"id": row["id"], "source": None, "path": None})
                told |= {name: row[name] for name in ("source", "path") if row.get(name)}
                hashes = {row[name] for name in ("content_hash", "parent") if row[name]}
                texts.setdefault(row["id"], set()).update(hashes)
        if len(found) > MAX_FOUND:
            raise InputError(
                f"{wanted!r}: names {len(found):,} documents that others hold and the corpus does "
                f"not; name one of them by its id, such as {next(iter(found))}"
            )
        return [told | self.trace(identity, texts[identity]) for identity, told in found.items()]

    def told(self) -> dict[str, Any]:
        """How much was looked through, and what could not be and why."""
        return {
            "folder": str(self.runs),
            "corpora": len(self.corpora),
            "runs": self.num_runs,
            "unreadable": [{"path": p, "reason": why} for p, why in self.unreadable.items()],
        }


def _once(folders: Iterable[Path]) -> list[Path]:
    """Every folder once, as it was called first."""
    found: dict[Path, Path] = {}
    for folder in folders:
        found.setdefault(folder.resolve(), folder)
    return list(found.values())


def _corpus_tables(folder: Path) -> list[Held]:
    manifest = read_manifest(folder)
    told = {"folder": str(folder), "name": manifest["name"], "key": manifest["key"]}
    sources = tuple(manifest["sources"])
    return [Held(folder / shard["name"], sources, (told,)) for shard in manifest["shards"]]


def _data_table(table: Path, folder: Path, root: Path, runs: list[Run]) -> Held:
    """A part of a data folder, told of for every Run that reads it; if none does, for its recipe's
    folder."""
    source = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["source"]
    place, part = folder.relative_to(root).as_posix(), table.parent.name
    told = [
        {"run": str(run.folder), "source": name, "part": part, "stages": _stages(run, folder, part)}
        for run in runs
        for name, data in run.manifest.data.items()
        if data == place
    ]
    nobody = {"run": str(root), "source": source, "part": part, "stages": []}
    return Held(table, (source,), tuple(told or [nobody]))


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
