"""The stage that cuts repeated lines or paragraphs: a map, a merge by slices of hashes, a map.

It is left out unless ``exact.unit`` asks for it. ``pieces/`` holds the hashes, ``lines/`` the
documents after it, in shards of the same names.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evergrow.corpus.curate.config import ExactConfig
from evergrow.corpus.curate.measure import Shard
from evergrow.corpus.curate.units import Done, StoredFile, finish, key_of
from evergrow.corpus.document import Document
from evergrow.corpus.duplicates.pieces import (
    KnownPieces,
    num_slices,
    repeated_in_shard,
    repeated_spans,
    without_spans,
    write_piece_hashes,
    write_repeated,
)
from evergrow.corpus.table import stored_documents, write_documents
from evergrow.disk import new_file

HASHES_A_SLICE = 1 << 22  # 32 MiB, and about five times that while a slice is sorted


@dataclass(frozen=True)
class HashPieces:
    """First map: the hashes of one shard's lines or paragraphs."""

    folder: Path
    shard: Shard
    exact: ExactConfig

    @property
    def label(self) -> str:
        return f"{self.folder}: hashing the {self.exact.unit}s of {self.shard.name}"

    @property
    def sidecar(self) -> str:
        return f"pieces/{self.shard.name}.json"

    @property
    def key(self) -> str:
        return key_of("pieces", self.exact.model_dump(mode="json"), self.shard.text.blake3)

    def run(self) -> Done:
        name = f"pieces/{self.shard.name}.npy"
        texts = (d.text for d in stored_documents(self.folder / self.shard.text.name))
        assert self.exact.unit != "document"
        write_piece_hashes(self.folder / name, texts, self.exact.unit, self.exact.min_characters)
        stored = StoredFile.at(self.folder, name, self.shard.text.rows)
        return finish(self.folder, self.sidecar, self.key, [stored], {})


@dataclass(frozen=True)
class MergeSlice:
    """The merge: of one slice of all hashes, what each shard repeats of earlier ones."""

    folder: Path
    pieces: tuple[StoredFile, ...]
    part: int
    of: int

    @property
    def label(self) -> str:
        return f"{self.folder}: merging slice {self.part + 1} of {self.of}"

    @property
    def sidecar(self) -> str:
        return f"pieces/slice/{self.part:05d}.json"

    @property
    def key(self) -> str:
        return key_of("slice", [p.blake3 for p in self.pieces], self.part, self.of)

    def run(self) -> Done:
        name = f"pieces/slice/{self.part:05d}.npy"
        shards = [self.folder / p.name for p in self.pieces]
        write_repeated(self.folder / name, shards, self.part, self.of)
        stored = StoredFile.at(self.folder, name, len(shards))
        return finish(self.folder, self.sidecar, self.key, [stored], {})


@dataclass(frozen=True)
class CutPieces:
    """Second map: one shard without what an earlier one or it itself had."""

    folder: Path
    shard: Shard
    number: int
    num_shards: int
    slices: tuple[StoredFile, ...]
    exact: ExactConfig

    @property
    def label(self) -> str:
        return f"{self.folder}: cutting repeated {self.exact.unit}s of {self.shard.name}"

    @property
    def sidecar(self) -> str:
        return f"lines/{self.shard.name}.json"

    @property
    def key(self) -> str:
        slices = [s.blake3 for s in self.slices]
        return key_of("cut", HashPieces(self.folder, self.shard, self.exact).key, slices)

    def run(self) -> Done:
        name = f"lines/{self.shard.name}.parquet"
        slices = [self.folder / s.name for s in self.slices]
        known = KnownPieces(repeated_in_shard(slices, self.number, self.num_shards))
        counts = {"pieces": 0, "bytes": 0}
        with new_file(self.folder / name) as temporary:
            rows, _ = write_documents(temporary, self._cut(known, counts))
        stored = StoredFile.at(self.folder, name, rows)
        return finish(self.folder, self.sidecar, self.key, [stored], counts)

    def _cut(self, known: KnownPieces, counts: dict[str, Any]) -> Iterator[Document]:
        unit = self.exact.unit
        assert unit != "document"
        for document in stored_documents(self.folder / self.shard.text.name):
            spans = repeated_spans(document.text, unit, self.exact.min_characters, known)
            edited = document.edited(without_spans(document.text, spans))
            counts["pieces"] += len(spans)
            counts["bytes"] += document.num_bytes - edited.num_bytes
            yield edited


def plan_merge(folder: Path, pieces: list[StoredFile]) -> list[MergeSlice]:
    """The slices of the merge: as many as memory asks for, whatever the workers."""
    slices = num_slices([folder / p.name for p in pieces], HASHES_A_SLICE)
    return [MergeSlice(folder, tuple(pieces), part, slices) for part in range(slices)]
