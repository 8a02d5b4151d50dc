"""Arrow files and streams, as `datasets` keeps them; damage is refused."""

from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.reader import read_documents
from evergrow.errors import InputError

ROWS = {"text": [f"text {i}" for i in range(700)], "n": list(range(700))}


def write(path: Path, data: dict[str, Any], *, is_stream: bool, codec: str | None = None) -> None:
    table = pa.table(data)
    options = pa.ipc.IpcWriteOptions(compression=codec)
    new = pa.ipc.new_stream if is_stream else pa.ipc.new_file
    with new(path, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=300)


def read(folder: Path, **settings: Any) -> tuple[list[Document], Quarantine]:
    quarantine = Quarantine("web", max_bad=1)
    config = SourceConfig.model_validate({"files": ["*.arrow"], **settings})
    return list(read_documents(config, folder, quarantine)), quarantine


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("codec", [None, "zstd", "lz4"])
def test_every_row_is_a_document(tmp_path: Path, is_stream: bool, codec: str | None) -> None:
    write(tmp_path / "a.arrow", ROWS, is_stream=is_stream, codec=codec)
    documents, _ = read(tmp_path, meta_fields=["n"])
    assert [d.text for d in documents] == ROWS["text"]
    assert (documents[699].key, documents[699].meta) == ("a.arrow#699", '{"n": 699}')


def test_an_address_is_read_too(tmp_path: Path) -> None:
    write(tmp_path / "a.arrow", ROWS, is_stream=True)
    memory = fsspec.filesystem("memory")
    memory.pipe("/set/a.arrow", (tmp_path / "a.arrow").read_bytes())
    config = SourceConfig(files=["memory://set/a.arrow"])
    documents = list(read_documents(config, tmp_path, Quarantine("web")))
    memory.rm("/", recursive=True)
    assert len(documents) == 700


def test_text_that_is_not_utf8_costs_its_row(tmp_path: Path) -> None:
    wrong = pa.array([b"ok", b"\xff", b"fine"]).view(pa.string())
    write(tmp_path / "a.arrow", {"text": wrong}, is_stream=True)
    documents, quarantine = read(tmp_path)
    assert [d.text for d in documents] == ["ok", "fine"]
    assert [(r.offset, r.reason) for r in quarantine.records] == [(1, "bytes that are not UTF-8")]


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_damaged_file_is_refused(tmp_path: Path, is_stream: bool) -> None:
    path = tmp_path / "a.arrow"
    write(path, ROWS, is_stream=is_stream)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"a\.arrow: damaged inside .*; fetch or write it again"):
        read(tmp_path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"a\.arrow: damaged inside"):
        read(tmp_path)


@pytest.mark.parametrize("last", [2**30, 2])
def test_offsets_that_lead_astray_are_refused_and_not_followed(tmp_path: Path, last: int) -> None:
    path = tmp_path / "a.arrow"
    write(path, {"text": ["aaaa", "bbbb"]}, is_stream=True)
    offsets = b"".join(n.to_bytes(4, "little") for n in (0, 4, 8))
    data = path.read_bytes()
    assert data.count(offsets) == 1
    path.write_bytes(data.replace(offsets, offsets[:8] + last.to_bytes(4, "little")))
    with pytest.raises(InputError, match=r"a\.arrow: damaged inside"):
        read(tmp_path)


def test_a_missing_column_and_packing_say_the_way_out(tmp_path: Path) -> None:
    write(tmp_path / "a.arrow", {"body": ["a"]}, is_stream=True)
    with pytest.raises(InputError, match=r"no column 'text'; set sources\.web\.text_field to one"):
        read(tmp_path)
    (tmp_path / "a.arrow").rename(tmp_path / "a.arrow.gz")
    with pytest.raises(InputError, match=r"Arrow is read as it is; unpack the file"):
        read(tmp_path, files=["a.arrow.gz"])
