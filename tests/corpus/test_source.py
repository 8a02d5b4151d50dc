import json
from pathlib import Path

import pytest

from evergrow.corpus import hashes
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document
from evergrow.corpus.globs import HIDDEN
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.repeats import Dropped, KnownDocuments
from evergrow.corpus.source import SourceReading, are_gone, changed_files, source_documents
from evergrow.errors import InputError


def read(config: SourceConfig, base: Path) -> tuple[list[Document], SourceReading]:
    reading = SourceReading(Quarantine("web"))
    return list(source_documents(config, base, KnownDocuments(), reading)), reading


def test_repeats_do_not_count_towards_max_bytes(tmp_path: Path) -> None:
    for i in range(20):
        (tmp_path / f"{i}.txt").write_text(f"{i % 5}" * 10)
    documents, reading = read(SourceConfig(files=["*.txt"], max_bytes=40), tmp_path)
    assert len({d.text for d in documents}) == len(documents) == 4
    assert len(reading.files) == 20
    whole, reading = read(SourceConfig(files=["*.txt"]), tmp_path)
    assert whole[:4] == documents
    assert reading.dropped == Dropped(exact_duplicates=15)


def test_bad_documents_are_refused_although_reading_stops_early(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"{\n" + b'{"text": "0123456789"}\n{"text": "more"}\n')
    with pytest.raises(InputError, match=r"1 of 3 documents cannot be read"):
        read(SourceConfig(files=["a.jsonl"], max_bytes=10), tmp_path)


def test_a_date_field_that_no_document_has_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "x", "date": "2020"}))
    with pytest.raises(InputError) as error:
        read(SourceConfig(files=["a.jsonl"], date_field="dat"), tmp_path)
    assert str(error.value) == (
        "sources.web.date_field: no document has a date in 'dat'; correct the name or remove "
        "date_field"
    )
    documents, reading = read(SourceConfig(files=["a.jsonl"], date_field="date"), tmp_path)
    assert ([d.date for d in documents], reading.num_dated) == (["2020"], 1)


def test_changed_gone_and_new_files_are_named(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.txt").write_text(name)
    config = SourceConfig(files=["*.txt"])
    _, reading = read(config, tmp_path)
    recorded = [file.record() for file in reading.files]
    assert changed_files(config, tmp_path, "web", recorded) == []
    (tmp_path / "a.txt").write_text("A")
    (tmp_path / "b.txt").rename(tmp_path / "d.txt")
    assert changed_files(config, tmp_path, "web", recorded) == [
        "a.txt changed",
        "b.txt is gone",
        "d.txt is new",
    ]


def test_installed_files_are_compared_where_they_were_read() -> None:
    config = SourceConfig(installed="cpp", max_bytes=20_000)
    _, reading = read(config, Path())
    recorded = [file.record() for file in reading.files]
    assert changed_files(config, Path(), "web", recorded) == []
    recorded[0] = recorded[0] | {"blake3": "0" * 64}
    assert changed_files(config, Path(), "web", recorded) == [f"{recorded[0]['path']} changed"]


def test_files_are_gone_only_when_none_is_left(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(name)
    config = SourceConfig(files=["*.txt"])
    _, reading = read(config, tmp_path)
    recorded = [file.record() for file in reading.files]
    (tmp_path / "a.txt").unlink()
    assert not are_gone(config, tmp_path, recorded)
    (tmp_path / "b.txt").unlink()
    assert are_gone(config, tmp_path, recorded)
    assert not are_gone(config, tmp_path, [{"path": "s3://bucket/a.txt"}])
    assert not are_gone(SourceConfig(installed="cpp"), tmp_path, recorded)


def test_a_tree_is_a_source_that_is_read_and_compared_like_files(tmp_path: Path) -> None:
    for name in ("a.py", "b/c.py"):
        (tmp_path / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "code" / name).write_text(name)
    config = SourceConfig(trees=["co*"])
    documents, reading = read(config, tmp_path)
    assert {d.key: d.repository for d in documents} == {
        "code/a.py": "code",
        "code/b/c.py": "code",
    }
    recorded = [file.record() for file in reading.files]
    (tmp_path / "code/a.py").write_text("changed")
    (tmp_path / "code/new.py").write_text("new")
    assert changed_files(config, tmp_path, "web", recorded) == [
        "code/a.py changed",
        "code/new.py is new",
    ]


def test_a_source_counts_what_it_leaves_out(tmp_path: Path) -> None:
    for name in ("a.txt", ".drafts/b.txt", ".c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "d.txt").write_bytes(bytes(100))
    documents, reading = read(SourceConfig(files=["**/*.txt"]), tmp_path)
    assert [d.text for d in documents] == ["a.txt"]
    assert reading.quarantine.skipped == {HIDDEN: 2, "files of zeros": 1}


def test_changes_are_found_by_size_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "SETTLED_NS", 0)
    (tmp_path / "a.txt").write_text("one")
    config, record = SourceConfig(files=["*.txt"]), tmp_path / "record.json"
    reading = SourceReading(Quarantine("web"))
    list(source_documents(config, tmp_path, KnownDocuments(), reading, record))
    before = [file.record() for file in reading.files]
    with monkeypatch.context() as without_reading:
        without_reading.setattr(hashes, "_checksum", None)
        assert changed_files(config, tmp_path, "web", before, record) == []
    (tmp_path / "a.txt").write_text("two")
    assert changed_files(config, tmp_path, "web", before, record) == ["a.txt changed"]
