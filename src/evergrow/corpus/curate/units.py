"""Units of work: files with a key and a checksum, so that a step that was interrupted goes on.

A unit is done when its sidecar holds the key asked for and every file it names has the checksum it
had when it was written. Sidecars are written last, so a killed unit has none.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from blake3 import blake3

from evergrow.config import Record
from evergrow.corpus.records import StoredFile
from evergrow.disk import new_file, read_object, sealed, write_file
from evergrow.errors import EvergrowError

VERSION = 1  # raise by hand when the same inputs and settings would give other bytes
Counts = TypeVar("Counts", bound=Record)


def key_of(*parts: Any) -> str:
    """32 hex digits of plain data, the same in every process; mappings in any order."""
    return blake3(json.dumps([VERSION, *parts], sort_keys=True).encode()).hexdigest(16)


@dataclass(frozen=True, slots=True)
class Done(Generic[Counts]):
    """A finished unit: its key, its files in order, and what it counted."""

    key: str
    files: tuple[StoredFile, ...]
    counts: Counts


def finished(folder: Path, sidecar: str, key: str, counted: type[Counts]) -> Done[Counts] | None:
    """The unit as its sidecar tells, or None when it is not there, is another or is damaged."""
    done = recorded(folder, sidecar, counted)
    if done is None or done.key != key or not all(f.is_whole(folder) for f in done.files):
        return None
    return done


def recorded(folder: Path, sidecar: str, counted: type[Counts]) -> Done[Counts] | None:
    """What a sidecar says, unchecked; None when there is none, or a damaged one: not done."""
    try:
        data = read_object(folder / sidecar, "it is made again")
        files = tuple(StoredFile.model_validate(file) for file in data["files"])
        return Done(data["key"], files, counted.model_validate(data["counts"]))
    except (EvergrowError, ValueError, KeyError, TypeError):
        return None


def finish(
    folder: Path, sidecar: str, key: str, files: Sequence[StoredFile], counts: Counts
) -> Done[Counts]:
    """Mark a unit done: its sidecar appears, whole, after its files."""
    told = {"key": key, "files": [file.model_dump() for file in files]}
    data = sealed({**told, "counts": counts.model_dump()})
    write_file(folder / sidecar, json.dumps(data) + "\n")
    return Done(key, tuple(files), counts)


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
