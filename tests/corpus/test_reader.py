import gzip
import json
import os
import zipfile
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus.plain import corpus_of

from evergrow.corpus import parts, unpack
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document, content_hash
from evergrow.corpus.files import NAMELESS, SourceFile
from evergrow.corpus.globs import OUTSIDE
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.reader import BOMB, BROKEN, read_documents, read_files, source_files
from evergrow.errors import InputError


def read(folder: Path, **settings: object) -> tuple[list[Document], Quarantine]:
    config = SourceConfig.model_validate({"files": ["*"], **settings})
    files = [SourceFile.at(path, folder) for path in sorted(folder.iterdir())]
    quarantine = Quarantine("web")
    return list(read_files(config, files, quarantine)), quarantine


def places(quarantine: Quarantine) -> list[tuple[str, int, str]]:
    return [(r.path, r.offset, r.reason) for r in quarantine.records]


def rows(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def test_any_other_suffix_is_text_and_a_byte_order_mark_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.rst").write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    documents, quarantine = read(tmp_path)
    assert documents == [Document.of("one\ntwo\nthree\n", "web", "a.rst")]
    assert (quarantine.num_documents, quarantine.records) == (1, [])


@pytest.mark.parametrize("packed", ["plain", "gz", "zst"])
@pytest.mark.parametrize("suffix", ["txt", "jsonl"])
def test_packed_files_read_like_plain_ones(tmp_path: Path, packed: str, suffix: str) -> None:
    data = rows({"text": "é" * 50}) if suffix == "jsonl" else ("é" * 50).encode()
    path = tmp_path / (f"a.{suffix}" if packed == "plain" else f"a.{suffix}.{packed}")
    codec = {"plain": None, "gz": "gzip", "zst": "zstd"}[packed]
    with pa.output_stream(str(path), compression=codec) as stream:
        stream.write(data)
    documents, _ = read(tmp_path)
    assert [d.text for d in documents] == ["é" * 50]


def test_members_of_a_concatenated_gzip_file_are_all_read(tmp_path: Path) -> None:
    members = [gzip.compress(rows({"text": str(i)})) for i in range(3)]
    (tmp_path / "a.jsonl.gz").write_bytes(b"".join(members))
    assert [d.text for d in read(tmp_path)[0]] == ["0", "1", "2"]


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_of_a_broken_packed_file_what_came_before_stays(tmp_path: Path, suffix: str) -> None:
    written = [{"text": f"text {i * i}"} for i in range(20_000)]
    path = tmp_path / f"a.jsonl.{suffix}"
    with pa.output_stream(str(path)) as stream:
        stream.write(rows(*written))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    (tmp_path / "b.jsonl").write_bytes(rows({"text": "fine"}))
    documents, quarantine = read(tmp_path)
    texts = [d.text for d in documents if d.path != "b.jsonl"]
    assert texts == [row["text"] for row in written[: len(texts)]]
    assert len(texts) > 10_000
    (record,) = quarantine.records
    assert (record.path, record.reason) == (path.name, BROKEN)
    assert 0 <= record.offset - len(rows(*written[: len(texts)])) < 40


def test_a_source_of_broken_files_only_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(rows(*({"text": f"text {i * i}"} for i in range(20_000))))
    (tmp_path / "a.jsonl.gz").write_bytes(packed[:-9])
    config = SourceConfig(files=["*.gz"])
    told = (
        r"sources.web: packed data that is damaged or breaks off in every file \(1\); fetch or "
        r"compress them again"
    )
    with pytest.raises(InputError, match=told):
        list(read_documents(config, tmp_path, Quarantine("web")))
    with pytest.raises(InputError):
        corpus_of(config, tmp_path, tmp_path / "run")


def test_nothing_stays_of_a_text_that_is_a_bomb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MAX_DOCUMENT_BYTES", 2**16)
    monkeypatch.setattr(unpack, "FREE_BYTES", 2**20)
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"a line\n" * 2**20))
    documents, quarantine = read(tmp_path)
    assert (documents, [r.reason for r in quarantine.records]) == ([], [BOMB])


