"""From what a person types to the documents it means, and to the records of what was not read."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.measure import Shard
from evergrow.corpus.document import Document
from evergrow.errors import InputError

MAX_FOUND = 20  # documents told of at once
MIN_PREFIX = 4  # hex digits of an id


@dataclass(frozen=True)
class Place:
    """A document of a corpus: its shard, its row there, and its id."""

    shard: Shard
    row: int
    id: str


def find_documents(corpus: Corpus, wanted: str) -> list[Place]:
    """The documents whose id, beginning of an id, key or path ``wanted`` is.

    Raises InputError for the beginning of several ids, and for a path of too many documents.
    """
    found = list(_matching(corpus, wanted))
    for kind in ("id", "key", "path", "prefix"):
        places = [place for place, how in found if how == kind]
        ids = dict.fromkeys(place.id for place in places)
        if kind == "prefix" and len(ids) > 1:
            raise InputError(
                f"{wanted!r}: begins {len(ids)} ids ({', '.join(list(ids)[:4])} ...); "
                "give more of its digits"
            )
        if len(ids) > MAX_FOUND:
            raise InputError(
                f"{wanted!r}: is the path of {len(ids):,} documents; name one of them by its "
                f"id or its key, such as {next(iter(ids))}"
            )
        if places:
            return places
    return []


def _matching(corpus: Corpus, wanted: str) -> Iterator[tuple[Place, str]]:
    is_prefix = len(wanted) >= MIN_PREFIX and set(wanted) <= set("0123456789abcdef")
    for shard in corpus.shards:
        table = pq.read_table(corpus.folder / shard.text.name, columns=["id", "key", "path"])
        columns = (table[name].to_pylist() for name in ("id", "key", "path"))
        for row, (identity, key, path) in enumerate(zip(*columns, strict=True)):
            hows = {identity: "id", key: "key", path: "path"}
            how = hows.get(wanted)
            if how is None and is_prefix and identity.startswith(wanted):
                how = "prefix"
            if how is not None:
                yield Place(shard, row, identity), how


def document_at(corpus: Corpus, place: Place, cut: bool = True) -> Document:
    """The document, with repeated lines cut out or, without ``cut``, as read."""
    name = place.shard.text.name if cut else f"documents/{place.shard.name}.parquet"
    return Document(**_row(corpus, name, place.row))


def _row(corpus: Corpus, name: str, row: int) -> dict[str, Any]:
    return pq.read_table(corpus.folder / name).slice(row, 1).to_pylist()[0]


def decision_at(corpus: Corpus, place: Place) -> dict[str, Any]:
    """What became of it: the row of the decision table."""
    return _row(corpus, f"decisions/{place.shard.name}.parquet", place.row)


def quarantined(corpus: Corpus, wanted: str) -> list[dict[str, Any]]:
    """The records of what could not be read at this path, or at ``path#place`` in it."""
    found = []
    for path in sorted((corpus.folder / "quarantine").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            if wanted in (record["path"], f"{record['path']}#{record['offset']}"):
                found.append(record)
    return found
