"""The stage that cuts repeated lines or paragraphs: a map, a merge by slices of hashes, a map.

It is left out unless ``exact.unit`` asks for it. Code loses no line, only the comments that it
begins with, and such documents are counted. ``pieces/`` holds the hashes, ``lines/`` the
documents after it, in shards of the same names. A piece stays in the first document that passes the
rules as it was read, and only if none does in the first at all: so it is not lost with a document
that goes. What is left of each is judged again.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import compress
from pathlib import Path

import numpy as np

from evergrow.config import Record
from evergrow.corpus.contamination import NO_HITS
from evergrow.corpus.curate.config import CorpusConfig, ExactConfig
from evergrow.corpus.curate.measure import (
    CONTAMINATION,
    Shard,
    all_rules,
    groups_needed,
    groups_of,
)
from evergrow.corpus.curate.units import Done, finish, key_of
from evergrow.corpus.document import Document
from evergrow.corpus.duplicates.pieces import (
    VERSION,
    KnownPieces,
    num_slices,
    repeated_in_shard,
    repeated_spans,
    without_spans,
    write_piece_hashes,
    write_repeated,
)
from evergrow.corpus.policies.rule import judge
from evergrow.corpus.records import Cut, StoredFile
from evergrow.corpus.signals import measure_documents
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.signals.programming import domain_of
from evergrow.corpus.table import stored_documents, write_documents
from evergrow.disk import new_file
from evergrow.made import chosen

HASHES_A_SLICE = 1 << 22  # 32 MiB, and about five times that while a slice is sorted


@dataclass(frozen=True)
class HashPieces:
    """First map: the hashes of one shard's lines or paragraphs, in files of their own those of the
    documents that a rule or a test item drops, and which these are."""

    folder: Path
    shard: Shard
    config: CorpusConfig
    base: Path

    @property
    def exact(self) -> ExactConfig:
        assert self.config.exact is not None
        return self.config.exact

    @property
    def label(self) -> str:
        return f"{self.folder}: hashing the {self.exact.unit}s of {self.shard.name}"

    @property
    def sidecar(self) -> str:
        return f"pieces/{self.shard.name}.json"

    @property
    def key(self) -> str:
        rules = [asdict(rule) for rule in all_rules(self.config)]
        groups = sorted(group.key for group in _judging(self.config, self.base))
        exact = chosen(self.exact)
        return key_of("pieces", VERSION, exact, self.shard.text.blake3, rules, groups)

    def run(self) -> Done[Record]:
        documents = list(stored_documents(self.folder / self.shard.text.name))
        fails_D = failing(documents, self.config, self.base)
        passing = self._hash("passing", _taken(documents, ~fails_D))
        rest = self._hash("failing", _taken(documents, fails_D))
        fails = self._file("fails")
        with new_file(self.folder / fails) as temporary, temporary.open("wb") as file:
            np.save(file, fails_D, allow_pickle=False)
        stored = StoredFile.at(self.folder, fails, len(documents))
        return finish(self.folder, self.sidecar, self.key, [passing, rest, stored], Record())

    def _hash(self, what: str, documents: list[Document]) -> StoredFile:
        name, unit = self._file(what), self.exact.unit
        assert unit != "document"
        write_piece_hashes(self.folder / name, documents, unit, self.exact.min_characters)
        return StoredFile.at(self.folder, name, len(documents))

    def _file(self, what: str) -> str:
        return f"pieces/{self.shard.name}.{what}.npy"


def _taken(documents: list[Document], taken_D: np.ndarray) -> list[Document]:
    return list(compress(documents, taken_D.tolist()))


def failing(documents: list[Document], config: CorpusConfig, base: Path) -> np.ndarray:
    """bool [D]: the documents that a rule or a test item drops, as they were read."""
    rules = all_rules(config)
    columns = {
        f"{name}.{field}": table[field].to_numpy(zero_copy_only=False)
        for name, table in measure_documents(documents, _judging(config, base)).items()
        for field in table.column_names
    }
    hits = columns.get(f"{CONTAMINATION}.hits", [NO_HITS] * len(documents))
    has_item_D = np.array([found != NO_HITS for found in hits], bool)
    return judge(columns, rules).any(axis=1) | has_item_D


def _judging(config: CorpusConfig, base: Path) -> list[SignalGroup]:
    """The groups that say which documents fail."""
    known = groups_of(config, base)
    wanted = groups_needed(all_rules(config)) | ({CONTAMINATION} & known.keys())
    return [group for name, group in known.items() if name in wanted]


@dataclass(frozen=True)
class MergeSlice:
    """The merge: of one slice of all hashes, what each file of them repeats of earlier ones."""

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

    def run(self) -> Done[Record]:
        name = f"pieces/slice/{self.part:05d}.npy"
        shards = [self.folder / p.name for p in self.pieces]
        write_repeated(self.folder / name, shards, self.part, self.of)
        stored = StoredFile.at(self.folder, name, len(shards))
        return finish(self.folder, self.sidecar, self.key, [stored], Record())


@dataclass(frozen=True)
class CutPieces:
    """Second map: one shard without what an earlier one or it itself had.

    ``fails`` is the file that says which documents come last, whatever their place.
    """

    folder: Path
    shard: Shard
    number: int
    num_shards: int
    slices: tuple[StoredFile, ...]
    fails: StoredFile
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
        exact = chosen(self.exact)
        shard = [self.shard.text.blake3, self.fails.blake3, self.number]
        return key_of("cut", VERSION, exact, shard, slices)

    def run(self) -> Done[Cut]:
        name = f"lines/{self.shard.name}.parquet"
        counts: Counter[str] = Counter()
        with new_file(self.folder / name) as temporary:
            rows, _ = write_documents(temporary, self._cut(counts))
        stored = StoredFile.at(self.folder, name, rows)
        told = Cut(
            pieces=counts["pieces"],
            bytes=counts["bytes"],
            code_documents=counts["code_documents"],
        )
        return finish(self.folder, self.sidecar, self.key, [stored], told)

    def _cut(self, counts: Counter[str]) -> Iterator[Document]:
        unit = self.exact.unit
        assert unit != "document"
        known = [self._known(self.number), self._known(self.num_shards + self.number)]
        fails = np.load(self.folder / self.fails.name, allow_pickle=False).tolist()
        documents = stored_documents(self.folder / self.shard.text.name)
        for document, is_failing in zip(documents, fails, strict=True):
            spans = repeated_spans(document, unit, self.exact.min_characters, known[is_failing])
            edited = document.edited(without_spans(document.text, spans))
            counts["pieces"] += len(spans)
            counts["bytes"] += document.num_bytes - edited.num_bytes
            counts["code_documents"] += domain_of(document) == "code"
            yield edited

    def _known(self, place: int) -> KnownPieces:
        slices = [self.folder / s.name for s in self.slices]
        return KnownPieces(repeated_in_shard(slices, place, 2 * self.num_shards))


def plan_merge(folder: Path, hashed: Sequence[Done[Record]]) -> list[MergeSlice]:
    """The slices of the merge: as many as memory asks for, whatever the workers.

    All that passes comes before all that fails.
    """
    pieces = [done.files[part] for part in (0, 1) for done in hashed]
    slices = num_slices([folder / p.name for p in pieces], HASHES_A_SLICE)
    return [MergeSlice(folder, tuple(pieces), part, slices) for part in range(slices)]


def plan_cut(
    folder: Path,
    shards: Sequence[Shard],
    hashed: Sequence[Done[Record]],
    merged: Sequence[Done[Record]],
    exact: ExactConfig,
) -> list[CutPieces]:
    """A cut for every shard."""
    slices = tuple(done.files[0] for done in merged)
    return [
        CutPieces(folder, shard, number, len(shards), slices, hashed[number].files[2], exact)
        for number, shard in enumerate(shards)
    ]
