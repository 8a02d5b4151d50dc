import gzip
from pathlib import Path

import pytest

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document
from evergrow.corpus.files import SourceFile
from evergrow.corpus.formats import delimited
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.reader import read_files
from evergrow.errors import InputError


def read(
    folder: Path, data: bytes, name: str = "a.csv", **settings: object
) -> tuple[list[Document], Quarantine]:
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    config = SourceConfig.model_validate({"files": ["*"], **settings})
    quarantine = Quarantine("web")
    return list(read_files(config, [SourceFile.at(path, folder)], quarantine)), quarantine


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv"])
def test_rows_with_quotes_and_lines_inside(tmp_path: Path, name: str) -> None:
    data = '\ufefftext,day\r\n"one ""1"", two\nthree",2024\r\nplain é,"May 2020"\r\n\r\nlast,\n'
    data = data.replace(",", "\t") if name == "a.tsv" else data
    documents, quarantine = read(tmp_path, data.encode(), name, date_field="day")
    comma = "\t" if name == "a.tsv" else ","
    assert [(d.text, d.date) for d in documents] == [
        (f'one "1"{comma} two\nthree', "2024"),
        ("plain é", "2020-05"),
        ("last", None),
    ]
    places = [data.encode().index(start) for start in (b'"one', b"plain", b"last")]
    assert [d.key for d in documents] == [f"{name}#{place}" for place in places]
    assert quarantine.records == []


def test_lines_inside_a_field_end_in_one_way(tmp_path: Path) -> None:
    documents, _ = read(tmp_path, b'text\r\n"one\r\ntwo"\r\n')
    assert [d.text for d in documents] == ["one\ntwo"]


def test_bad_rows_cost_themselves_only(tmp_path: Path) -> None:
    rows = [b"text,n\n", b"good,1\n", b"short\n", b"caf\xe9,2\n", b'"a"b,3\n', b"fine,4\n"]
    documents, quarantine = read(tmp_path, b"".join(rows))
    assert [d.text for d in documents] == ["good", "fine"]
    assert [(r.offset, r.reason, r.head) for r in quarantine.records] == [
        (14, "rows with more or fewer fields than the first line names", "short\n"),
        (20, "bytes that are not UTF-8", "caf\\xe9,2\n"),
        (27, "rows that are not CSV (',' expected after '\"')", '"a"b,3\n'),
    ]


def test_a_quote_that_is_never_closed_costs_its_line(tmp_path: Path) -> None:
    documents, quarantine = read(tmp_path, b'text,n\n"open,1\ntwo,2\nthree,3\n')
    assert [d.text for d in documents] == ["two", "three"]
    assert [(r.offset, r.reason) for r in quarantine.records] == [
        (7, "rows that are not CSV (unexpected end of data)")
    ]


def test_a_row_that_is_too_long_is_bad_with_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "MAX_LINE_BYTES", 100)
    data = b'n,text\n1,"' + b"x" * 60 + b"\n" + b"y" * 60 + b'"\n2,two\n'
    documents, quarantine = read(tmp_path, data)
    assert [d.text for d in documents] == ["two"]
    first = quarantine.records[0]
    assert (first.offset, first.num_bytes, first.reason) == (
        7,
        126,
        "rows longer than 32 MiB, as after a quote that is not closed",
    )


def test_fields_longer_than_the_usual_limit_are_read(tmp_path: Path) -> None:
    documents, _ = read(tmp_path, b"text\n" + b"x" * 200_000 + b"\n")
    assert [len(d.text) for d in documents] == [200_000]


def test_a_missing_column_and_a_broken_first_line_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, b"body,day\nx,y\n", date_field="day")
    assert str(error.value) == (
        f"{tmp_path}/a.csv: no column 'text'; set sources.web.text_field to one of body, day"
    )
    with pytest.raises(InputError, match=r"a\.csv: two columns are called 'text'; rename or"):
        read(tmp_path, b"text,day,text,,\nx,y,z,,\n")
    assert [d.text for d in read(tmp_path, b"text,,\nx,,\n")[0]] == ["x"]
    with pytest.raises(InputError, match=r"a\.csv: its first line does not name the columns"):
        read(tmp_path, b'"text\nx\n')
