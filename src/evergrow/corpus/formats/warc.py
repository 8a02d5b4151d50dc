"""WARC archives, plain or packed: pages as they came over HTTP, or text already taken from them."""

from collections.abc import Iterator, Mapping
from typing import BinaryIO, NamedTuple

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document, with_newlines
from evergrow.corpus.encodings import NOT_UTF8, peeked, refuse_pointer
from evergrow.corpus.files import SourceFile
from evergrow.corpus.formats.html import (
    MAX_PAGE_BYTES,
    NO_CONTENT,
    TOO_LONG,
    Page,
    extracted,
)
from evergrow.corpus.formats.http import http_answer
from evergrow.corpus.formats.rows import BadRow, as_meta, checked_date
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.unpack import MAX_LINE_BYTES, open_unpacked

MAX_HEADER_BYTES = 2**16
PAGES = ("text/html", "application/xhtml+xml")
FETCH = "fetch the archive again or leave it out of `files`"


class _Record(NamedTuple):
    """One record of an archive; ``block`` ends early where the file does or it is too long."""

    offset: int
    headers: Mapping[str, str]
    raw: bytes
    block: bytes
    num_bytes: int


def read_warc(file: SourceFile, config: SourceConfig, quarantine: Quarantine) -> Iterator[Document]:
    """One document a page: its main content, dated by the crawl, its address and time the key.

    Of ``response`` and ``resource`` records HTML and plain text are taken, of ``conversion`` the
    text. Answers other than 200 and other types are skipped and counted; so are other records.
    Raises InputError when resiliparse is not installed.
    """
    with open_unpacked(file, quarantine) as stream:
        refuse_pointer(peeked(stream))
        for record in _records(stream, file, quarantine):
            try:
                document = _document(record, file, quarantine)
            except BadRow as bad:
                long = record.num_bytes if record.num_bytes > len(record.block) else 0
                quarantine.add(file.name, record.offset, bad.reason, bad.way_out, record.raw, long)
                continue
            if document is not None:
                yield document


def _records(stream: BinaryIO, file: SourceFile, quarantine: Quarantine) -> Iterator[_Record]:
    """The records that have a length; what stands between them and is none goes to quarantine."""
    offset, is_lost = 0, False
    while line := stream.readline(MAX_HEADER_BYTES):
        start, offset = offset, offset + len(line)
        if not line.strip():
            continue
        if not line.startswith(b"WARC/"):
            if not is_lost:
                quarantine.add(file.name, start, "bytes that are no WARC record", FETCH, line)
            is_lost = True
            continue
        is_lost = False
        raw, headers = _headers(line, stream)
        offset += len(raw) - len(line)
        length = headers.get("content-length", "")
        if not length.isdecimal() or len(length) > 18:
            quarantine.add(file.name, start, "WARC records without a length", FETCH, raw)
            continue
        size = int(length)
        block = stream.read(min(size, MAX_LINE_BYTES))
        rest, last = size - len(block), block
        while rest and last and (last := stream.read(min(rest, 2**20))):
            rest -= len(last)
        offset += size - rest
        if rest:
            quarantine.add(file.name, start, "WARC records that break off", FETCH, raw)
            return
        yield _Record(start, headers, raw, block, size)


def _headers(first: bytes, stream: BinaryIO) -> tuple[bytes, dict[str, str]]:
    """The header as bytes, its empty line included, and its fields by lower-case name."""
    lines = [first]
    while sum(map(len, lines)) < MAX_HEADER_BYTES and (line := stream.readline(MAX_HEADER_BYTES)):
        lines.append(line)
        if not line.strip():
            break
    fields = {}
    for line in lines[1:]:
        name, colon, value = line.decode(errors="replace").partition(":")
        if colon:
            fields[name.strip().lower()] = value.strip()
    return b"".join(lines), fields


def _document(record: _Record, file: SourceFile, quarantine: Quarantine) -> Document | None:
    kind = record.headers.get("warc-type", "").lower()
    if kind not in ("response", "resource", "conversion"):
        quarantine.skipped[f"WARC records of type {kind or 'unknown'}"] += 1
        return None
    page = _page(record, kind, quarantine)
    if page is None:
        return None
    if not page.text:
        quarantine.skipped[NO_CONTENT] += 1
        return None
    address = record.headers.get("warc-target-uri", "").strip("<>")  # some writers put <> around it
    if not address.lower().startswith(("http://", "https://")):
        raise BadRow("addresses that are not http or https", "leave the record out")
    crawled = record.headers.get("warc-date", "")
    key = f"{address} {crawled}"
    date, spelt = checked_date(crawled, file.name, record.offset, quarantine)
    told = {"address": address, "record": record.headers.get("warc-record-id", "").strip("<>")}
    told |= {k: v for k, v in (("title", page.title), ("date", spelt)) if v}
    return Document.of(
        page.text,
        quarantine.source,
        file.name,
        date,
        key=key,
        date_kind="crawl" if date else None,
        meta=as_meta(told),
    )


def _page(record: _Record, kind: str, quarantine: Quarantine) -> Page | None:
    """What the record says; None, counted, when it is neither a page nor text."""
    if record.num_bytes > len(record.block):
        raise BadRow(TOO_LONG, "leave the record out")
    told = record.headers.get("content-type", "").lower()
    is_http = told.startswith("application/http") or record.block.startswith(b"HTTP/")
    if kind == "conversion" or not is_http:
        kind_of_text = record.headers.get("content-type", "").partition(";")[0].strip().lower()
        body, charset = record.block, None
    else:
        answer = http_answer(record.block)
        if answer.status != 200:
            quarantine.skipped[f"answers of status {answer.status or 'unknown'}"] += 1
            return None
        kind_of_text, charset, body = answer.kind, answer.charset, answer.body
    if len(body) > MAX_PAGE_BYTES:
        raise BadRow(TOO_LONG, "leave the record out")
    if kind_of_text in PAGES:
        return extracted(body, charset)
    if kind_of_text == "text/plain":
        try:
            return Page(with_newlines(body.decode(charset or "utf-8")), None, None)
        except (UnicodeDecodeError, LookupError):
            raise BadRow(NOT_UTF8.reason, "leave the record out") from None
    quarantine.skipped[f"records of {kind_of_text or 'unknown type'}"] += 1
    return None
