from pathlib import Path

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
