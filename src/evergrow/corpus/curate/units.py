"""Units of work: files with a key and a checksum, so that a step that was interrupted goes on.

A unit is done when its sidecar holds the key asked for and every file it names has the checksum it
had when it was written. Sidecars are written last, so a killed unit has none.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from blake3 import blake3

from evergrow.disk import checksum, new_file, write_file

VERSION = 1  # raise by hand when the same inputs and settings would give other bytes


def key_of(*parts: Any) -> str:
    """32 hex digits of plain data, the same in every process; mappings in any order."""
    return blake3(json.dumps([VERSION, *parts], sort_keys=True).encode()).hexdigest(16)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a corpus: ``name`` is its path in the corpus' folder."""

    name: str
    rows: int
    num_bytes: int
    blake3: str

    @classmethod
    def at(cls, folder: Path, name: str, rows: int) -> "StoredFile":
        """Describe a file that was just written; it is read once for its checksum."""
        path = folder / name
        return cls(name, rows, path.stat().st_size, checksum(path))

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "StoredFile":
        """A file as a sidecar or a manifest lists it."""
        return cls(record["name"], record["rows"], record["bytes"], record["blake3"])

    def record(self) -> dict[str, Any]:
        """What a sidecar or a manifest says of the file."""
        return {
            "name": self.name,
            "rows": self.rows,
            "bytes": self.num_bytes,
            "blake3": self.blake3,
        }

    def is_whole(self, folder: Path) -> bool:
        """Whether the file is there with the bytes it was written with."""
        return self.has_size(folder) and checksum(folder / self.name) == self.blake3

    def has_size(self, folder: Path) -> bool:
        """Whether the file is there and as long as it was written; nothing is read."""
        path = folder / self.name
        return path.exists() and path.stat().st_size == self.num_bytes


@dataclass(frozen=True, slots=True)
class Done:
    """A finished unit: its key, its files in order, and what it counted."""

    key: str
    files: tuple[StoredFile, ...]
    counts: dict[str, Any]


def finished(folder: Path, sidecar: str, key: str) -> Done | None:
    """The unit as its sidecar tells, or None when it is not there, is another or is damaged."""
    done = recorded(folder, sidecar)
    if done is None or done.key != key or not all(f.is_whole(folder) for f in done.files):
        return None
    return done


def recorded(folder: Path, sidecar: str) -> Done | None:
    """What a sidecar says, unchecked; None when there is none, or a damaged one: not done."""
    path = folder / sidecar
    if not path.exists():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(StoredFile.of(file) for file in data["files"])
        return Done(data["key"], files, dict(data["counts"]))
    except (ValueError, KeyError, TypeError):
        return None


def finish(
    folder: Path, sidecar: str, key: str, files: Sequence[StoredFile], counts: Mapping[str, Any]
) -> Done:
    """Mark a unit done: its sidecar appears, whole, after its files."""
    text = json.dumps({"key": key, "files": [f.record() for f in files], "counts": counts})
    write_file(folder / sidecar, text + "\n")
    return Done(key, tuple(files), json.loads(text)["counts"])


def write_table(folder: Path, name: str, table: pa.Table) -> StoredFile:
    """Write a whole table as Parquet."""
    with new_file(folder / name) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return StoredFile.at(folder, name, table.num_rows)


@contextmanager
def table_writer(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A Parquet file written piece by piece, that appears whole."""
    with new_file(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as w:
        yield w


@contextmanager
def tidied(folder: Path) -> Iterator[None]:
    """Begin and end, however it ends, without what killed processes were writing in a folder."""
    remove_left_overs(folder)
    try:
        yield
    finally:
        remove_left_overs(folder)


def remove_left_overs(folder: Path) -> None:
    """Delete what killed processes were writing in a corpus' folder."""
    for left in folder.rglob(".*.writing-*"):
        left.unlink()


def remove_others(folder: Path, below: str, keep: Sequence[str]) -> None:
    """Delete files under ``folder/below`` that no finished unit names: of other settings."""
    wanted = {folder / name for name in keep}
    for path in sorted((folder / below).rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in wanted:
            path.unlink()
