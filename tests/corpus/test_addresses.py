import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from blake3 import blake3
from corpus.plain import corpus_of, files_of
from fsspec.implementations.memory import MemoryFileSystem

from evergrow.corpus.changes import changed_files
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.files import described
from evergrow.corpus.globs import HIDDEN, HUB_OTHERS, match_files
from evergrow.corpus.hashes import Hashes
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.reader import read_documents, source_files
from evergrow.errors import EvergrowError, InputError


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
    found = match_files(["memory://set/**/*.txt", "memory://set/two.txt"], Path(), "web").files
    assert list(found) == ["memory:///set/a/one.txt", "memory:///set/two.txt"]
    file = described(found, Path(), Hashes({}, {}))[0]
    assert file.record().model_dump() == {
        "path": "memory:///set/a/one.txt",
        "bytes": 3,
        "blake3": blake3(b"one").hexdigest(),
    }


def test_an_address_with_brackets_is_found_as_it_is(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe({"/set/part [1].txt": b"one", "/set/part 1.txt": b"two"})
    found = match_files(["memory://set/part [1].txt"], Path(), "web").files
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


def test_a_changed_file_behind_an_address_is_found(
    memory: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    memory.pipe("/set/a.txt", b"plain")
    config = SourceConfig(files=["memory://set/*"])
    recorded = files_of(corpus_of(config, Path(), tmp_path))
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
    assert "needs another package" in refusal("gs://bucket/*.parquet")


def test_a_file_address_is_a_path(tmp_path: Path) -> None:
    (tmp_path / "a b.txt").write_text("x")
    found = match_files([f"file://{tmp_path}/a%20b.txt"], Path(), "web").files
    assert list(found) == [tmp_path / "a b.txt"]


PAGE = b"<html><body><main><p>They grow.</p></main></body></html>"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + PAGE
RECORD = (
    b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: https://a.org/\r\n"
    b"Content-Type: application/http\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n"
)


def test_what_is_read_by_lines_is_read_from_an_address(memory: fsspec.AbstractFileSystem) -> None:
    files = {
        "/set/a.jsonl": b'{"text": "one"}\n{"text": "two"}\n',
        "/set/b.csv": b'text\n"three\nfour"\n',
        "/set/c.warc": RECORD % (len(ANSWER), ANSWER),
        "/set/d.json": b'[{"text": "five"}]',
        "/set/e.html": PAGE.replace(b"They", b"We"),
    }
    memory.pipe(files)
    read = list(read_documents(SourceConfig(files=["memory://set/*"]), Path(), Quarantine("web")))
    assert sorted(d.text for d in read) == [
        "They grow.",
        "We grow.",
        "five",
        "one",
        "three\nfour",
        "two",
    ]


def test_hidden_files_behind_an_address_stay_out(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe({f"/set/{name}": b"x" for name in ("a.txt", ".b.txt", ".git/c.txt")})
    found = match_files(["memory://set/**/*.txt"], Path(), "web")
    assert (list(found.files), found.skipped) == (["memory:///set/a.txt"], {HIDDEN: 2})
    asked = match_files(["memory://set/.git/*.txt"], Path(), "web")
    assert list(asked.files) == ["memory:///set/.git/c.txt"]


def test_a_recorded_version_is_not_read_again(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    memory.pipe("/set/a.txt", b"plain")
    info = type(memory).info

    def with_tag(self: Any, path: str, **more: Any) -> dict[str, Any]:
        return {**info(self, path, **more), "ETag": tag[0]}

    monkeypatch.setattr(type(memory), "info", with_tag)
    tag, record = ['"one"'], tmp_path / "record.json"
    config = SourceConfig(files=["memory://set/a.txt"])
    [first] = source_files(config, Path(), "web", record).files
    memory.pipe("/set/a.txt", b"other")
    assert source_files(config, Path(), "web", record).files == [first]  # the store says: the same
    tag[0] = '"two"'
    [second] = source_files(config, Path(), "web", record).files
    assert second.blake3 == blake3(b"other").hexdigest()


class Hub(MemoryFileSystem):
    """Data sets as the hub lists them: with the hashes of their files."""

    protocol = "hf"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    cachable = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("hf://").strip("/")

    def unstrip_protocol(self, name: str) -> str:
        return "hf://" + name.lstrip("/")

    def find(self, path: str, **more: Any) -> dict[str, Any]:
        found: Any = super().find(path, **more)
        return {n: one | ({"blob_id": "c0ffee"} if one["size"] else {}) for n, one in found.items()}

    def _open(self, path: str, mode: str = "rb", **more: Any) -> Any:
        if mode == "rb":
            OPENED.append(path)
        return super()._open(path, mode, **more)


OPENED: list[str] = []


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setitem(sys.modules["fsspec.registry"].__dict__["_registry"], "hf", Hub)
    OPENED.clear()
    yield Hub()
    Hub.store.clear()


def test_a_data_set_of_the_hub_is_read_by_its_id_and_only_when_it_is_read(
    hub: Hub, tmp_path: Path
) -> None:
    big = "x" * 1000
    hub.pipe(
        {
            "/datasets/owner/set/README.md": b"# a card",
            "/datasets/owner/set/.gitattributes": b"*.jsonl filter=lfs",
            "/datasets/owner/set/info.json": b"{}",
            "/datasets/owner/set/data/train-00.jsonl": f'{{"text": "one {big}"}}\n'.encode(),
            "/datasets/owner/set/data/train-01.jsonl": f'{{"text": "two {big}"}}\n'.encode(),
            "/datasets/owner/set/data/test-00.jsonl": b'{"text": "held back"}\n',
        }
    )
    config = SourceConfig(files=["owner/set"])
    files, skipped = source_files(config, tmp_path, "web")
    assert skipped == {HUB_OTHERS: 4}
    assert [(file.name, file.blake3) for file in files] == [
        (f"hf://datasets/owner/set/data/train-0{i}.jsonl", "git:c0ffee") for i in range(2)
    ]
    assert OPENED == []
    read = list(read_documents(config, tmp_path, Quarantine("web")))
    assert sorted(d.text[:3] for d in read) == ["one", "two"]
    first = next(read_documents(config, tmp_path, Quarantine("web")))
    assert first.text[:3] in ("one", "two")


def test_files_of_the_hub_are_named_like_any_others(hub: Hub) -> None:
    hub.pipe({f"/datasets/owner/set/{n}.txt": n.encode() for n in ("a", "b")})
    config = SourceConfig(files=["hf://datasets/owner/set/*.txt"])
    assert sorted(d.text for d in read_documents(config, Path(), Quarantine("web"))) == ["a", "b"]


@pytest.mark.parametrize("name", ["owner/notes.txt", "owner/set/more", "set", "here/set", "a/*"])
def test_what_is_no_id_stays_a_path(hub: Hub, tmp_path: Path, name: str) -> None:
    (tmp_path / "here").mkdir()
    with pytest.raises(InputError, match="matches no file under"):
        match_files([name], tmp_path, "web")


def test_a_data_set_that_is_not_there_says_both(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'owner/none': the data set holds no Parquet, JSON"):
        match_files(["owner/none"], tmp_path, "web")


def test_without_a_network_the_hub_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(EvergrowError) as error:
        match_files(["owner/offline"], tmp_path, "web")
    told = str(error.value)
    assert told.startswith(
        f"sources.web.files: 'owner/offline' matches no file under {tmp_path}, and as a data set "
        "of the hub hf://datasets/owner/offline/** cannot be read (Cannot reach "
    )
    assert "offline mode is enabled" in told and "\n" not in told
