"""Token shards as training reads them: verified when opened, read through memory maps."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Self, final

import numpy as np

from evergrow.errors import InputError
from evergrow.stream.proof import Proof, read_data_manifest

FORMAT = 1


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a data folder. Raises EvergrowError when it is missing, broken or newer."""
    manifest = read_data_manifest(folder)
    if manifest["format"] > FORMAT:
        raise InputError(
            f"{folder}/manifest.json: format {manifest['format']} is newer than {FORMAT}, which "
            "this evergrow reads; install a newer evergrow"
        )
    return manifest


@dataclass(frozen=True)
class HeldOutDocument:
    """One held-out document: its tokens (no BOS, no EOS), its text's bytes; the text on demand."""

    content_hash: str
    path: str
    tokens: np.ndarray
    num_bytes: int
    _text: Callable[[], str]

    @property
    def text(self) -> str:
        return self._text()


@final
class TokenSource:
    """The tokens of one source: windows of its training split, and its held-out documents."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder = folder
        self.manifest = manifest
        self.name: str = manifest["source"]
        self.key: str = manifest["key"]
        self.eos: int = manifest["eos"]
        self.num_tokens: int = manifest["num_tokens"]
        self.num_documents: int = manifest["num_documents"]
        shards = manifest["shards"]
        self._first_token = np.cumsum([0] + [s["num_tokens"] for s in shards])
        self._first_document = np.cumsum([0] + [s["num_documents"] for s in shards])
        self.proof = Proof(folder, _files(manifest))
        self._tokens = [self._map(s) for s in shards]
        self._starts = [self._map_starts(s) for s in shards]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a data folder. Raises EvergrowError for a missing, truncated or changed file."""
        return cls(folder, read_manifest(folder))

    def _map(self, shard: dict[str, Any]) -> np.ndarray:
        if shard["num_tokens"] == 0:
            return np.empty(0, self.manifest["dtype"])
        return np.memmap(self.folder / shard["file"], self.manifest["dtype"], mode="r")

    def _map_starts(self, shard: dict[str, Any]) -> np.ndarray:
        return np.memmap((self.folder / shard["file"]).with_suffix(".idx"), "<i8", mode="r")

    def num_windows(self, sequence_length: int) -> int:
        """Windows of T tokens and the target of the last one; a rest shorter than T is not read."""
        return max(0, (self.num_tokens - 1) // sequence_length)

    def tokens_an_item(self, sequence_length: int) -> float:
        """What a window moves the clock by: its length."""
        return float(sequence_length)

    def window(self, index: int, sequence_length: int) -> np.ndarray:
        """Tokens [i T, i T + T] as int64 [T + 1]: T inputs, and T targets one further."""
        self.proof.hold()
        first = self._first_of(index, sequence_length)
        window = np.empty(sequence_length + 1, np.int64)
        for shard, begin, end, place in self._pieces(first, first + sequence_length + 1):
            window[place : place + end - begin] = self._tokens[shard][begin:end]
        return window

    def window_documents(self, index: int, sequence_length: int) -> np.ndarray:
        """The number of the document that each token of the window belongs to, int64 [T + 1].

        Documents count from 0 through the source; an EOS belongs to the document it ends, a BOS
        to the one it begins.
        """
        first = self._first_of(index, sequence_length)
        documents = np.empty(sequence_length + 1, np.int64)
        for shard, begin, end, place in self._pieces(first, first + sequence_length + 1):
            found = np.searchsorted(self._starts[shard], np.arange(begin, end), side="right") - 1
            documents[place : place + end - begin] = found + self._first_document[shard]
        return documents

    def _first_of(self, index: int, sequence_length: int) -> int:
        if not 0 <= index < self.num_windows(sequence_length):
            raise IndexError(
                f"{self.name}: window {index} of {self.num_windows(sequence_length)} "
                f"windows of {sequence_length} tokens"
            )
        return index * sequence_length

    def _pieces(self, first: int, last: int) -> Iterator[tuple[int, int, int, int]]:
        """(shard, begin and end in it, place in the window) of the tokens from first to last."""
        shard = int(np.searchsorted(self._first_token, first, side="right")) - 1
        position = first
        while position < last:
            start, stop = int(self._first_token[shard]), int(self._first_token[shard + 1])
            end = min(stop, last)
            yield shard, position - start, end - start, position - first
            position, shard = end, shard + 1

    def held_out(self) -> list[HeldOutDocument]:
        """The held-out documents in the order of their shards; texts are read when asked for."""
        path = self.folder / "held_out" / "documents.parquet"
        table = _read_table(path, ["content_hash", "path", "num_bytes"]).to_pydict()
        skipped = 1 if "first" in self.manifest else 0  # what begins a document
        tokens: list[np.ndarray] = []
        for shard in self.manifest["held_out"]["shards"]:
            ids, starts = self._map(shard), self._map_starts(shard)
            tokens += [ids[begin + skipped : end - 1] for begin, end in pairwise(starts)]
        rows = zip(table["content_hash"], table["path"], tokens, table["num_bytes"], strict=True)
        return [HeldOutDocument(*row, self._text_at(i)) for i, row in enumerate(rows)]

    def _text_at(self, row: int) -> Callable[[], str]:
        return lambda: self._held_out_texts[row]

    @cached_property
    def _held_out_texts(self) -> list[str]:
        path = self.folder / "held_out" / "documents.parquet"
        return _read_table(path, ["text"])["text"].to_pylist()


def _files(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Size and checksum of every file: those of shards are counted in tokens."""
    width = np.dtype(manifest["dtype"]).itemsize
    shards = manifest["shards"] + manifest["held_out"]["shards"]
    sized = {s["file"]: {"bytes": s["num_tokens"] * width, "blake3": s["blake3"]} for s in shards}
    return sized | manifest["files"]


def _read_table(path: Path, columns: list[str]) -> Any:
    """Columns of a Parquet file; Arrow is 38 MB of memory that plain training does not need."""
    from pyarrow import parquet

    return parquet.read_table(path, columns=columns)
