"""Examples on disk and back: token sequences with a mark a token, and a row of what is known.

An example is one or more sequences (a chat; an answer chosen and one rejected), a group that it is
held out with, and, where there are any, a reference answer and a label. Layout of a data folder:

    train/, held_out/   tokens.bin, marks.bin (uint8, one a token), sequences.idx (first tokens),
                        examples.parquet (one row each)
    manifest.json       counts, files with checksums, and what made it
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self, final

import numpy as np

from evergrow.disk import checksum
from evergrow.stream.proof import Proof, read_data_manifest, write_data_manifest

PARTS = ("train", "held_out")
COLUMNS = ("content_hash", "group", "path", "prompt", "reference", "label")  # text, may be null
COUNTS = ("num_sequences", "num_tokens", "num_targets", "num_bytes")
FILES = ("tokens.bin", "marks.bin", "sequences.idx", "examples.parquet")


class Marked(NamedTuple):
    """Token ids and what each of them is: 0 context, 1 an answer, 2 the last answer."""

    ids: np.ndarray
    marks: np.ndarray


@dataclass(frozen=True)
class Example:
    """What one row of data becomes; ``num_bytes`` are those of the text that its targets spell.

    ``prompt`` is what stands before the last answer, as a model is shown it.
    """

    sequences: Sequence[Marked]
    content_hash: str
    group: str
    path: str
    num_bytes: int
    prompt: str = ""
    reference: str | None = None
    label: str | None = None


def write_examples(
    folder: Path, parts: Mapping[str, Iterable[Example]], vocab_size: int, manifest: dict[str, Any]
) -> dict[str, Any]:
    """Write both parts into the empty ``folder``; returns the whole manifest, written last."""
    dtype = np.dtype("<u2" if vocab_size <= 2**16 else "<u4")
    counts: dict[str, Any] = {}
    files: dict[str, Any] = {}
    for part in PARTS:
        (folder / part).mkdir()
        counts[part] = _write_part(folder / part, parts[part], dtype)
        for name in FILES:
            path = folder / part / name
            files[f"{part}/{name}"] = {"bytes": path.stat().st_size, "blake3": checksum(path)}
    whole = {**manifest, "form": "examples", "dtype": dtype.str, "files": files, **counts}
    return write_data_manifest(folder, whole)


def _write_part(folder: Path, examples: Iterable[Example], dtype: np.dtype) -> dict[str, int]:
    import pyarrow as pa
    from pyarrow import parquet

    starts, rows = [0], []
    with (folder / "tokens.bin").open("wb") as tokens, (folder / "marks.bin").open("wb") as marks:
        for example in examples:
            for sequence in example.sequences:
                tokens.write(sequence.ids.astype(dtype).tobytes())
                marks.write(sequence.marks.astype(np.uint8).tobytes())
                starts.append(starts[-1] + len(sequence.ids))
            rows.append(_row(example))
    (folder / "sequences.idx").write_bytes(np.array(starts, "<i8").tobytes())
    schema = pa.schema(
        [*((name, pa.string()) for name in COLUMNS), *((name, pa.int64()) for name in COUNTS)]
    )
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "examples.parquet")
    totals = {name: sum(row[name] for row in rows) for name in COUNTS}
    return {"num_examples": len(rows), **totals}


def _row(example: Example) -> dict[str, Any]:
    return {
        **{name: getattr(example, name) for name in COLUMNS},
        "num_sequences": len(example.sequences),
        "num_tokens": sum(len(s.ids) for s in example.sequences),
        "num_targets": sum(int((s.marks > 0).sum()) for s in example.sequences),
        "num_bytes": example.num_bytes,
    }


@final
class ExampleSource:
    """A data folder of examples, memory-mapped; items count from 0 through its training part."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder, self.manifest = folder, manifest
        self.key: str = manifest["key"]
        self.proof = Proof(folder, manifest["files"])
        self._maps = {part: self._map(part) for part in PARTS}
        self._rows: dict[str, dict[str, list[Any]]] = {}

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a folder; raises EvergrowError for a missing, truncated or changed file."""
        return cls(folder, read_data_manifest(folder))

    def _map(self, part: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        starts = np.fromfile(self.folder / part / "sequences.idx", "<i8")
        if starts[-1] == 0:
            return np.empty(0, self.manifest["dtype"]), np.empty(0, np.uint8), starts
        tokens = np.memmap(self.folder / part / "tokens.bin", self.manifest["dtype"], "r")
        return tokens, np.memmap(self.folder / part / "marks.bin", np.uint8, "r"), starts

    def __len__(self) -> int:
        return int(self.manifest["train"]["num_examples"])

    def tokens_an_item(self, sequence_length: int) -> float:
        """What an example moves the clock by: the tokens of one, on average."""
        train = self.manifest["train"]
        return train["num_tokens"] / max(1, train["num_examples"])

    def rows(self, part: str) -> dict[str, list[Any]]:
        """The table of a part, by column."""
        from pyarrow import parquet

        if part not in self._rows:
            table = parquet.read_table(self.folder / part / "examples.parquet")
            self._rows[part] = table.to_pydict()
        return self._rows[part]

    def sequence(self, number: int, part: str = "train") -> tuple[np.ndarray, np.ndarray]:
        """Ids (int64) and marks of sequence ``number`` of a part, both [n]."""
        self.proof.hold()
        tokens, marks, starts = self._maps[part]
        first, last = int(starts[number]), int(starts[number + 1])
        return tokens[first:last].astype(np.int64), np.asarray(marks[first:last])

    def lengths(self, part: str = "train") -> np.ndarray:
        """Tokens of every sequence of a part."""
        return np.diff(self._maps[part][2])
