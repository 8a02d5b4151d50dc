"""The index by itself: written, read again, joined."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from evergrow.corpus.curate import index
from evergrow.corpus.curate.config import NearConfig
from evergrow.corpus.curate.index import Index, load_index, write_index

TWO = NearConfig(permutations=2, bands=2)


def index_of(numbers: list[int], corpus: str, bands: int = 2) -> Index:
    """Documents with these numbers as ids, hashes and bands; two sources in turn."""
    pairs = np.repeat(np.array(numbers, np.uint64)[:, None], 2, axis=1)
    num = len(numbers)
    return Index(
        ids_E2=pairs,
        hashes_E2=pairs + np.uint64(100),
        bands_EB=np.repeat(pairs[:, :1], bands, axis=1),
        signatures_EP=np.repeat(pairs[:, :1], bands, axis=1).astype(np.uint8),
        source_E=np.arange(num, dtype=np.int32) % 2,
        corpus_E=np.zeros(num, np.int32),
        sources=["news", "code"],
        corpora=[corpus],
    )


def folder_of(path: Path, *indexes: Index) -> Path:
    path.mkdir()
    write_index(path, indexes)
    return path


def told(found: Index) -> list[tuple[int, int, int, str, str]]:
    return [
        (
            int(found.ids_E2[e, 0]),
            int(found.hashes_E2[e, 1]),
            int(found.bands_EB[e].sum()),
            found.sources[found.source_E[e]],
            found.corpora[found.corpus_E[e]],
        )
        for e in range(len(found))
    ]


def test_what_is_written_is_read_whatever_the_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "ROWS_AT_A_TIME", 2)
    first, second = index_of([1, 2, 3], "one"), index_of([4, 0], "two")
    folder = folder_of(tmp_path / "both", first, second)
    assert told(load_index([folder], TWO)) == [
        (1, 101, 2, "news", "one"),
        (2, 102, 4, "code", "one"),
        (3, 103, 6, "news", "one"),
        (4, 104, 8, "news", "two"),
        (0, 100, 0, "code", "two"),
    ]
    table = pq.read_table(folder / "index.parquet")
    assert table["id"][0].as_py() == "0100000000000000" * 2
    assert table["bands"].null_count == 1, "a text without a word has no bands"


def test_two_indexes_that_share_documents_are_one(tmp_path: Path) -> None:
    folders = [
        folder_of(tmp_path / "a", index_of([1, 2], "one")),
        folder_of(tmp_path / "b", index_of([2, 5], "two")),
    ]
    assert [(row[0], row[-1]) for row in told(load_index(folders, TWO))] == [
        (1, "one"),
        (2, "one"),
        (5, "two"),
    ]


def test_without_near_duplicates_there_are_no_bands(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "a", index_of([1, 2], "one", bands=0))
    assert load_index([folder], None).bands_EB.shape == (2, 0)
    assert pq.read_table(folder / "index.parquet")["bands"].null_count == 2
    assert len(load_index([], TWO)) == 0


def test_documents_without_bands_are_read_beside_others(tmp_path: Path) -> None:
    folders = [
        folder_of(tmp_path / "a", index_of([1, 2], "one", bands=0)),
        folder_of(tmp_path / "b", index_of([3], "two", bands=2)),
    ]
    found = load_index(folders, TWO)
    assert found.bands_EB.tolist() == [[0, 0], [0, 0], [3, 3]]
    assert found.signatures_EP.tolist() == [[0, 0], [0, 0], [3, 3]]
