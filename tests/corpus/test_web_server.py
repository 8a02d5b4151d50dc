"""Sources behind a web server of this machine: what is read, and what is said when it fails."""

import gzip
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.reader import read_documents
from evergrow.errors import EvergrowError, InputError

pytest.importorskip("aiohttp", reason="aiohttp is missing; pip install 'evergrow[http]'")


class Server(SimpleHTTPRequestHandler):
    """Files, whole or in ranges; names say what goes wrong."""

    def do_GET(self) -> None:
        if "/angry" in self.path:
            self.send_error(500)
        elif "/chunked" in self.path:
            self._send_chunked(Path(self.translate_path(self.path)).read_bytes())
        elif given := self.headers.get("Range"):
            self._send_range(Path(self.translate_path(self.path)).read_bytes(), given)
        else:
            super().do_GET()

    def do_HEAD(self) -> None:
        if "/angry" in self.path or "/chunked" in self.path:
            self.send_error(500)
        else:
            super().do_HEAD()

    def _send_range(self, data: bytes, given: str) -> None:
        first, last = (int(n) for n in given.removeprefix("bytes=").split("-"))
        part = data[first : last + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        is_cut = "/cut" in self.path
        self.wfile.write(part[: len(part) // 2] if is_cut else part)
        self.close_connection = True

    def _send_chunked(self, data: bytes) -> None:
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for at in range(0, len(data), 1000):
            part = data[at : at + 1000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of ``tmp_path``."""
    served = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(tmp_path)))
    thread = threading.Thread(target=served.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()
    thread.join()


def texts(*patterns: str, base: Path = Path(), **settings: object) -> list[str]:
    config = SourceConfig.model_validate({"files": list(patterns), **settings})
    return sorted(d.text for d in read_documents(config, base, Quarantine("web")))


def write_all(folder: Path) -> None:
    rows = "".join(f'{{"text": "line {i}"}}\n' for i in range(3))
    (folder / "sub").mkdir()
    (folder / "a.jsonl").write_text(rows)
    (folder / "sub/b.jsonl.gz").write_bytes(gzip.compress(b'{"text": "packed"}\n'))
    (folder / "c.csv").write_text('text\n"a, b"\n"two\nlines"\n')
    (folder / "d.txt").write_text("plain\n")
    pq.write_table(pa.table({"text": ["row"]}), folder / "e.parquet")
    (folder / "empty.txt").touch()


LINES = ["line 0", "line 1", "line 2"]


def test_every_format_is_read_from_a_web_server_by_name(server: str, tmp_path: Path) -> None:
    write_all(tmp_path)
    assert texts(f"{server}/a.jsonl") == LINES
    assert texts(f"{server}/c.csv") == ["a, b", "two\nlines"]
    assert texts(f"{server}/sub/b.jsonl.gz", f"{server}/e.parquet") == ["packed", "row"]


def test_wildcards_go_by_the_servers_listing(server: str, tmp_path: Path) -> None:
    write_all(tmp_path)
    assert texts(f"{server}/*.jsonl") == LINES
    assert texts(f"{server}/**/*.jsonl*") == [*LINES, "packed"]
    assert texts(f"{server}/*.txt") == ["plain\n"]


def test_a_server_that_tells_no_sizes_is_read_to_its_end(server: str, tmp_path: Path) -> None:
    write_all(tmp_path)
    (tmp_path / "chunked").mkdir()
    (tmp_path / "chunked/a.jsonl").write_text('{"text": "x"}\n' * 1000)
    assert texts(f"{server}/chunked/a.jsonl") == ["x"] * 1000
    pq.write_table(pa.table({"text": ["row"]}), tmp_path / "chunked/b.parquet")
    (tmp_path / "chunked/c.zip").write_bytes(b"PK\5\6" + bytes(18))
    for name in ("b.parquet", "c.zip"):  # which are read from their ends
        with pytest.raises(EvergrowError, match=rf"chunked/{name} cannot be read \("):
            texts(f"{server}/chunked/{name}")


@pytest.mark.parametrize("path", ["a.jsonl", "*.jsonl", "e.parquet"])
def test_a_server_that_is_down_is_one_sentence(path: str) -> None:
    address = f"http://127.0.0.1:9/{path}"
    with pytest.raises(EvergrowError) as error:
        texts(address)
    assert str(error.value).startswith(f"{address} cannot be read (")
    assert "Connect call failed" in str(error.value)
    assert "check the address, the network and your rights" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_server_that_fails_is_told_from_a_missing_file(server: str, tmp_path: Path) -> None:
    (tmp_path / "cut.jsonl").write_text('{"text": "x"}\n' * 1000)
    with pytest.raises(InputError, match=r"none\.jsonl' matches no file; check the path"):
        texts(f"{server}/none.jsonl")
    with pytest.raises(EvergrowError, match=r"angry\.jsonl cannot be read \(500"):
        texts(f"{server}/angry.jsonl")
    with pytest.raises(EvergrowError, match=r"cut\.jsonl cannot be read \("):
        texts(f"{server}/cut.jsonl")
