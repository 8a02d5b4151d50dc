import gzip
import json
import tracemalloc
from datetime import date
from pathlib import Path

import pytest

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document
from evergrow.corpus.files import SourceFile
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.reader import read_files
from evergrow.corpus.signals.programming import domain_of

PAGE = b"<html><head><title>T</title></head><body><p>They grow.</p></body></html>"


def record(
    block: bytes,
    address: str = "https://a.org/",
    kind: str = "response",
    day: str = "2024-05-01T00:00:00Z",
    length: int | None = None,
    content: str = "application/http; msgtype=response",
) -> bytes:
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {address}\r\nWARC-Date: {day}\r\n"
    head += f"WARC-Record-ID: <urn:uuid:1>\r\nContent-Type: {content}\r\n"
    head += f"Content-Length: {len(block) if length is None else length}\r\n\r\n"
    return head.encode() + block + b"\r\n\r\n"


def http(
    body: bytes = PAGE,
    kind: str = "text/html; charset=utf-8",
    status: str = "200 OK",
    more: str = "",
) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}\r\n".encode() + body


def read(
    folder: Path, data: bytes, name: str = "a.warc", today: date | None = None
) -> tuple[list[Document], Quarantine]:
    (folder / name).write_bytes(data)
    quarantine = Quarantine("web", today=today)
    file = SourceFile.at(folder / name, folder)
    return list(read_files(SourceConfig(files=["*"]), [file], quarantine)), quarantine


@pytest.mark.parametrize("packed", [False, True])
def test_pages_carry_address_title_and_the_date_of_the_crawl(tmp_path: Path, packed: bool) -> None:
    parts = [
        record(b"software: x\r\n", kind="warcinfo"),
        record(http()),
        record(http(), "http://b/"),
    ]
    data = b"".join(gzip.compress(p) if packed else p for p in parts)
    documents, quarantine = read(tmp_path, data, "a.warc.gz" if packed else "a.warc")
    first, second = documents
    assert (first.text, first.date, first.date_kind) == (
        "They grow.",
        "2024-05-01T00:00:00Z",
        "crawl",
    )
    assert first.key == "https://a.org/ 2024-05-01T00:00:00Z"
    assert json.loads(first.meta) == {
        "address": "https://a.org/",
        "record": "urn:uuid:1",
        "title": "T",
    }
    assert json.loads(second.meta)["address"] == "http://b/"
    assert quarantine.skipped == {"WARC records of type warcinfo": 1}
    assert quarantine.records == []


@pytest.mark.parametrize(
    ("body", "more"),
    [
        (gzip.compress(PAGE), "Content-Encoding: gzip\r\n"),
        (b"%x\r\n%s\r\n0\r\n\r\n" % (len(PAGE), PAGE), "Transfer-Encoding: chunked\r\n"),
    ],
    ids=["gzip", "chunked"],
)
def test_a_body_is_unpacked_as_the_server_packed_it(tmp_path: Path, body: bytes, more: str) -> None:
    documents, _ = read(tmp_path, record(http(body, more=more)))
    assert [d.text for d in documents] == ["They grow."]


def test_text_already_taken_is_taken_as_it_is(tmp_path: Path) -> None:
    data = record("é text".encode(), kind="conversion", content="text/plain")
    assert [d.text for d in read(tmp_path, data, "a.warc.wet")[0]] == ["é text"]


def test_an_answer_is_known_whatever_its_record_calls_it(tmp_path: Path) -> None:
    data = record(http(), content="application/octet-stream")
    data += record(http(), content="Application/HTTP; msgtype=response")
    assert [d.text for d in read(tmp_path, data)[0]] == ["They grow."] * 2


def test_records_may_end_their_lines_with_lf_alone(tmp_path: Path) -> None:
    body = http().replace(b"\r\n", b"\n")
    head, _, block = record(body).partition(b"\r\n\r\n")
    data = head.replace(b"\r\n", b"\n") + b"\n\n" + block.replace(b"\r\n", b"\n")
    assert [d.text for d in read(tmp_path, data * 2)[0]] == ["They grow."] * 2


