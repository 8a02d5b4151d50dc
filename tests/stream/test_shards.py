import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from transformers import PreTrainedTokenizerFast

from evergrow.corpus.document import Document, content_hash
from evergrow.errors import EvergrowError, InputError
from evergrow.stream import writer
from evergrow.stream.proof import write_data_manifest
from evergrow.stream.shards import TokenSource
from evergrow.stream.tokenizer import encode_documents, train_tokenizer
from evergrow.stream.writer import token_dtype, write_shards

TEXTS = [f"the tree number {i} has {'many ' * (i % 7)}leaves\n" for i in range(40)]
HELD_OUT = {3, 17, 31}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(TEXTS, 300)


@pytest.fixture
def data(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> Path:
    documents = [Document.of(text, "web", f"{i}.txt") for i, text in enumerate(TEXTS)]
    split = [(d, i in HELD_OUT) for i, d in enumerate(documents)]
    (tmp_path / "data").mkdir()
    write_shards(tmp_path / "data", split, tokenizer, {"source": "web", "key": "k"}, 100)
    return tmp_path / "data"


def expected(tokenizer: PreTrainedTokenizerFast) -> tuple[np.ndarray, np.ndarray]:
    """All training tokens with an EOS after every document, and every token's document."""
    training = [t for i, t in enumerate(TEXTS) if i not in HELD_OUT]
    pieces = [np.append(ids, 0) for ids in encode_documents(tokenizer, training)]
    return np.concatenate(pieces), np.repeat(np.arange(len(pieces)), [len(p) for p in pieces])


def test_tokens_are_narrow_when_the_vocabulary_allows() -> None:
    assert token_dtype(65_536) == np.dtype("<u2")
    assert token_dtype(65_537) == np.dtype("<u4")


def test_windows_are_the_stream_of_tokens_across_shards(
    data: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    source = TokenSource.open(data)
    tokens, documents = expected(tokenizer)
    assert len(source.manifest["shards"]) > 3
    assert source.num_tokens == len(tokens)
    for length in (7, 64, 250):  # 250 spans three shards
        assert source.num_windows(length) == (len(tokens) - 1) // length
        for i in range(source.num_windows(length)):
            window = source.window(i, length)
            assert window.dtype == np.int64
            np.testing.assert_array_equal(window, tokens[i * length : (i + 1) * length + 1])
            found = source.window_documents(i, length)
            np.testing.assert_array_equal(found, documents[i * length : (i + 1) * length + 1])


def test_the_last_window_ends_with_the_last_token(data: Path) -> None:
    source = TokenSource.open(data)
    assert source.num_windows(source.num_tokens - 1) == 1
    assert source.num_windows(source.num_tokens) == 0
    assert source.window(0, source.num_tokens - 1)[-1] == source.eos
    for index in (-1, 1):
        with pytest.raises(IndexError, match=f"web: window {index} of 1 windows"):
            source.window(index, source.num_tokens - 1)


def test_shards_end_with_the_document_that_fills_them(data: Path) -> None:
    for shard in TokenSource.open(data).manifest["shards"]:
        starts = np.fromfile((data / shard["file"]).with_suffix(".idx"), "<i8")
        tokens = np.fromfile(data / shard["file"], "<u2")
        assert (starts[0], starts[-1], len(starts) - 1) == (0, len(tokens), shard["num_documents"])
        assert starts[-2] < 100
        assert (tokens[starts[1:] - 1] == 0).all()
        assert (tokens == 0).sum() == shard["num_documents"]


def test_held_out_documents_come_without_eos_and_with_their_text(
    data: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    source = TokenSource.open(data)
    found = source.held_out()
    assert [d.text for d in found] == [TEXTS[i] for i in sorted(HELD_OUT)]
    assert [d.num_bytes for d in found] == [len(TEXTS[i]) for i in sorted(HELD_OUT)]
    assert [tokenizer.decode(d.tokens.tolist()) for d in found] == [d.text for d in found]
    assert [d.content_hash for d in found] == [content_hash(d.text) for d in found]
    assert source.manifest["held_out"]["num_tokens"] == sum(len(d.tokens) + 1 for d in found)


def test_the_manifest_counts_what_the_tables_list(data: Path) -> None:
    manifest = TokenSource.open(data).manifest
    rows = pq.read_table(data / "train" / "documents.parquet").to_pylist()
    assert len(rows) == manifest["num_documents"] == 37
    assert sum(row["num_tokens"] for row in rows) == manifest["num_tokens"]
    assert sum(row["num_bytes"] for row in rows) == manifest["num_bytes"]
    assert (rows[3]["path"], rows[3]["source"], rows[3]["date"]) == ("4.txt", "web", None)
    assert (manifest["dtype"], manifest["eos"], manifest["format"]) == ("uint16", 0, 1)


def test_documents_are_encoded_in_batches_without_a_seam(
    data: Path, tokenizer: PreTrainedTokenizerFast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "ENCODED_AT_ONCE", 90)
    (tmp_path / "again").mkdir()
    documents = [
        (Document.of(text, "web", f"{i}.txt"), i in HELD_OUT) for i, text in enumerate(TEXTS)
    ]
    manifest = write_shards(
        tmp_path / "again", documents, tokenizer, {"source": "web", "key": "k"}, 100
    )
    assert manifest["shards"] == TokenSource.open(data).manifest["shards"]


def test_truncated_shard(data: Path) -> None:
    path = data / "train" / "shard-00001.bin"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(EvergrowError) as error:
        TokenSource.open(data)
    assert str(error.value) == (
        f"{path}: truncated, {size - 6} bytes where the manifest says {size}; "
        "restore the folder or delete it and prepare the data again"
    )


@pytest.mark.parametrize(
    "damage", [lambda p: p.unlink(), lambda p: p.write_bytes(p.read_bytes() + b"x")]
)
@pytest.mark.parametrize(
    "name", ["train/shard-00000.idx", "held_out/shard-00000.bin", "held_out/documents.parquet"]
)
def test_every_file_is_measured(data: Path, name: str, damage: Callable[[Path], None]) -> None:
    damage(data / name)
    with pytest.raises(EvergrowError, match=f"{name}: (truncated|too long)"):
        TokenSource.open(data)


@pytest.mark.parametrize("name", ["train/shard-00002.bin", "held_out/shard-00000.idx"])
def test_changed_bytes_are_found_when_opened(data: Path, name: str) -> None:
    path = data / name
    found = bytearray(path.read_bytes())
    found[5] ^= 1
    path.write_bytes(found)
    with pytest.raises(EvergrowError, match=f"{name}: its bytes are not those"):
        TokenSource.open(data)


def test_a_newer_format_and_a_broken_manifest_are_refused(data: Path) -> None:
    path = data / "manifest.json"
    write_data_manifest(data, json.loads(path.read_text()) | {"format": 2})
    with pytest.raises(InputError, match=r"format 2 is newer than 1, .* install a newer evergrow"):
        TokenSource.open(data)
    path.write_text("{")
    with pytest.raises(EvergrowError, match=r"manifest\.json: damaged"):
        TokenSource.open(data)
