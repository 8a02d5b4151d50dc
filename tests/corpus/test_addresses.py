from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from blake3 import blake3

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.files import SourceFile, match_files
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.reader import read_documents
from evergrow.corpus.repeats import KnownDocuments
from evergrow.corpus.source import SourceReading, changed_files, source_documents
from evergrow.errors import InputError


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/", recursive=True)


def refusal(pattern: str) -> str:
    with pytest.raises(InputError) as error:
        match_files([pattern], Path(), "web")
    return str(error.value)


def test_a_glob_of_addresses_gives_files_with_sizes_and_checksums(
    memory: fsspec.AbstractFileSystem,
) -> None:
    memory.pipe({"/set/a/one.txt": b"one", "/set/two.txt": b"two", "/set/empty.txt": b""})
    found = match_files(["memory://set/**/*.txt", "memory://set/two.txt"], Path(), "web")
    assert list(found) == ["memory:///set/a/one.txt", "memory:///set/two.txt"]
    file = SourceFile.at("memory:///set/a/one.txt", Path())
    assert file.record() == {
        "path": "memory:///set/a/one.txt",
        "bytes": 3,
        "blake3": blake3(b"one").hexdigest(),
    }


def test_an_address_with_brackets_is_found_as_it_is(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe({"/set/part [1].txt": b"one", "/set/part 1.txt": b"two"})
    found = match_files(["memory://set/part [1].txt"], Path(), "web")
    assert list(found) == ["memory:///set/part [1].txt"]


def test_every_kind_of_packing_and_parquet_are_read_from_an_address(
    memory: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    memory.pipe("/set/a.txt", b"plain")
    for codec, suffix in (("gzip", "gz"), ("zstd", "zst")):
        with pa.output_stream(str(tmp_path / suffix), compression=codec) as stream:
            stream.write(b'{"text": "%s"}\n' % suffix.encode())
        memory.pipe(f"/set/a.jsonl.{suffix}", (tmp_path / suffix).read_bytes())
    pq.write_table(pa.table({"text": ["rows"]}), tmp_path / "p")
    memory.pipe("/set/a.parquet", (tmp_path / "p").read_bytes())
    config = SourceConfig(files=["memory://set/*"])
    read = list(read_documents(config, Path(), Quarantine("web")))
    assert sorted(d.text for d in read) == ["gz", "plain", "rows", "zst"]
    assert {d.path for d in read if d.text == "plain"} == {"memory:///set/a.txt"}


def test_a_changed_file_behind_an_address_is_found(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe("/set/a.txt", b"plain")
    config = SourceConfig(files=["memory://set/*"])
    reading = SourceReading(Quarantine("web"))
    list(source_documents(config, Path(), KnownDocuments(), reading))
    recorded = [file.record() for file in reading.files]
    assert changed_files(config, Path(), "web", recorded) == []
    memory.pipe("/set/a.txt", b"other")
    assert changed_files(config, Path(), "web", recorded) == ["memory:///set/a.txt changed"]


def test_addresses_that_cannot_be_read_say_why(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe({"/set/a.txt": b"one", "/none/a.txt": b""})
    where = "sources.web.files: "
    assert refusal("memory://other/*.txt") == (
        f"{where}'memory://other/*.txt' matches no file; check the path"
    )
    assert "matches only empty files" in refusal("memory://none/*")
    assert refusal("memory://set/../none/*") == (
        f"{where}'memory://set/../none/*' climbs with '..'; write the address without it"
    )
    assert "is no address that fsspec knows" in refusal("nosuch://a/b")
    assert "needs another package" in refusal("s3://bucket/*.parquet")


def test_a_file_address_is_a_path(tmp_path: Path) -> None:
    (tmp_path / "a b.txt").write_text("x")
    found = match_files([f"file://{tmp_path}/a%20b.txt"], Path(), "web")
    assert list(found) == [tmp_path / "a b.txt"]
