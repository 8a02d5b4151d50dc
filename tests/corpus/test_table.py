from pathlib import Path

import pyarrow.parquet as pq
import pytest

from evergrow.corpus import table
from evergrow.corpus.document import Document
from evergrow.errors import InputError


def test_documents_come_back_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "ROW_GROUP_BYTES", 8)
    documents = [Document.of("é" * i, "web", f"{i}", "2020") for i in range(1, 9)]
    documents.append(documents[0].edited("edited"))
    path = tmp_path / "documents.parquet"
    assert table.write_documents(path, documents) == (9, 2 * 36 + 6)
    assert list(table.stored_documents(path)) == documents


def test_the_same_documents_give_the_same_bytes(tmp_path: Path) -> None:
    documents = [Document.of(f"text {i}", "web", "p") for i in range(50)]
    table.write_documents(tmp_path / "a", documents)
    table.write_documents(tmp_path / "b", documents)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_shards_end_with_the_document_that_fills_them(tmp_path: Path) -> None:
    documents = [
        Document.of("x" * size, "web", f"{size}-{i}") for i, size in enumerate([6, 6, 20, 3])
    ]
    paths = table.write_shards_of_documents(tmp_path, "web-00001", iter(documents), 10)
    assert [path.name for path in paths] == [f"web-00001-000{i}.parquet" for i in range(3)]
    stored = [list(table.stored_documents(path)) for path in paths]
    assert stored == [documents[:2], documents[2:3], documents[3:]]
    assert table.write_shards_of_documents(tmp_path, "none", iter([]), 10) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == [p.name for p in paths]


def test_a_shard_that_fails_leaves_the_finished_ones(tmp_path: Path) -> None:
    def documents():
        yield Document.of("x" * 10, "web", "1")
        yield Document.of("x" * 5, "web", "2")
        raise InputError("broken")

    with pytest.raises(InputError, match="broken"):
        table.write_shards_of_documents(tmp_path, "web", documents(), 10)
    assert [p.name for p in tmp_path.iterdir()] == ["web-0000.parquet"]


def test_no_more_than_a_row_group_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "ROW_GROUP_BYTES", 1000)
    path = tmp_path / "documents.parquet"
    table.write_documents(path, (Document.of("x" * 400, "web", f"{i}") for i in range(10)))
    with pq.ParquetFile(path) as file:
        rows = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert rows == [3, 3, 3, 1]