def test_a_file_with_a_fault_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "glob").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "glob/out.txt").symlink_to("../secret")
    (tmp_path / "glob/fine.txt").write_text("fine")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/glob/caf\xe9.txt")).write_text("x")
    files = source_files(SourceConfig(files=["glob/*"]), tmp_path, "web").files
    quarantine = Quarantine("web")
    documents = list(read_files(SourceConfig(files=["glob/*"]), files, quarantine))
    assert [d.text for d in documents] == ["fine"]
    assert sorted(places(quarantine)) == [
        ("glob/caf\\xe9.txt", 0, NAMELESS.reason),
        ("glob/out.txt", 0, OUTSIDE.reason),
    ]


def test_rows_carry_their_date_in_iso(tmp_path: Path) -> None:
    data = rows({"body": "a", "day": "May 2020"}, {"body": "b"}, {"body": "c", "day": 2021})
    (tmp_path / "a.jsonl").write_bytes(data + b"\n  \n")
    documents, quarantine = read(tmp_path, text_field="body", date_field="day")
    assert [(d.text, d.date) for d in documents] == [("a", "2020-05"), ("b", None), ("c", "2021")]
    assert quarantine.records == []


def test_bad_rows_are_quarantined_with_their_offset_and_reason(tmp_path: Path) -> None:
    good = rows({"text": "a"})
    bad = [b"{\n", b'"text"\n', b'{"text": 3}\n', b"{}\n", b'{"text": "\xff"}\n']
    bad.append(b'{"text": "\\ud800"}\n')
    (tmp_path / "a.jsonl").write_bytes(good + b"".join(bad))
    documents, quarantine = read(tmp_path)
    assert [d.text for d in documents] == ["a"]
    assert [r.reason for r in quarantine.records] == [
        "rows that are not JSON",
        "rows that are not JSON objects",
        "text field 'text' that is int",
        "text field 'text' that is missing",
        "bytes that are not UTF-8",
        "halves of surrogate pairs",
    ]
    offsets = [len(good) + sum(map(len, bad[:i])) for i in range(len(bad))]
    assert [r.offset for r in quarantine.records] == offsets
    assert quarantine.num_documents == 7


def test_undecodable_bytes_stop_a_small_source_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    (tmp_path / "b.txt").write_text("fine")
    _, quarantine = read(tmp_path)
    with pytest.raises(InputError) as error:
        quarantine.check()
    assert str(error.value) == (
        "sources.web: 1 of 2 documents cannot be read, more than 0.1 %; most often (once, first "
        "at 3 of a.txt) because of bytes that are not UTF-8; save the file as UTF-8 "
        "(iconv -f latin1 -t utf-8) or leave it out of `files`"
    )


def test_parquet_rows_with_dates_and_a_null_text(tmp_path: Path) -> None:
    table = pa.table(
        {"text": ["a", None, "c"], "day": [date(2020, 5, 1), None, None], "n": [1, 2, 3]}
    )
    pq.write_table(table, tmp_path / "a.parquet")
    documents, quarantine = read(tmp_path, date_field="day")
    assert [(d.text, d.date) for d in documents] == [("a", "2020-05-01"), ("c", None)]
    assert places(quarantine) == [("a.parquet", 1, "text field 'text' that is missing")]


def test_parquet_text_that_is_not_utf8_costs_its_row_only(tmp_path: Path) -> None:
    wrong = pa.array([b"ok", b"\xff", b"fine"]).view(pa.string())
    pq.write_table(pa.table({"text": wrong}), tmp_path / "a.parquet")
    documents, quarantine = read(tmp_path)
    assert [d.text for d in documents] == ["ok", "fine"]
    assert places(quarantine) == [("a.parquet", 1, "bytes that are not UTF-8")]
    assert quarantine.records[0].head == "\\xff"


