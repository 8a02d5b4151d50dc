from pathlib import Path

import pytest
from corpus.plain import corpus_of, files_of

from evergrow.corpus import hashes
from evergrow.corpus.changes import are_gone, changed_files
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.hashes import hashes_beside
from evergrow.corpus.records import FileRecord


def test_changed_gone_and_new_files_are_named(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.txt").write_text(name)
    config = SourceConfig(files=["*.txt"])
    recorded = files_of(corpus_of(config, tmp_path, tmp_path / "run"))
    assert changed_files(config, tmp_path, "web", recorded) == []
    (tmp_path / "a.txt").write_text("A")
    (tmp_path / "b.txt").rename(tmp_path / "d.txt")
    assert changed_files(config, tmp_path, "web", recorded) == [
        "a.txt changed",
        "b.txt is gone",
        "d.txt is new",
    ]


def test_installed_files_are_compared_where_they_were_read(tmp_path: Path) -> None:
    config = SourceConfig(installed="cpp", max_bytes=20_000)
    recorded = files_of(corpus_of(config, Path(), tmp_path))
    assert changed_files(config, Path(), "web", recorded) == []
    recorded[0] = recorded[0].model_copy(update={"blake3": "0" * 64})
    assert changed_files(config, Path(), "web", recorded) == [f"{recorded[0].path} changed"]


def test_files_are_gone_only_when_none_is_left(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(name)
    config = SourceConfig(files=["*.txt"])
    recorded = files_of(corpus_of(config, tmp_path, tmp_path / "run"))
    (tmp_path / "a.txt").unlink()
    assert not are_gone(config, tmp_path, recorded)
    (tmp_path / "b.txt").unlink()
    assert are_gone(config, tmp_path, recorded)
    assert not are_gone(
        config, tmp_path, [FileRecord(path="s3://bucket/a.txt", bytes=1, blake3="")]
    )
    assert not are_gone(SourceConfig(installed="cpp"), tmp_path, recorded)


def test_a_tree_is_a_source_that_is_read_and_compared_like_files(tmp_path: Path) -> None:
    for name in ("a.py", "b/c.py"):
        (tmp_path / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "code" / name).write_text(name)
    config = SourceConfig(trees=["co*"])
    corpus = corpus_of(config, tmp_path, tmp_path / "run")
    assert {d.key: d.repository for d in corpus.documents()} == {
        "code/a.py": "code",
        "code/b/c.py": "code",
    }
    (tmp_path / "code/a.py").write_text("changed")
    (tmp_path / "code/new.py").write_text("new")
    assert changed_files(config, tmp_path, "web", files_of(corpus)) == [
        "code/a.py changed",
        "code/new.py is new",
    ]


def test_changes_are_found_by_size_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "SETTLED_NS", 0)
    (tmp_path / "a.txt").write_text("one")
    config = SourceConfig(files=["*.txt"])
    corpus = corpus_of(config, tmp_path, tmp_path / "run")
    before, record = files_of(corpus), hashes_beside(corpus.folder, "web")
    with monkeypatch.context() as without_reading:
        without_reading.setattr(hashes, "_checksum", None)
        assert changed_files(config, tmp_path, "web", before, record) == []
    (tmp_path / "a.txt").write_text("two")
    assert changed_files(config, tmp_path, "web", before, record) == ["a.txt changed"]
