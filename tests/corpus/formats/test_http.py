"""Bodies of answers whose headers tell the truth, and those whose do not."""

import gzip
import zlib

import pytest
from backports import zstd

from evergrow.corpus.formats import http
from evergrow.corpus.formats.http import http_answer
from evergrow.corpus.formats.rows import BadRow

PAGE = b"<!doctype html><html><body><p>They grow, year after year.</p></body></html>"
RAW = zlib.compressobj(wbits=-15)
DEFLATED = RAW.compress(PAGE) + RAW.flush()


def chunked(data: bytes, end: bytes = b"\r\n") -> bytes:
    half = len(data) // 2
    parts = [data[:half], data[half:], b""]
    return b"".join(b"%x%s%s%s" % (len(part), end, part, end) for part in parts)


def answer(body: bytes, *fields: str, end: bytes = b"\r\n") -> bytes:
    lines = [b"HTTP/1.1 200 OK", *(field.encode() for field in fields), b"", b""]
    return end.join(lines) + body


def brotli(data: bytes) -> bytes:
    return pytest.importorskip("brotli", reason="the web extra unpacks brotli").compress(data)


GZIP, CHUNKED = "Content-Encoding: gzip", "Transfer-Encoding: chunked"
BODIES = {
    "plain": (PAGE, []),
    "chunked": (chunked(PAGE), [CHUNKED]),
    "chunked with LF": (chunked(PAGE, b"\n"), [CHUNKED]),
    "joined before": (PAGE, [CHUNKED]),
    "gzip": (gzip.compress(PAGE), [GZIP]),
    "gzip chunked": (chunked(gzip.compress(PAGE)), [GZIP, CHUNKED]),
    "unpacked before": (PAGE, [GZIP]),
    "x-gzip": (gzip.compress(PAGE), ["content-encoding: X-GZIP"]),
    "zstd": (zstd.compress(PAGE), ["Content-Encoding: zstd"]),
    "zstd unpacked before": (PAGE, ["Content-Encoding: zstd"]),
    "deflate of zlib": (zlib.compress(PAGE), ["Content-Encoding: deflate"]),
    "raw deflate": (DEFLATED, ["Content-Encoding: deflate"]),
    "deflate unpacked before": (PAGE, ["Content-Encoding: deflate"]),
    "twice": (gzip.compress(zlib.compress(PAGE)), ["Content-Encoding: deflate, gzip"]),
    "identity": (PAGE, ["Content-Encoding: identity"]),
    "a length that lies": (PAGE, ["Content-Length: 5"]),
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("end", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
def test_the_body_is_the_page(name: str, end: bytes) -> None:
    body, fields = BODIES[name]
    found = http_answer(answer(body, "Content-Type: text/html; charset=utf-8", *fields, end=end))
    assert found == (200, "text/html", "utf-8", PAGE)


def test_brotli_is_unpacked_or_was_before() -> None:
    for body in (brotli(PAGE), PAGE):
        found = http_answer(answer(body, "Content-Encoding: br"))
        assert found.body == PAGE
    with pytest.raises(BadRow, match="HTTP answers that cannot be unpacked"):
        http_answer(answer(brotli(PAGE)[:-4], "Content-Encoding: br"))


def test_without_headers_a_page_is_known_by_its_beginning() -> None:
    assert http_answer(answer(PAGE)) == (200, "text/html", None, PAGE)
    assert http_answer(answer(b"\n<!-- a --><HTML lang='x'>")).kind == "text/html"
    assert http_answer(answer(b"some words")).kind == ""
    assert http_answer(b"HTTP/2 200\r\n\r\n" + PAGE).status == 200
    assert http_answer(b"no answer at all").status is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (gzip.compress(PAGE)[:-9], GZIP),
        (gzip.compress(PAGE)[:20] + b"x" + gzip.compress(PAGE)[21:], GZIP),
        (DEFLATED[:-5] + b"\xff\xff", "Content-Encoding: deflate"),
        (chunked(PAGE)[:-30], CHUNKED),
    ],
)
def test_a_body_that_is_damaged_is_bad(body: bytes, field: str) -> None:
    with pytest.raises(BadRow, match="HTTP answers that cannot be unpacked"):
        http_answer(answer(body, field))


def test_no_more_is_unpacked_than_a_page_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_PAGE_BYTES", 1000)
    found = http_answer(answer(gzip.compress(bytes(10**6)), GZIP))
    assert len(found.body) == 1001
