"""JSON arrays and objects over several lines, whole and damaged."""

import json
import random
from pathlib import Path

import pytest

from evergrow.corpus import unpack
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.files import SourceFile
from evergrow.corpus.formats import json_values
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.reader import read_files

ROWS = [{"text": "öne"}, {"text": "two", "more": [1, {"a": None}]}, {"text": "th\n]}ree"}]


def read(folder: Path, data: bytes | str, name: str = "a.json"):
    (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
    quarantine = Quarantine("web", max_bad=1)
    file = SourceFile.at(folder / name, folder)
    found = list(read_files(SourceConfig(files=["*"]), [file], quarantine))
    return [(d.key, d.text) for d in found], [(r.offset, r.reason) for r in quarantine.records]


SHAPES = {
    "array": json.dumps(ROWS, ensure_ascii=False),
    "indented": json.dumps(ROWS, indent=2, ensure_ascii=False),
    "indented objects": "\n".join(json.dumps(row, indent=2, ensure_ascii=False) for row in ROWS),
    "lines": "\n".join(json.dumps(row) for row in ROWS) + "\n",
    "blank before and after": "\ufeff \n\n" + json.dumps(ROWS) + "\n \n",
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("piece", [1, 7, 2**17])
def test_objects_are_found_in_every_shape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: str, piece: int
) -> None:
    monkeypatch.setattr(json_values, "BUFFER_BYTES", piece)
    data = SHAPES[shape].encode()
    documents, bad = read(tmp_path, data)
    assert ([text for _, text in documents], bad) == ([row["text"] for row in ROWS], [])
    for key, _ in documents:  # the offset is that of the object
        assert data[int(key.partition("#")[2]) :][:1] == b"{"


def test_one_object_is_one_document(tmp_path: Path) -> None:
    assert read(tmp_path, json.dumps(ROWS[0], indent=1))[0] == [("a.json#0", "öne")]


@pytest.mark.parametrize(
    ("data", "texts", "bad"),
    [
        ('[{"text": "a"}, 7, {"text": "b"}]', ["a", "b"], [(16, "rows that are not JSON objects")]),
        ('[{"text": "a"}, {"no": 1}]', ["a"], [(16, "text field 'text' that is missing")]),
        ('[{"text": "a", "text": "b"}]', [], [(1, "rows with a key given twice")]),
        ('[{"text": "a"}, {"text": ', ["a"], [(16, "JSON that is damaged or breaks off")]),
        ('[{"text": "a"}', ["a"], [(14, "JSON that is damaged or breaks off")]),
        ('[{"text": "a"}] more', ["a"], [(16, "JSON that is damaged or breaks off")]),
        ('[{"text": "a"}, oops, {}]', ["a"], [(16, "JSON that is damaged or breaks off")]),
        ("[" * 100_000, [], [(1, "JSON that is damaged or breaks off")]),
        ("[]", [], []),
        ('{"text": "a"}\n{"text": \n{"text": "b"}\n', ["a", "b"], [(14, "rows that are not JSON")]),
    ],
)
def test_damage_costs_what_it_hits(
    tmp_path: Path, data: str, texts: list[str], bad: list[tuple[int, str]]
) -> None:
    documents, found = read(tmp_path, data)
    assert ([text for _, text in documents], found) == (texts, bad)


def test_bytes_that_are_not_utf8_cost_their_object(tmp_path: Path) -> None:
    documents, bad = read(tmp_path, b'[{"text": "a"}, {"text": "\xff"}, {"text": "c"}]')
    assert [text for _, text in documents] == ["a", "c"]
    assert bad == [(16, "bytes that are not UTF-8")]


def test_an_object_that_never_ends_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_values, "MAX_LINE_BYTES", 10_000)
    monkeypatch.setattr(json_values, "BUFFER_BYTES", 1000)
    assert unpack.BUFFER_BYTES > 1000
    documents, bad = read(tmp_path, '[{"text": "a"}, {"text": "' + "x" * 100_000)
    assert [text for _, text in documents] == ["a"]
    assert bad == [(16, "JSON that is damaged or breaks off")]


def test_many_objects_are_all_found(tmp_path: Path) -> None:
    choose = random.Random(0)
    rows = [{"text": "é" * choose.randrange(3000), "n": i} for i in range(2000)]
    documents, bad = read(tmp_path, json.dumps(rows, indent=1, ensure_ascii=False))
    assert ([text for _, text in documents], bad) == ([row["text"] for row in rows], [])
