"""From what a person types to the documents it means, and to the records of what was not read."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import pyarrow.parquet as pq

from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.measure import Shard
from evergrow.corpus.curate.whole import changed, decided_files, refuse_changed, signal_files
from evergrow.corpus.curate.write import Fate, decisions_file
from evergrow.corpus.document import Document
from evergrow.corpus.quarantine import Quarantined
from evergrow.errors import InputError

MAX_FOUND = 20  # documents told of at once
MIN_PREFIX = 4  # hex digits of an id
Row = TypeVar("Row", Document, Fate)


@dataclass(frozen=True)
class Place:
    """A document of a corpus: its shard, its row there, its id and its path."""

    shard: Shard
    row: int
    id: str
    path: str


def find_documents(corpus: Corpus, wanted: str) -> list[Place]:
    """The documents whose id, beginning of an id, key or path ``wanted`` is.

    Of a path its end is enough, and it may begin before the source's folder does. Raises InputError
    for the beginning of several ids, the end of several paths, a path of too many documents, and
    when a file that tells of them is not what it was when the corpus was finished.
    """
    found = list(_matching(corpus, wanted))
    for kind in ("id", "key", "path", "prefix", "end"):
        places = [place for place, how in found if how == kind]
        ids = dict.fromkeys(place.id for place in places)
        if kind == "prefix" and len(ids) > 1:
            raise InputError(
                f"{wanted!r}: begins {len(ids)} ids ({', '.join(list(ids)[:4])} ...); "
                "give more of its digits"
            )
        if kind == "end" and len(paths := dict.fromkeys(place.path for place in places)) > 1:
            raise InputError(
                f"{wanted!r}: is the end of {len(paths):,} paths ({', '.join(list(paths)[:3])} "
                "...); give more of it"
            )
        if len(ids) > MAX_FOUND:
            raise InputError(
                f"{wanted!r}: is the path of {len(ids):,} documents; name one of them by its "
                f"id or its key, such as {next(iter(ids))}"
            )
        if places:
            _refuse_changed(corpus, places)
            return places
    return []


def is_known(corpus: Corpus, wanted: str) -> bool:
    """Whether the corpus has read such a document, or tried to."""
    return bool(find_documents(corpus, wanted) or quarantined(corpus, wanted))


def _refuse_changed(corpus: Corpus, places: list[Place]) -> None:
    decided = {file.name: file for file in decided_files(corpus)}
    for shard in {place.shard.name: place.shard for place in places}.values():
        as_read = document_file(shard)
        read = (file for file in corpus.manifest.read if file.name == as_read)
        columns = signal_files(corpus, shard)
        refuse_changed(corpus, [shard.text, decided[decisions_file(shard)], *read, *columns])


def _matching(corpus: Corpus, wanted: str) -> Iterator[tuple[Place, str]]:
    is_prefix = is_beginning(wanted)
    for shard in corpus.shards:
        refuse_changed(corpus, [shard.text], quick=True)
        table = pq.read_table(corpus.folder / shard.text.name, columns=["id", "key", "path"])
        columns = (table[name].to_pylist() for name in ("id", "key", "path"))
        for row, (identity, key, path) in enumerate(zip(*columns, strict=True)):
            hows = {identity: "id", key: "key", path: "path"}
            how = hows.get(wanted)
            if how is None and is_prefix and identity.startswith(wanted):
                how = "prefix"
            if how is None and _same_end(wanted, path):
                how = "end"
            if how is not None:
                yield Place(shard, row, identity, path), how


def _same_end(wanted: str, path: str) -> bool:
    return path.endswith(f"/{wanted}") or wanted.endswith(f"/{path}")


def is_beginning(wanted: str) -> bool:
    """Whether it may be an id or the beginning of one."""
    return len(wanted) >= MIN_PREFIX and set(wanted) <= set("0123456789abcdef")


def document_file(shard: Shard) -> str:
    """Where the documents of a shard stand as they were read."""
    return f"documents/{shard.name}.parquet"


def document_at(corpus: Corpus, place: Place, cut: bool = True) -> Document:
    """The document, with repeated lines cut out or, without ``cut``, as read."""
    name = place.shard.text.name if cut else document_file(place.shard)
    return _row(corpus, name, place, Document)


def _row(corpus: Corpus, name: str, place: Place, kind: type[Row]) -> Row:
    """What a table tells of this document; another one's row is never taken for it."""
    rows = pq.read_table(corpus.folder / name).slice(place.row, 1).to_pylist()
    if [row["id"] for row in rows] != [place.id]:
        raise changed(corpus, name)
    return kind(**rows[0])


def fate_at(corpus: Corpus, place: Place) -> Fate:
    """What became of it."""
    return _row(corpus, decisions_file(place.shard), place, Fate)


@dataclass(frozen=True)
class Unread(Quarantined):
    """What could not be read, or is ``kept`` without something that it claims."""

    kept: bool = False


def quarantined(corpus: Corpus, wanted: str) -> list[Unread]:
    """What could not be read at this path, or at ``path#place`` in it."""
    found = []
    for file in (file for file in corpus.manifest.read if file.name.startswith("quarantine/")):
        refuse_changed(corpus, [file])
        text = (corpus.folder / file.name).read_text(encoding="utf-8")
        # JSON leaves U+2028 and U+0085 as they are, and splitlines() would end lines there.
        for line in text.split("\n")[:-1]:
            record = Unread(**json.loads(line))
            if wanted in (record.path, f"{record.path}#{record.offset}"):
                found.append(record)
    return found