def test_a_missing_column_names_those_there_are(tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": ["a"], "day": ["b"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError) as error:
        read(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/a.parquet: no column 'text'; set sources.web.text_field to one of body, day"
    )


def test_a_broken_or_packed_parquet_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InputError, match=r"a\.parquet: not a whole Parquet file"):
        read(tmp_path)
    (tmp_path / "a.parquet").rename(tmp_path / "a.parquet.gz")
    with pytest.raises(InputError, match=r"Parquet compresses inside; unpack the file"):
        read(tmp_path)


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "zip"])
def test_what_is_read_from_its_end_must_not_have_changed(tmp_path: Path, suffix: str) -> None:
    path, table = tmp_path / f"a.{suffix}", pa.table({"text": ["one"]})
    if suffix == "parquet":
        pq.write_table(table, path)
    elif suffix == "arrow":
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.txt", "one")
    files = [SourceFile.at(path, tmp_path)]
    config = SourceConfig(files=["*"])
    assert [d.text for d in read_files(config, files, Quarantine("web"))] == ["one"]
    os.utime(path, ns=(1, 1))
    with pytest.raises(InputError, match="changed while it was being read"):
        list(read_files(config, files, Quarantine("web")))


def test_the_beginning_of_the_stream_is_spread_over_the_files(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.jsonl").write_bytes(rows(*({"text": f"{name}{i}"} for i in range(4))))
    texts = [d.text for d in read(tmp_path)[0]]
    assert sorted(texts[:3]) == ["a0", "b0", "c0"]
    assert sorted(texts[3:6]) == ["a1", "b1", "c1"]


def test_the_order_hangs_on_names_and_not_on_contents(tmp_path: Path) -> None:
    def order(extra: str) -> list[str]:
        for i in range(100):
            (tmp_path / f"{i}.txt").write_text(f"{i} {extra}")
        return [d.path for d in read(tmp_path)[0]]

    first = order("")
    assert first == order("other")
    assert first != sorted(first)
    assert sorted(first) == sorted(f"{i}.txt" for i in range(100))


def test_long_text_comes_in_blocks_that_end_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MAX_DOCUMENT_BYTES", 10)
    (tmp_path / "a.txt").write_bytes("abc\ndéf\nghéééééééi\n".encode() + b"jk\xfflmno\nno")
    documents, quarantine = read(tmp_path)
    assert [d.text for d in documents] == ["abc\ndéf\n", "ghééé", "ééééi\n", "no"]
    assert places(quarantine) == [("a.txt", 29, "bytes that are not UTF-8")]


@pytest.mark.parametrize("line", [b"12345678\r\n", b"1234567\r\n", b"123456789\r\n"])
def test_a_block_does_not_part_the_two_characters_of_a_line_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    monkeypatch.setattr(parts, "MAX_DOCUMENT_BYTES", 9)
    (tmp_path / "a.txt").write_bytes(line * 3)
    (tmp_path / "b.txt").write_bytes(b"a\r\nb\r\n\xff")
    documents, quarantine = read(tmp_path)
    assert "".join(d.text for d in documents) == line.decode().replace("\r\n", "\n") * 3
    assert places(quarantine) == [("b.txt", 6, "bytes that are not UTF-8")]


def test_long_rows_are_cut_and_keep_their_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MAX_DOCUMENT_BYTES", 8)
    (tmp_path / "a.jsonl").write_bytes(rows({"text": "one\ntwo\nthree\n"}))
    documents, _ = read(tmp_path)
    assert [d.text for d in documents] == ["one\ntwo\n", "three\n"]
    assert {d.parent for d in documents} == {content_hash("one\ntwo\nthree\n")}


def test_reading_all_files_of_a_pattern_refuses_bad_ones(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("fine")
    config = SourceConfig(files=["*.txt"])
    assert [d.text for d in read_documents(config, tmp_path, Quarantine("web"))] == ["fine"]
    (tmp_path / "b.txt").write_bytes(b"\xff")
    with pytest.raises(InputError, match="1 of 2 documents cannot be read"):
        list(read_documents(config, tmp_path, Quarantine("web")))
