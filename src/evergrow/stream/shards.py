"""Immutable token shards on disk: written once, verified when opened, read through memory maps."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Self, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from transformers import PreTrainedTokenizerFast

from evergrow.corpus.document import Document
from evergrow.disk import checksum
from evergrow.errors import EvergrowError, InputError
from evergrow.stream.tokenizer import encode_documents

FORMAT = 1
SHARD_TOKENS = 2**27  # 256 MiB of uint16
ENCODED_AT_ONCE = 4 * 2**20  # bytes of text
# A row's num_tokens counts its EOS, as num_tokens does everywhere; ``parent`` is the id as read of
# a document that was cut or lost lines, else null.
TRAIN_COLUMNS = {
    "id": pa.string(),
    "parent": pa.string(),
    "source": pa.string(),
    "path": pa.string(),
    "date": pa.string(),
    "num_bytes": pa.int64(),
    "num_tokens": pa.int64(),
}
HELD_OUT_COLUMNS = {
    "id": pa.string(),
    "parent": pa.string(),
    "path": pa.string(),
    "text": pa.string(),
    "num_bytes": pa.int64(),
}


def token_dtype(vocab_size: int) -> np.dtype:
    """Little-endian uint16 for up to 65,536 tokens, else uint32."""
    return np.dtype("<u2" if vocab_size <= 2**16 else "<u4")


@final
class _PartWriter:
    """Writes one part (train or held_out): shards with their offsets, and the table beside them.

    ``open_files`` closes what a failure leaves open; the folder is deleted by who made it.
    """

    def __init__(
        self, folder: Path, form: "_Form", columns: dict[str, pa.DataType], open_files: ExitStack
    ) -> None:
        folder.mkdir()
        self._folder, self._form, self._columns = folder, form, columns
        schema = pa.schema(columns)
        table = pq.ParquetWriter(folder / "documents.parquet", schema)
        self._table = open_files.enter_context(table)
        self._start_shard(0)
        open_files.callback(lambda: self._bin.close())
        self.shards: list[dict[str, Any]] = []
        self.files: dict[str, dict[str, Any]] = {}
        self.num_documents = self.num_tokens = self.num_bytes = 0

    def write(self, documents: Sequence[Document], tokens: Sequence[np.ndarray]) -> None:
        """Append documents with an EOS after each; a shard ends with the document that fills it."""
        rows = []
        for document, ids in zip(documents, tokens, strict=True):
            if self._starts[-1] >= self._form.shard_tokens:
                self._end_shard()
                self._start_shard(len(self.shards))
            self._bin.write(np.append(ids, self._form.eos).astype(self._form.dtype).tobytes())
            self._starts.append(self._starts[-1] + len(ids) + 1)
            row = asdict(document)
            row |= {"num_bytes": document.num_bytes, "num_tokens": len(ids) + 1}
            rows.append({column: row[column] for column in self._columns})
            self.num_documents += 1
            self.num_tokens += len(ids) + 1
            self.num_bytes += document.num_bytes
        if rows:
            self._table.write_table(pa.Table.from_pylist(rows, schema=pa.schema(self._columns)))

    def finish(self) -> None:
        """End the last shard and the table."""
        self._end_shard()
        self._table.close()
        self._record(self._folder / "documents.parquet")

    @property
    def counts(self) -> dict[str, int]:
        return {
            "num_documents": self.num_documents,
            "num_tokens": self.num_tokens,
            "num_bytes": self.num_bytes,
        }

    def _start_shard(self, number: int) -> None:
        self._bin = (self._folder / f"shard-{number:05d}.bin").open("wb")
        self._starts = [0]

    def _end_shard(self) -> None:
        self._bin.close()
        path = Path(self._bin.name)
        path.with_suffix(".idx").write_bytes(np.array(self._starts, dtype="<i8").tobytes())
        self._record(path.with_suffix(".idx"))
        self.shards.append(
            {
                "file": f"{self._folder.name}/{path.name}",
                "num_tokens": self._starts[-1],
                "num_documents": len(self._starts) - 1,
                "blake3": checksum(path),
            }
        )

    def _record(self, path: Path) -> None:
        name = f"{self._folder.name}/{path.name}"
        self.files[name] = {"bytes": path.stat().st_size, "blake3": checksum(path)}


class _Form(NamedTuple):
    """How the tokens of a data folder are laid out."""

    dtype: np.dtype
    eos: int
    shard_tokens: int


def write_shards(
    folder: Path,
    documents: Iterable[tuple[Document, bool]],
    tokenizer: PreTrainedTokenizerFast,
    manifest: dict[str, Any],
    shard_tokens: int = SHARD_TOKENS,
) -> dict[str, Any]:
    """Tokenise ``documents`` (with whether each is held out) into the empty ``folder``.

    ``manifest`` holds what is known already (source, key, created_from, dropped ...); the rest is
    added, written to manifest.json and returned. The folder is the caller's to sync and to rename.
    """
    eos = tokenizer.eos_token_id
    assert isinstance(eos, int)
    form = _Form(token_dtype(max(tokenizer.get_vocab().values()) + 1), eos, shard_tokens)
    with ExitStack() as open_files:
        train = _PartWriter(folder / "train", form, TRAIN_COLUMNS, open_files)
        held_out = _PartWriter(folder / "held_out", form, HELD_OUT_COLUMNS, open_files)
        for batch in _batches(documents):
            tokens = encode_documents(tokenizer, [document.text for document, _ in batch])
            for part, wanted in ((train, False), (held_out, True)):
                places = [i for i, (_, is_held_out) in enumerate(batch) if is_held_out == wanted]
                part.write([batch[i][0] for i in places], [tokens[i] for i in places])
        train.finish()
        held_out.finish()
    manifest = manifest | {
        "format": FORMAT,
        "dtype": form.dtype.name,
        "eos": eos,
        **train.counts,
        "shards": train.shards,
        "held_out": held_out.counts | {"shards": held_out.shards},
        "files": train.files | held_out.files,
    }
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    return manifest


def _batches(documents: Iterable[tuple[Document, bool]]) -> Iterator[list[tuple[Document, bool]]]:
    batch, size = [], 0
    for document, is_held_out in documents:
        batch.append((document, is_held_out))
        size += document.num_bytes
        if size >= ENCODED_AT_ONCE:
            yield batch
            batch, size = [], 0
    yield batch


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a data folder. Raises EvergrowError when it is missing, broken or newer."""
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvergrowError(
            f"{path}: cannot be read ({error}); delete {folder} and prepare the data again"
        ) from error
    if manifest["format"] > FORMAT:
        raise InputError(
            f"{path}: format {manifest['format']} is newer than {FORMAT}, which this evergrow "
            "reads; install a newer evergrow"
        )
    return manifest