def test_what_is_no_page_is_skipped_and_counted(tmp_path: Path) -> None:
    data = record(http(kind="image/png")) + record(http(status="404 Not Found"))
    data += record(b"GET / HTTP/1.1\r\n\r\n", kind="request")
    documents, quarantine = read(tmp_path, data)
    assert (documents, quarantine.records) == ([], [])
    assert quarantine.skipped == {
        "records of image/png": 1,
        "answers of status 404": 1,
        "WARC records of type request": 1,
    }


def test_bad_records_cost_themselves_and_say_why(tmp_path: Path) -> None:
    good = record(http(), "https://good.org/")
    bad = [
        (record(http(), "file:///etc/passwd"), "addresses that are not http or https"),
        (record(http(), "../../etc/passwd"), "addresses that are not http or https"),
        (
            record(http(gzip.compress(PAGE)[:-9], more="Content-Encoding: gzip\r\n")),
            "HTTP answers that cannot be unpacked",
        ),
        (record(http(b"caf\xe9", "text/plain; charset=utf-8")), "bytes that are not UTF-8"),
        (record(http()).replace(b"Content-Length", b"Length"), "WARC records without a length"),
        (b"noise\r\nnoise\r\n", None),
    ]
    documents, quarantine = read(tmp_path, good + b"".join(data for data, _ in bad))
    assert [d.meta.count("good.org") for d in documents] == [1]
    reasons = [reason for _, reason in bad if reason]
    # The block of the record without a length is found again as bytes between records.
    reasons.insert(5, "bytes that are no WARC record")
    assert [r.reason for r in quarantine.records] == reasons
    assert quarantine.records[0].offset == len(good)
    assert quarantine.records[0].head.startswith("WARC/1.0\r\nWARC-Type: response")


def test_a_page_archived_twice_at_one_time_has_one_id(tmp_path: Path) -> None:
    first, second = read(tmp_path, record(http()) + record(http()))[0]
    assert first.id == second.id


@pytest.mark.parametrize("address", ["https://a.org/src/a.py", "https://www.onet.pl"])
def test_a_page_is_prose_whatever_its_address(tmp_path: Path, address: str) -> None:
    (document,), _ = read(tmp_path, record(http(), address))
    assert domain_of(document) == "prose"


def test_text_in_an_archive_ends_its_lines_in_one_way(tmp_path: Path) -> None:
    data = record(b"one\r\ntwo\r", kind="conversion", content="text/plain")
    assert [d.text for d in read(tmp_path, data)[0]] == ["one\ntwo\n"]


def test_an_archive_that_breaks_off_says_where(tmp_path: Path) -> None:
    good = record(http())
    documents, quarantine = read(tmp_path, good + record(http(), "http://b/", length=5000))
    assert len(documents) == 1
    assert [(r.offset, r.reason) for r in quarantine.records] == [
        (len(good), "WARC records that break off")
    ]


def test_a_page_that_unpacks_to_much_more_takes_no_memory(tmp_path: Path) -> None:
    body = gzip.compress(bytes(100 * 2**20))
    data = record(http(body, more="Content-Encoding: gzip\r\n")) + record(http(), "http://b/")
    tracemalloc.start()
    documents, quarantine = read(tmp_path, data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [r.reason for r in quarantine.records] == ["pages longer than 8 MiB"]
    assert len(documents) == 1
    assert peak < 40 * 2**20


def test_a_record_too_long_to_hold_is_bad_with_its_size(tmp_path: Path) -> None:
    size = 40 * 2**20
    data = record(http(bytes(size)), "http://b/") + record(http())
    documents, quarantine = read(tmp_path, data)
    (bad,) = quarantine.records
    assert (len(documents), bad.reason, bad.num_bytes) == (
        1,
        "pages longer than 8 MiB",
        len(http(bytes(size))),
    )


def test_a_crawl_in_the_future_is_flagged(tmp_path: Path) -> None:
    documents, quarantine = read(tmp_path, record(http()), today=date(2024, 4, 30))
    assert [(d.date, d.date_kind) for d in documents] == [(None, None)]
    assert quarantine.flags == {"dates in the future": 1}
