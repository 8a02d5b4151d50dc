"""All groups: their tables, their keys, and what becomes of strange texts."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from evergrow.corpus.document import Document
from evergrow.corpus.signals import GROUPS, measure_documents
from evergrow.corpus.signals.group import SignalGroup

STRANGE = [
    "",
    " ",
    "\n\n\n",
    "a",
    "\x00\x85\u2028",
    "🙂" * 9,
    "{" * 5000,
    '"""',
    "'" * 999,
    "#!",
    "-",
]


def documents(texts: list[str], path: str = "a.txt") -> list[Document]:
    return [
        Document.of(text, "source", path, key=f"{path}#{n}", file_name=path)
        for n, text in enumerate(texts)
    ]


def test_a_table_a_group_with_a_row_a_document() -> None:
    read = documents(["One two.", "", "Three"])
    tables = measure_documents(read, list(GROUPS.values()))
    assert tables.keys() == GROUPS.keys()
    for name, table in tables.items():
        assert table.schema == GROUPS[name].schema
        assert table["id"].to_pylist() == [document.id for document in read]
        assert all(column.null_count == 0 for column in table.columns)


def test_no_documents_make_empty_tables_of_the_same_schema() -> None:
    tables = measure_documents([], list(GROUPS.values()))
    assert all(tables[name].schema == group.schema for name, group in GROUPS.items())
    assert {table.num_rows for table in tables.values()} == {0}


@pytest.mark.parametrize("path", ["a.txt", "a.py", "a.html", "a.json", "a.js"])
def test_strange_texts_have_values_and_no_infinity(path: str) -> None:
    for table in measure_documents(documents(STRANGE, path), list(GROUPS.values())).values():
        for column in table.columns:
            if pa.types.is_floating(column.type):
                assert not np.isinf(column.to_numpy()).any()


def test_a_document_is_measured_alike_alone_and_among_others() -> None:
    texts = ["It's a long way.", "Its way is long.", "A way"]
    together = measure_documents(documents(texts), list(GROUPS.values()))
    for n, document in enumerate(documents(texts)):
        alone = measure_documents([document], list(GROUPS.values()))
        for name, table in together.items():
            assert str(table.slice(n, 1).to_pylist()) == str(alone[name].to_pylist())


def test_the_key_changes_with_version_fields_and_parameters() -> None:
    group = SignalGroup("x", 1, {"a": pa.int64()}, lambda document, words: (1,), {"n": 5})
    others = [
        replace(group, version=2),
        replace(group, fields={"a": pa.float64()}),
        replace(group, parameters={"n": 6}),
    ]
    assert group.key == replace(group, compute=lambda document, words: (2,)).key
    assert len({group.key, *(other.key for other in others)}) == 4
    assert group.key.startswith("x@") and len(group.key) == 14
