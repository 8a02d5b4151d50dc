"""A unit is done when its key is the one asked for and every file has its checksum."""

from pathlib import Path

import pyarrow as pa
import pytest

from evergrow.config import Record
from evergrow.corpus.curate.units import (
    Done,
    finish,
    finished,
    key_of,
    remove_left_overs,
    remove_others,
    write_table,
)


class Rows(Record):
    rows: int


def a_unit(folder: Path) -> Done[Rows]:
    stored = write_table(folder, "part/one.parquet", pa.table({"n": [1, 2]}))
    return finish(folder, "part/one.json", "key", [stored], Rows(rows=2))


def test_a_finished_unit_is_found_as_it_was_made(tmp_path: Path) -> None:
    made = a_unit(tmp_path)
    assert finished(tmp_path, "part/one.json", "key", Rows) == made
    assert made.files[0].rows == 2
    assert made.counts.rows == 2


def test_another_key_a_damage_or_a_missing_file_is_not_done(tmp_path: Path) -> None:
    a_unit(tmp_path)
    assert finished(tmp_path, "part/one.json", "other key", Rows) is None
    assert finished(tmp_path, "part/two.json", "key", Rows) is None
    path = tmp_path / "part/one.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1  # the same size
    path.write_bytes(data)
    assert finished(tmp_path, "part/one.json", "key", Rows) is None
    path.unlink()
    assert finished(tmp_path, "part/one.json", "key", Rows) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"key": "ke',
        "[]",
        "null",
        '{"key": "key", "files": [7]}',
        '{"key": "key", "files": [], "counts": {}}',
    ],
)
def test_a_damaged_sidecar_is_not_done(tmp_path: Path, text: str) -> None:
    a_unit(tmp_path)
    (tmp_path / "part/one.json").write_text(text)
    assert finished(tmp_path, "part/one.json", "key", Rows) is None
    assert a_unit(tmp_path) == finished(tmp_path, "part/one.json", "key", Rows)


def test_keys_depend_on_values_and_not_on_the_order_of_names() -> None:
    assert key_of("read", {"a": 1, "b": 2}) == key_of("read", {"b": 2, "a": 1})
    assert key_of("read", {"a": 1}) != key_of("read", {"a": 2})
    assert key_of("read", [1, 2]) != key_of("read", [2, 1])


def test_left_overs_and_files_of_other_settings_go(tmp_path: Path) -> None:
    a_unit(tmp_path)
    (tmp_path / "part/.two.parquet.writing-77").write_text("half")
    (tmp_path / "part/old").mkdir()
    (tmp_path / "part/old/two.parquet").write_text("of another policy")
    remove_left_overs(tmp_path)
    remove_others(tmp_path, "part", ["part/one.parquet", "part/one.json"])
    left = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*"))
    assert left == ["part", "part/one.json", "part/one.parquet"]
