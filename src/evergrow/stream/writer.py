"""Documents to immutable token shards on disk, written once."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from transformers import PreTrainedTokenizerFast

from evergrow.corpus.document import Document
from evergrow.disk import checksum
from evergrow.models.convention import begins_by_itself, first_id
from evergrow.stream.proof import write_data_manifest
from evergrow.stream.shards import FORMAT
from evergrow.stream.tokenizer import encode_documents

SHARD_TOKENS = 2**27  # 256 MiB of uint16
ENCODED_AT_ONCE = 4 * 2**20  # bytes of text
# A row's num_tokens counts its EOS, and a BOS where there is one, as num_tokens does everywhere;
# ``id`` is the origin's; ``parent`` the content hash as read of a document that was cut or lost
# lines, else null.
TRAIN_COLUMNS = {
    "id": pa.string(),
    "content_hash": pa.string(),
    "parent": pa.string(),
    "source": pa.string(),
    "path": pa.string(),
    "date": pa.string(),
    "num_bytes": pa.int64(),
    "num_tokens": pa.int64(),
}
HELD_OUT_COLUMNS = {
    "id": pa.string(),
    "content_hash": pa.string(),
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
        """Append documents, each within the tokens that begin and end it.

        A shard ends with the document that fills it.
        """
        before, after = self._form.first, [self._form.eos]
        rows = []
        for document, ids in zip(documents, tokens, strict=True):
            if self._starts[-1] >= self._form.shard_tokens:
                self._end_shard()
                self._start_shard(len(self.shards))
            whole = np.concatenate([before, ids, after])
            self._bin.write(whole.astype(self._form.dtype).tobytes())
            self._starts.append(self._starts[-1] + len(whole))
            row = asdict(document)
            row |= {"num_bytes": document.num_bytes, "num_tokens": len(whole)}
            rows.append({column: row[column] for column in self._columns})
            self.num_documents += 1
            self.num_tokens += len(whole)
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
    """How the tokens of a data folder are laid out; ``first`` has the id that begins a document.

    It is empty where that is the EOS of the document before (models/convention.py).
    """

    dtype: np.dtype
    first: list[int]
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
    first = first_id(tokenizer)
    begin = [first] if begins_by_itself(tokenizer) and first is not None else []
    dtype = token_dtype(max(tokenizer.get_vocab().values()) + 1)
    form = _Form(dtype, begin, eos, shard_tokens)
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
        **({"first": form.first[0]} if form.first else {}),
        **train.counts,
        "shards": train.shards,
        "held_out": held_out.counts | {"shards": held_out.shards},
        "files": train.files | held_out.files,
    }
    return write_data_manifest(folder, manifest)


def _batches(documents: Iterable[tuple[Document, bool]]) -> Iterator[list[tuple[Document, bool]]]:
    batch, size = [], 0
    for document, is_held_out in documents:
        batch.append((document, is_held_out))
        size += document.num_bytes
        if size >= ENCODED_AT_ONCE:
            yield batch
            batch, size = [], 0
    yield batch
