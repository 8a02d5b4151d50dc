"""What is text, in which encoding, and what is left out because it is none."""

import gzip
import io
import random
import sqlite3
import sys
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evergrow.config import decode
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.encodings import undecodable
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.reader import read_files, source_files
from evergrow.errors import InputError

GERMAN = "Die Größe der Bäume hängt von der Höhe über dem Meer ab; für Förster ist das schön.\n"
RUSSIAN = "Сегодня хорошая погода, и мы идём гулять в парк вместе с друзьями.\n"  # noqa: RUF001
JAPANESE = "今日はとても天気が良いので、友達と一緒に公園へ散歩に行きました。\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214\nsize 12345\n"


def read(folder: Path, **settings: object) -> tuple[list[str], Quarantine]:
    config = SourceConfig.model_validate({"files": ["*"], **settings})
    quarantine = Quarantine("web", max_bad=1)
    files = source_files(config, folder, "web").files
    return [d.text for d in read_files(config, files, quarantine)], quarantine


def database() -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table notes (text)")
    data = connection.serialize()
    connection.close()
    return data


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"), io.BytesIO())
    return stream.getvalue()


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("word/document.xml", "<w:p>text</w:p>")
    return stream.getvalue()


NOISE = random.Random(0).randbytes(5000)
NO_TEXT = [
    (database(), "SQLite databases"),
    (tar(), "tar archives"),
    (zipped(), "zip archives"),
    (b"\0asm\x01\0\0\0", "WebAssembly modules"),
    (bytes(100_000), "files of zeros"),
    (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "PDF documents"),
    (POINTER, "Git LFS pointers"),
    (gzip.compress(b"text"), "packed data without .gz in its name"),
    (NOISE, "binary files"),
    (bytes(byte for byte in NOISE if byte), "binary files"),  # without a single zero
    (b"code\0\xe3\x00" + b"a long docstring of words " * 300, "binary files"),
    (b"{\\rtf1\\ansi text}", "RTF documents"),
]


