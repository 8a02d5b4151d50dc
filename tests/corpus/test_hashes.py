import json
import os
import time
from pathlib import Path

import pytest
from blake3 import blake3

from evergrow.corpus import hashes
from evergrow.corpus.addresses import Remote
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.files import SourceFile
from evergrow.corpus.hashes import Hashes, recorded_hashes
from evergrow.corpus.reader import source_files

DAY_AGO = time.time_ns() - 24 * 3600 * 10**9


def hashed(path: Path, record: Path | None) -> str:
    with recorded_hashes(record) as known:
        return known.of_file(path).blake3


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of this test count as written long ago."""
    monkeypatch.setattr(hashes, "SETTLED_NS", 0)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are hashed."""
    found: list[str] = []
    plain = hashes._checksum

    def counted(path: Path, num_bytes: int) -> str:
        found.append(path.name)
        return plain(path, num_bytes)

    monkeypatch.setattr(hashes, "_checksum", counted)
    return found


def test_only_what_changed_is_hashed_again(tmp_path: Path, settled: None, reads: list[str]) -> None:
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(name)
    config, record = SourceConfig(files=["*.txt"]), tmp_path / "record.json"
    first = source_files(config, tmp_path, "web", record).files
    assert sorted(reads) == ["a.txt", "b.txt", "c.txt"]
    assert source_files(config, tmp_path, "web", record).files == first
    assert len(reads) == 3
    (tmp_path / "b.txt").write_text("B")  # as long as before
    (tmp_path / "d.txt").write_text("d")
    second = source_files(config, tmp_path, "web", record).files
    assert sorted(reads[3:]) == ["b.txt", "d.txt"]
    assert [f.blake3 for f in second] == [blake3(c).hexdigest() for c in (b"a", b"B", b"c", b"d")]


def test_a_writer_that_sets_the_time_back_is_found_out(
    tmp_path: Path, settled: None, reads: list[str]
) -> None:
    path, record = tmp_path / "a.txt", tmp_path / "record.json"
    path.write_text("one")
    os.utime(path, ns=(DAY_AGO, DAY_AGO))
    hashed(path, record)
    path.write_text("two")
    os.utime(path, ns=(DAY_AGO, DAY_AGO))
    assert hashed(path, record) == blake3(b"two").hexdigest()


def test_a_file_written_just_now_is_not_recorded(tmp_path: Path, reads: list[str]) -> None:
    path, record = tmp_path / "a.txt", tmp_path / "record.json"
    path.write_text("one")
    hashed(path, record)
    hashed(path, record)
    assert reads == ["a.txt", "a.txt"]
    assert not record.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2, "files": {}, "addresses": {}}'])
def test_a_damaged_record_counts_as_none(tmp_path: Path, settled: None, text: str) -> None:
    path, record = tmp_path / "a.txt", tmp_path / "record.json"
    path.write_text("one")
    record.write_text(text)
    assert hashed(path, record) == blake3(b"one").hexdigest()
    assert list(json.loads(record.read_text())["files"]) == [str(path)]


def test_files_that_are_gone_leave_the_record(tmp_path: Path, settled: None) -> None:
    record = tmp_path / "record.json"
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("x")
        hashed(tmp_path / name, record)
    assert list(json.loads(record.read_text())["files"]) == [str(tmp_path / "b.txt")]


def test_what_is_appended_while_it_is_hashed_is_not_in_it(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\n" + b"two\n")
    assert hashes._checksum(path, 4) == blake3(b"one\n").hexdigest()


def test_the_hub_tells_hashes_and_nothing_is_read() -> None:
    remote = Remote(5, None, "sha256:c0ffee")
    file = SourceFile.behind("hf://datasets/a/b/x.parquet", remote, Hashes({}, {}))
    assert (file.num_bytes, file.blake3) == (5, "sha256:c0ffee")