@dataclass(frozen=True)
class HeldOutDocument:
    """One held-out document: its tokens (without EOS) and the bytes of its text; text on demand."""

    id: str
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
        self._tokens = [self._map(s) for s in shards]
        self._starts = [self._map_starts(s) for s in shards]

    @classmethod
    def open(cls, folder: Path, verify: bool = False) -> Self:
        """Open a data folder; sizes are compared with the manifest, with ``verify`` also bytes.

        Raises EvergrowError for a missing, truncated or (with ``verify``) changed file.
        """
        manifest = read_manifest(folder)
        width = np.dtype(manifest["dtype"]).itemsize
        for shard in manifest["shards"] + manifest["held_out"]["shards"]:
            _check_size(folder / shard["file"], shard["num_tokens"] * width)
            if verify:
                _check_bytes(folder / shard["file"], shard["blake3"])
        for name, file in manifest["files"].items():
            _check_size(folder / name, file["bytes"])
            if verify:
                _check_bytes(folder / name, file["blake3"])
        return cls(folder, manifest)

    def _map(self, shard: dict[str, Any]) -> np.ndarray:
        if shard["num_tokens"] == 0:
            return np.empty(0, self.manifest["dtype"])
        return np.memmap(self.folder / shard["file"], self.manifest["dtype"], mode="r")

    def _map_starts(self, shard: dict[str, Any]) -> np.ndarray:
        return np.memmap((self.folder / shard["file"]).with_suffix(".idx"), "<i8", mode="r")

    def num_windows(self, sequence_length: int) -> int:
        """Windows of T tokens and the target of the last one; a rest shorter than T is not read."""
        return max(0, (self.num_tokens - 1) // sequence_length)

    def window(self, index: int, sequence_length: int) -> np.ndarray:
        """Tokens [i T, i T + T] as int64 [T + 1]: T inputs, and T targets one further."""
        first = self._first_of(index, sequence_length)
        window = np.empty(sequence_length + 1, np.int64)
        for shard, begin, end, place in self._pieces(first, first + sequence_length + 1):
            window[place : place + end - begin] = self._tokens[shard][begin:end]
        return window

    def window_documents(self, index: int, sequence_length: int) -> np.ndarray:
        """The number of the document that each token of the window belongs to, int64 [T + 1].

        Documents count from 0 through the source; an EOS belongs to the document it ends.
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
        table = pq.read_table(path, columns=["id", "path", "num_bytes"]).to_pydict()
        tokens: list[np.ndarray] = []
        for shard in self.manifest["held_out"]["shards"]:
            ids, starts = self._map(shard), self._map_starts(shard)
            tokens += [ids[begin : end - 1] for begin, end in pairwise(starts)]
        rows = zip(table["id"], table["path"], tokens, table["num_bytes"], strict=True)
        return [HeldOutDocument(*row, self._text_at(i)) for i, row in enumerate(rows)]

    def _text_at(self, row: int) -> Callable[[], str]:
        return lambda: self._held_out_texts[row]

    @cached_property
    def _held_out_texts(self) -> list[str]:
        path = self.folder / "held_out" / "documents.parquet"
        return pq.read_table(path, columns=["text"])["text"].to_pylist()


def _check_size(path: Path, num_bytes: int) -> None:
    found = path.stat().st_size if path.exists() else 0
    if found != num_bytes:
        state = "truncated" if found < num_bytes else "too long"
        raise EvergrowError(
            f"{path}: {state}, {found:,} bytes where the manifest says {num_bytes:,}; "
            "restore the folder or delete it and prepare the data again"
        )


def _check_bytes(path: Path, digest: str) -> None:
    if not path.exists() or checksum(path) != digest:
        raise EvergrowError(
            f"{path}: its bytes are not those the manifest recorded; "
            "restore the folder or delete it and prepare the data again"
        )