@pytest.mark.parametrize(("data", "kind"), NO_TEXT, ids=[kind for _, kind in NO_TEXT])
def test_what_is_no_text_is_left_out_and_counted(tmp_path: Path, data: bytes, kind: str) -> None:
    (tmp_path / "a.dat").write_bytes(data)
    (tmp_path / "fine.txt").write_text("fine")
    texts, quarantine = read(tmp_path)
    assert (texts, quarantine.skipped, quarantine.records) == (["fine"], {kind: 1}, [])


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "html", "json"])
def test_where_rows_or_pages_are_claimed_it_is_a_bad_document(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a.{suffix}").write_bytes(database())
    texts, quarantine = read(tmp_path)
    assert (texts, quarantine.skipped) == ([], {})
    assert [r.reason for r in quarantine.records] == [f"SQLite databases in place of {suffix}"]


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "jsonl", "warc"])
def test_a_pointer_of_git_lfs_says_how_to_fetch_it(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a.{suffix}").write_bytes(POINTER)
    _, quarantine = read(tmp_path)
    [bad] = quarantine.records
    assert bad.reason == f"Git LFS pointers in place of {suffix}"
    quarantine.max_bad = 0
    with pytest.raises(InputError, match="fetch them with git lfs pull"):
        quarantine.check()


def test_a_text_with_a_tail_of_zeros_is_bad(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"a line\n" * 2000 + bytes(50_000))
    texts, quarantine = read(tmp_path)
    [bad] = quarantine.records
    assert (texts, bad.offset, bad.reason) == ([], 14_000, "text with many zero bytes")


TEXTS = [
    "a stray \0 zero in a text of some length: " + "words and words " * 10,
    "\x1b[31mcolours of a terminal\x1b[0m and a form feed \f",
    JAPANESE + RUSSIAN,
    "a",
]


@pytest.mark.parametrize("text", TEXTS)
def test_odd_text_is_text(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    assert read(tmp_path)[0] == [text]


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-16", "utf-16"),
        ("utf-32", "utf-32"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("iso2022_jp", "iso2022_jp"),
    ],
)
def test_encodings_that_bytes_tell_are_named_and_asked_for_read(
    tmp_path: Path, encoding: str, named: str
) -> None:
    text = JAPANESE if encoding == "iso2022_jp" else GERMAN
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    texts, quarantine = read(tmp_path)
    assert texts == []
    [bad] = quarantine.records
    assert bad.reason == f"text in {named.upper()}"
    assert read(tmp_path, encoding=named)[0] == [text]


KOREAN = "오늘은 날씨가 좋아서 친구들과 함께 공원으로 산책을 갔고, 저녁에는 책을 읽었습니다.\n"
MANUAL = "먼저 전원을 끄고 USB 케이블을 뽑은 다음, 나사 4개를 풀어 덮개를 열고 메모리를 꺼낸다.\n"
# Syllables that EUC-KR lacks.
WINDOWS = "똠방각하는 펲시를 마시고 햏자들은 뷁을 외쳤다고 한다. 그 뒤로 아무도 웃지 않았다.\n"
CHINESE = "今天天气很好，我和朋友们一起去公园散步。中午我们在市场上吃了面条，晚上回家看书。\n"  # noqa: RUF001
TAIWANESE = "今天天氣很好，我和朋友們一起去公園散步。中午我們在市場吃了麵條，晚上回家看書。\n"  # noqa: RUF001


@pytest.mark.parametrize(
    ("text", "encoding", "named"),
    [
        (GERMAN, "cp1252", "cp1252"),
        (RUSSIAN, "koi8-r", "koi8-r"),
        (RUSSIAN, "cp1251", "cp1251"),
        (JAPANESE, "shift_jis", "shift_jis"),
        (JAPANESE, "euc-jp", "euc_jp"),
        (CHINESE, "gbk", "gb18030"),
        (TAIWANESE, "big5", "big5"),
        (KOREAN, "euc-kr", "cp949"),
        (MANUAL, "euc-kr", "cp949"),
        (WINDOWS, "cp949", "cp949"),
    ],
)
def test_legacy_encodings_are_guessed_and_asked_for_read(
    tmp_path: Path, text: str, encoding: str, named: str
) -> None:
    pytest.importorskip("resiliparse", reason="the web extra guesses encodings")
    (tmp_path / "a.txt").write_bytes((text * 3).encode(encoding))
    [bad] = read(tmp_path)[1].records
    assert bad.reason == f"bytes that are not UTF-8 but probably {named}"
    assert read(tmp_path, encoding=named)[0] == [text * 3]


@pytest.mark.parametrize("text", [GERMAN, RUSSIAN, JAPANESE, CHINESE, KOREAN, "Ärger, Öl, Übung\n"])
def test_damaged_utf8_and_other_letters_are_not_taken_for_korean(text: str) -> None:
    config = SourceConfig.model_validate({"files": ["*"]})
    damaged = (text * 5).encode()[:-3] + b"\xff"
    for data in (
        damaged,
        (text * 5).encode("latin-1", "ignore"),
        (text * 5).encode("gbk", "ignore"),
    ):
        assert "cp949" not in undecodable(data, config).reason


def test_korean_is_guessed_without_any_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resiliparse.parse.encoding", None)
    config = SourceConfig.model_validate({"files": ["*"]})
    for place in range(4):  # the end of what is looked at cuts a character
        data = (KOREAN * 3).encode("euc-kr")[: 200 - place]
        assert undecodable(data, config).reason.endswith("but probably cp949")
    assert undecodable((JAPANESE * 3).encode("euc-jp"), config).reason.endswith("not UTF-8")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jsonl", '{"text": "Höhe"}\n{"text": "über"}\n'),
        ("a.json", '[{"text": "Höhe"},\n {"text": "über"}]'),
        ("a.csv", 'text\n"Höhe"\nüber\n'),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_rows_are_read_in_their_encoding(
    tmp_path: Path, name: str, text: str, encoding: str
) -> None:
    (tmp_path / name).write_bytes(text.encode(encoding))
    texts, quarantine = read(tmp_path, encoding=encoding)
    assert (texts, quarantine.records) == (["Höhe", "über"], [])


def test_packed_text_is_read_in_its_encoding(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress((GERMAN * 5000).encode("utf-16")))
    assert read(tmp_path, encoding="utf-16")[0] == [GERMAN * 5000]


def test_what_the_named_encoding_lacks_is_bad(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "fine"}\n{"text": "\x81 none"}\n')
    texts, quarantine = read(tmp_path, encoding="cp1252")
    assert texts == ["fine"]
    [bad] = quarantine.records
    assert (bad.offset, bad.reason) == (17, "bytes that are not cp1252")


def test_an_encoding_must_be_one_and_be_used() -> None:
    for settings, told in (
        ({"encoding": "utf-61"}, "no encoding of text: 'utf-61'; expected one such as utf-16 or"),
        ({"encoding": "hex"}, "no encoding of text: 'hex'"),
        ({"encoding": "unicode_escape"}, "no encoding of text"),
        ({"encoding": "utf-16", "format": "parquet"}, "encoding belongs to files of text; remove"),
    ):
        with pytest.raises(InputError, match=told):
            decode(SourceConfig, {"files": ["a"], **settings}, "sources.web")


def test_a_row_of_parquet_keeps_its_own_encoding(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["Höhe"]}), tmp_path / "a.parquet")
    assert read(tmp_path, encoding="latin-1")[0] == ["Höhe"]
