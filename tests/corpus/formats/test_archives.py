"""Zip and tar: what is in them is read by its own name, and what breaks costs itself."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import fsspec
import pytest
from backports import zstd

from evergrow.corpus import parts, unpack
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document
from evergrow.corpus.formats import archives
from evergrow.corpus.formats.archives import LOCKED, NO_FILES
from evergrow.corpus.globs import HIDDEN
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.reader import BOMB, BROKEN, read_files, source_files

FILES = {
    "notes/a.md": b"# A note\n",
    "rows.jsonl": b'{"text": "one"}\n{"text": "two"}\n',
    "packed.txt.gz": gzip.compress(b"packed"),
    "src/b.py": b"x = 1\n",
    "table.csv": b"text\nthree\n",
    "empty.txt": b"",
    ".hidden/c.txt": b"no",
    "__MACOSX/._a.md": b"no",
    "picture.png": b"\x89PNG\r\n\x1a\n\0\0",
    "inner.zip": b"PK\x03\x04",
}
TEXTS = ["# A note\n", "one", "packed", "three", "two", "x = 1\n"]


def a_zip(files: Mapping[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def a_tar(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return stream.getvalue()


def read(folder: Path, **settings: object) -> tuple[list[Document], Quarantine]:
    config = SourceConfig.model_validate({"files": ["*"], **settings})
    quarantine = Quarantine("web", max_bad=1)
    files = source_files(config, folder, "web").files
    return list(read_files(config, files, quarantine)), quarantine


PACKED = {
    "a.zip": a_zip,
    "a.tar": a_tar,
    "a.tar.gz": lambda files: gzip.compress(a_tar(files)),
    "a.tgz": lambda files: gzip.compress(a_tar(files)),
    "a.tar.bz2": lambda files: bz2.compress(a_tar(files)),
    "a.tar.xz": lambda files: lzma.compress(a_tar(files)),
    "a.tar.zst": lambda files: zstd.compress(a_tar(files)),
}


@pytest.mark.parametrize("name", PACKED)
def test_every_file_in_an_archive_is_read_by_its_own_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(PACKED[name](FILES))
    documents, quarantine = read(tmp_path)
    assert sorted(d.text for d in documents) == TEXTS
    assert quarantine.records == []
    skipped = {HIDDEN: 2, "pictures": 1, "archives, Parquet and Arrow files in archives": 1}
    assert quarantine.skipped == skipped | ({} if name == "a.zip" else {NO_FILES: 1})
    keys = {d.text: d.key for d in documents}
    assert keys["# A note\n"] == f"{name}/notes/a.md"
    assert keys["two"] == f"{name}/rows.jsonl#16"
    [code] = [d for d in documents if d.text == "x = 1\n"]
    assert code.file_name == f"{name}/src/b.py"


def test_an_archive_behind_an_address_is_read(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe({"/set/a.zip": a_zip(FILES), "/set/b.tar": a_tar(FILES)})
    config = SourceConfig(files=["memory://set/*"])
    files = source_files(config, tmp_path, "web").files
    documents = list(read_files(config, files, Quarantine("web")))
    memory.rm("/", recursive=True)
    assert sorted(d.text for d in documents) == sorted(TEXTS * 2)


def test_the_format_of_a_source_is_that_of_the_files_in_it(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(a_zip({"dump.part": b'{"text": "one"}\n'}))
    assert [d.text for d in read(tmp_path, format="jsonl")[0]] == ["one"]


@pytest.mark.parametrize("name", ["a.tar", "a.zip"])
def test_a_long_packed_text_in_an_archive_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(parts, "MAX_DOCUMENT_BYTES", 1000)
    text = b"".join(b"line %d\n" % i for i in range(1000))
    (tmp_path / name).write_bytes(PACKED[name]({"a.txt.gz": gzip.compress(text), "b.md": b"b"}))
    documents, quarantine = read(tmp_path)
    assert quarantine.records == []
    assert "".join(d.text for d in documents) == text.decode() + "b"


def test_names_that_climb_name_nothing_outside(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(a_tar({"../../etc/a.txt": b"one", "/b.txt": b"two"}))
    documents, _ = read(tmp_path)
    assert {d.text: d.path for d in documents} == {
        "one": "a.tar/etc/a.txt",
        "two": "a.tar/b.txt",
    }


@pytest.mark.parametrize("name", ["a.tar", "a.tgz", "a.zip"])
def test_of_a_broken_archive_what_came_before_stays(tmp_path: Path, name: str) -> None:
    big = b"".join(b"line %d\n" % (i * i) for i in range(20_000))
    data = PACKED[name]({"a.txt": b"first", "b.txt": big, "c.txt": b"last"})
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    documents, quarantine = read(tmp_path)
    assert [d.text for d in documents][:1] == ([] if name == "a.zip" else ["first"])
    assert {r.reason for r in quarantine.records} == {BROKEN}


def test_a_damaged_file_in_a_zip_costs_itself(tmp_path: Path) -> None:
    files = {"a.txt": b"first " * 100, "b.txt": b"second " * 100, "c.txt": b"third " * 100}
    data = bytearray(a_zip(files, zipfile.ZIP_STORED))
    data[data.index(b"second") + 50] ^= 1
    (tmp_path / "a.zip").write_bytes(data)
    documents, quarantine = read(tmp_path)
    assert [d.text[:5] for d in documents] == ["first", "third"]
    assert [(r.path, r.reason) for r in quarantine.records] == [("a.zip/b.txt", BROKEN)]


def test_what_asks_for_a_password_is_bad(tmp_path: Path) -> None:
    data = bytearray(a_zip({"a.txt": b"secret"}))
    for place in (data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8):
        data[place] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    assert [r.reason for r in read(tmp_path)[1].records] == [LOCKED[0]]


@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
def test_a_bomb_is_no_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for module in (unpack, archives):
        monkeypatch.setattr(module, "FREE_BYTES", 2**20)
    (tmp_path / name).write_bytes(PACKED[name]({"a.txt": b" " * 2**25}))
    documents, quarantine = read(tmp_path)
    assert (documents, {r.reason for r in quarantine.records}) == ([], {BOMB})
