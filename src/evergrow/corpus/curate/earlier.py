"""The index of a corpus: what it ever kept, so that later corpora do not take it again.

``index.parquet`` holds a row a kept document: ``id``, ``content_hash`` (128 bits of that of the
text as kept), ``bands``, ``source`` and ``corpus``, the key of the corpus that kept it; and the
rows of the corpora it was itself compared with, so that the newest index is enough.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from evergrow.corpus.curate.config import NearConfig
from evergrow.corpus.duplicates.signatures import bands_of
from evergrow.errors import InputError

FORMAT = 1
INDEX = "index.parquet"
MANIFEST = "corpus.json"


@dataclass(frozen=True)
class Parent:
    """An earlier corpus: its folder, its name, its key and the checksum of its index."""

    folder: Path
    name: str
    key: str
    index: str


@dataclass(frozen=True)
class Earlier:
    """E documents that earlier corpora kept.

    hashes_E2  uint64: 128 bits of the hash of the text as kept
    bands_EB   uint64, of as many bands as the new corpus has (none without near duplicates)
    ids        the documents' ids; ``corpora`` the key of the corpus that kept each
    """

    hashes_E2: np.ndarray
    bands_EB: np.ndarray
    ids: list[str]
    sources: list[str]
    corpora: list[str]

    def __len__(self) -> int:
        return len(self.ids)


def read_manifest(folder: Path) -> dict[str, Any]:
    """``corpus.json`` of a finished corpus; InputError when there is none, or a newer one."""
    path = folder / MANIFEST
    if not path.exists():
        raise InputError(
            f"{folder}: no finished corpus here ({MANIFEST} is missing); make it with "
            "'evergrow curate', or give the folder that holds it"
        )
    manifest = json.loads(path.read_text(encoding="utf-8"))
    if manifest["format"] > FORMAT:
        raise InputError(
            f"{path}: format {manifest['format']} is newer than this evergrow reads ({FORMAT}); "
            "upgrade evergrow"
        )
    return manifest


def parent_at(folder: Path, near: NearConfig | None) -> Parent:
    """The finished corpus in ``folder``. Raises InputError when its bands cannot be compared."""
    manifest = read_manifest(folder)
    theirs = manifest["settings"]["near"]
    if near is not None:
        for name in ("permutations", "bands", "shingle"):
            if theirs is None or theirs[name] != getattr(near, name):
                found = "no near duplicates" if theirs is None else f"{name} {theirs[name]}"
                raise InputError(
                    f"{folder}: was made with {found}, so near duplicates of it cannot be found "
                    f"with {name} {getattr(near, name)}; give both the same, or set near: null"
                )
    return Parent(folder, manifest["name"], manifest["key"], manifest["index"]["blake3"])


def load_earlier(parents: Sequence[Parent], near: NearConfig | None) -> Earlier:
    """All that the parents ever kept, each document once."""
    columns = ["id", "content_hash", "source", "corpus", *(["bands"] if near else [])]
    tables = [pq.read_table(parent.folder / INDEX, columns=columns) for parent in parents]
    num_bands = near.bands if near else 0
    if not tables:
        return Earlier(np.empty((0, 2), np.uint64), np.empty((0, num_bands), np.uint64), [], [], [])
    table = pa.concat_tables(tables)
    seen: dict[tuple[str, bytes], int] = {}
    pairs = zip(table["id"].to_pylist(), table["content_hash"].to_pylist(), strict=True)
    for row, pair in enumerate(pairs):
        seen.setdefault(pair, row)
    if len(seen) < table.num_rows:
        table = table.take(pa.array(list(seen.values())))
    hashes = b"".join(table["content_hash"].to_pylist())
    return Earlier(
        np.frombuffer(hashes, "<u8").reshape(-1, 2),
        bands_of(table["bands"]) if near else np.empty((table.num_rows, 0), np.uint64),
        *(table[name].to_pylist() for name in ("id", "source", "corpus")),
    )


def index_table(
    ids: Sequence[str],
    hashes_E2: np.ndarray,
    bands_EB: np.ndarray | None,
    sources: Sequence[str],
    corpora: Sequence[str],
) -> pa.Table:
    """The rows of an index; bands are null without near duplicates or without a word."""
    columns = {
        "id": pa.array(ids, pa.string()),
        "content_hash": pa.array(_rows(hashes_E2), pa.binary(16)),
        "bands": pa.nulls(len(ids), pa.binary(8)),
        "source": pa.array(sources, pa.string()),
        "corpus": pa.array(corpora, pa.string()),
    }
    if bands_EB is not None and bands_EB.shape[1]:
        rows = [row if any(row) else None for row in _rows(bands_EB)]
        columns["bands"] = pa.array(rows, pa.binary(8 * bands_EB.shape[1]))
    return pa.table(columns)


def _rows(values_EX: np.ndarray) -> list[bytes]:
    return [row.tobytes() for row in np.ascontiguousarray(values_EX).astype("<u8")]
