from pathlib import Path

import pyarrow.parquet as pq
import pytest

from evergrow.corpus import table
from evergrow.corpus.document import Document


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


def test_no_more_than_a_row_group_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "ROW_GROUP_BYTES", 1000)
    path = tmp_path / "documents.parquet"
    table.write_documents(path, (Document.of("x" * 400, "web", f"{i}") for i in range(10)))
    with pq.ParquetFile(path) as file:
        rows = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert rows == [3, 3, 3, 1]


def test_many_tiny_rows_make_several_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "ROW_GROUP_ROWS", 4)
    path = tmp_path / "documents.parquet"
    table.write_documents(path, (Document.of("x", "web", f"{i}") for i in range(10)))
    with pq.ParquetFile(path) as file:
        rows = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert rows == [4, 4, 2]
