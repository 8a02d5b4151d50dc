"""Where a document went: the corpora that keep it and the runs whose data holds it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from evergrow.corpus.curate.earlier import MANIFEST, read_manifest
from evergrow.run import Run


def trace(runs: Path, identity: str, texts: set[str]) -> dict[str, list[dict[str, Any]]]:
    """Below ``runs``: the ``corpora`` that keep the document and the ``runs`` that were given it.

    ``texts`` are hashes of its text, as read and as kept: a copy under another id counts, too, and
    says so. Documents of data made before they had ids are found by their text.
    """
    return {
        "corpora": list(_corpora(runs, identity, texts)),
        "runs": list(_runs(runs, identity, texts)),
    }


def _corpora(runs: Path, identity: str, texts: set[str]) -> Iterator[dict[str, Any]]:
    for path in sorted(runs.glob(f"*/corpora/*/{MANIFEST}")):
        manifest = read_manifest(path.parent)
        for shard in manifest["shards"]:
            if found := _holds(path.parent / shard["name"], identity, texts):
                name, key = manifest["name"], manifest["key"]
                yield {"folder": str(path.parent), "name": name, "key": key, "by": found}
                break


def _runs(runs: Path, identity: str, texts: set[str]) -> Iterator[dict[str, Any]]:
    for root in sorted(path.parent for path in runs.glob("*/data")):
        folders: dict[str, dict[str, str]] = {}
        for table in sorted(root.glob("data/*/*/documents.parquet")):
            if found := _holds(table, identity, texts):
                folder = table.parent.parent.relative_to(root).as_posix()
                folders.setdefault(folder, {})[table.parent.name] = found
        manifests = [*root.glob("*/manifest.json"), *root.glob("*/seed-*/manifest.json")]
        for path in sorted(manifests if folders else []):
            manifest = Run(path.parent).manifest
            for source, folder in manifest.data.items():
                for part, found in folders.get(folder, {}).items():
                    read = [s.name for s in manifest.stages if Path(folder).name in s.seen]
                    yield {
                        "run": str(path.parent),
                        "source": source,
                        "part": part,
                        "stages": read if part == "train" else [],
                        "by": found,
                    }


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
