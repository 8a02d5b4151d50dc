"""Sources in an object store of this machine, as a bucket of S3: read whole, by pattern, or not."""

import gzip
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.reader import read_documents
from evergrow.errors import EvergrowError, InputError

s3fs: Any = pytest.importorskip("s3fs", reason="s3fs is missing; pip install evergrow[s3]")
moto: Any = pytest.importorskip("moto.server", reason="moto is missing; pip install moto[server]")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of boto and werkzeug
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
WARC = (
    "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Record-ID: <urn:uuid:1>\r\n"
    "WARC-Target-URI: http://a.example/\r\nWARC-Date: 2024-05-06T07:08:09Z\r\n"
    "Content-Type: text/plain\r\nContent-Length: 9\r\n\r\na warc's\n\r\n\r\n"
)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A file system with an empty bucket, ``texts``."""
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    at(monkeypatch, f"http://{host}:{port}")
    system = s3fs.S3FileSystem()
    system.mkdir("texts")
    yield system
    system.rm("texts", recursive=True)  # the server's buckets outlive it in this process
    server.stop()
    s3fs.S3FileSystem.clear_instance_cache()


def at(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """What the environment of someone with a store of their own says."""
    given = {"ENDPOINT_URL": address, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}
    for name, value in {**given, "DEFAULT_REGION": "us-east-1", "MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    s3fs.S3FileSystem.clear_instance_cache()


def texts(*files: str) -> list[str]:
    config = SourceConfig(files=list(files))
    return [d.text for d in read_documents(config, Path(), Quarantine("store"))]


def test_every_format_is_read_from_a_bucket(bucket: Any, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a row"]}), tmp_path / "rows.parquet")
    lines = "".join(json.dumps({"text": text}) + "\n" for text in ("a line", "another"))
    bucket.pipe("texts/lines.jsonl", lines.encode())
    bucket.pipe("texts/packed.jsonl.gz", gzip.compress(lines.encode()))
    bucket.pipe("texts/table.csv", b'text,year\n"a cell, quoted",2020\n')
    bucket.pipe("texts/page.warc", WARC.encode())
    bucket.pipe("texts/rows.parquet", (tmp_path / "rows.parquet").read_bytes())
    assert texts("s3://texts/lines.jsonl") == ["a line", "another"]
    assert texts("s3://texts/packed.jsonl.gz") == ["a line", "another"]
    assert texts("s3://texts/table.csv") == ["a cell, quoted"]
    assert [text.strip() for text in texts("s3://texts/page.warc")] == ["a warc's"]
    assert texts("s3://texts/rows.parquet") == ["a row"]


def test_patterns_and_folders_of_a_bucket(bucket: Any) -> None:
    for name in ("a/one.txt", "a/b/two.txt", "a/.hidden.txt", "three.md"):
        bucket.pipe(f"texts/{name}", name.encode())
    assert texts("s3://texts/**/*.txt") == ["a/b/two.txt", "a/one.txt"]
    assert texts("s3://texts/a/*.txt") == ["a/one.txt"]
    with pytest.raises(InputError, match="none"):
        texts("s3://texts/none/*.txt")


def test_a_store_that_is_down_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    at(monkeypatch, f"http://127.0.0.1:{port}")
    with pytest.raises(EvergrowError) as error:
        texts("s3://texts/lines.jsonl")
    assert "\n" not in str(error.value) and "s3://texts/lines.jsonl" in str(error.value)
