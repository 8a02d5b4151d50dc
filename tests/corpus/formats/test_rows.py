import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.dates import LATEST_YEAR
from evergrow.corpus.document import Document, document_id
from evergrow.corpus.files import SourceFile
from evergrow.corpus.quarantine import Quarantine, Quarantined
from evergrow.corpus.reader import read_files
from evergrow.corpus.signals.programming import domain_of, programming_language
from evergrow.errors import InputError


def read(
    folder: Path, *rows: object, today: date | None = None, **settings: object
) -> tuple[list[Document], Quarantine]:
    """The documents of one JSONL file per row, so that a source goes over several files."""
    for number, row in enumerate(rows):
        (folder / f"{number}.jsonl").write_text(json.dumps(row) + "\n")
    config = SourceConfig.model_validate({"files": ["*"], **settings})
    files = [SourceFile.at(path, folder) for path in sorted(folder.iterdir())]
    quarantine = Quarantine("web", today=today)
    return list(read_files(config, files, quarantine)), quarantine


def test_ids_of_the_data_become_keys(tmp_path: Path) -> None:
    documents, _ = read(tmp_path, {"text": "a", "n": 7}, {"text": "b", "n": "x/1"}, id_field="n")
    assert {d.key for d in documents} == {"7", "x/1"}
    assert {d.id for d in documents} == {document_id("web", "7"), document_id("web", "x/1")}


@pytest.mark.parametrize(
    ("row", "reason", "way_out"),
    [
        ({"text": "a"}, "id field 'n' that is missing", "give every row an id, or no id_field"),
        ({"text": "a", "n": ""}, "id field 'n' that is missing", "give every row an id"),
        ({"text": "a", "n": " \t"}, "id field 'n' that is missing", "give every row an id"),
        ({"text": "a", "n": 1.5}, "id field 'n' that is float", "write ids as text or numbers"),
        ({"text": "a", "n": True}, "id field 'n' that is bool", "write ids as text or numbers"),
        ({"text": "a", "n": "\ud800"}, "halves of surrogate pairs", "write whole characters"),
    ],
)
def test_a_row_without_an_id_is_bad(tmp_path: Path, row: object, reason: str, way_out: str) -> None:
    documents, quarantine = read(tmp_path, row, id_field="n")
    head = json.dumps(row) + "\n"
    assert documents == []
    assert quarantine.records == [Quarantined("0.jsonl", 0, reason, "web", head)]
    with pytest.raises(InputError) as error:
        quarantine.check()
    assert str(error.value).startswith(
        "sources.web: 1 of 1 documents cannot be read, more than 0.1 %; most often (once, first at "
        f"0 of 0.jsonl) because of {reason}; {way_out}"
    )


def test_an_id_given_twice_is_left_to_who_sees_the_whole_corpus(tmp_path: Path) -> None:
    rows = [{"text": str(i), "n": min(i, 3)} for i in range(5)]
    documents, quarantine = read(tmp_path, *rows, id_field="n")
    assert sorted(d.key for d in documents) == ["0", "1", "2", "3", "3"]
    assert (quarantine.records, quarantine.num_documents) == ([], 5)


@pytest.mark.parametrize(
    ("row", "settings", "language"),
    [
        ({}, {}, ""),
        ({"n": "src/a.py"}, {"id_field": "n"}, "python"),
        ({"n": "a.py"}, {"id_field": "n"}, ""),
        ({"n": "www.onet.pl"}, {"id_field": "n"}, ""),
        ({"n": "www.onet.pl/a.pl"}, {"id_field": "n"}, ""),
        ({"n": "https://example.com/news/index.html"}, {"id_field": "n"}, ""),
        ({"path": "setup.py"}, {"id_field": "path"}, "python"),
        ({"path": "setup.py"}, {"meta_fields": ["path"]}, "python"),
        ({"path": "setup.py"}, {}, ""),
        ({"path": "s3://dump/a.py"}, {"meta_fields": ["path"]}, ""),
        ({"lang": "C++", "path": "a.h"}, {"meta_fields": ["path", "lang"]}, "c++"),
        ({"lang": "en"}, {"meta_fields": ["lang"]}, ""),
        ({"lang": "pl", "path": None}, {"meta_fields": ["lang", "path"]}, ""),
    ],
)
def test_rows_are_prose_unless_the_data_names_a_file(
    tmp_path: Path, row: dict[str, object], settings: dict[str, object], language: str
) -> None:
    (document,), _ = read(tmp_path, {"text": "a"} | row, **settings)
    assert programming_language(document) == language


def test_a_file_of_json_is_no_code_to_the_rules(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text('{"text": "a"}\n')
    (document,), _ = read(tmp_path)
    assert (document.key, domain_of(document)) == ("rows.json#0", "prose")


def test_lines_end_in_one_way(tmp_path: Path) -> None:
    (document,), _ = read(tmp_path, {"text": "one\r\ntwo\rthree\n"})
    assert document.text == "one\ntwo\nthree\n"


def test_a_row_with_a_key_given_twice_is_bad(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a", "text": "b"}\n{"text": "c"}\n')
    documents, quarantine = read(tmp_path)
    assert [d.text for d in documents] == ["c"]
    assert [(r.offset, r.reason) for r in quarantine.records] == [
        (0, "rows with a key given twice")
    ]


def test_a_date_that_cannot_be_read_is_unknown_counted_and_kept_as_spelt(tmp_path: Path) -> None:
    rows = [{"text": "a", "day": "01/02/2024"}, {"text": "b", "day": "2024/02/01"}]
    documents, quarantine = read(tmp_path, *rows, date_field="day")
    found = {d.text: (d.date, d.date_kind, d.meta) for d in documents}
    assert found == {
        "a": (None, None, '{"date": "01/02/2024"}'),
        "b": ("2024-02-01", "declared", ""),
    }
    assert quarantine.flags == {"dates that cannot be read": 1}
    record = Quarantined("0.jsonl", 0, "dates that cannot be read", "web", "01/02/2024")
    assert quarantine.flagged == [record]
    assert quarantine.records == []


def test_a_date_in_the_future_of_the_day_that_is_told_is_flagged(tmp_path: Path) -> None:
    spelt = ["2024-05-02T00:00:00Z", "2024-05-01T23:00:00Z", "2024-06", "2025", "2024", None]
    rows = [{"text": str(i), "day": day} for i, day in enumerate(spelt)]
    documents, quarantine = read(tmp_path, *rows, date_field="day", today=date(2024, 5, 1))
    kept = {d.text: d.date for d in documents}
    assert kept == {"0": None, "1": spelt[1], "2": None, "3": None, "4": "2024", "5": None}
    assert quarantine.flags == {"dates in the future": 3}
    assert '"date": "2025"' in next(d.meta for d in documents if d.text == "3")
    assert quarantine.records == []
    documents, quarantine = read(tmp_path, date_field="day")
    assert {d.date for d in documents if d.text == "3"} == {"2025"}
    assert not quarantine.flags


def test_a_year_that_no_data_can_have_is_flagged_without_a_day_to_go_by(tmp_path: Path) -> None:
    days = [f"{LATEST_YEAR}-12-31T23:00:00Z", LATEST_YEAR, LATEST_YEAR + 1, "9999-01-01"]
    rows = [{"text": str(i), "day": day} for i, day in enumerate(days)]
    documents, quarantine = read(tmp_path, *rows, date_field="day")
    kept = {d.text: d.date for d in documents}
    assert kept == {"0": days[0], "1": str(LATEST_YEAR), "2": None, "3": None}
    assert quarantine.flags == {"dates in the future": 2}
    documents, _ = read(tmp_path, date_field="day", today=date(2035, 1, 1))
    assert {d.date for d in documents if d.text == "2"} == {str(LATEST_YEAR + 1)}


def test_of_many_flagged_dates_twenty_are_kept_as_examples() -> None:
    quarantine = Quarantine("web")
    for i in range(30):
        quarantine.flag("a", i, "dates that cannot be read", "?" * 300)
    assert (quarantine.flags["dates that cannot be read"], len(quarantine.flagged)) == (30, 20)
    assert len(quarantine.flagged[0].head) == 200


def test_licences_and_other_fields_are_taken_when_asked(tmp_path: Path) -> None:
    rows = [{"text": "a", "l": "MIT", "url": "u", "n": 1}, {"text": "b", "l": ["MIT", "ISC"]}]
    documents, _ = read(tmp_path, *rows, license_field="l", meta_fields=["url", "n"])
    assert sorted((d.text, d.license, d.meta) for d in documents) == [
        ("a", "MIT", '{"n": 1, "url": "u"}'),
        ("b", "MIT, ISC", ""),
    ]


def test_half_a_character_in_a_licence_or_meta_costs_the_row(tmp_path: Path) -> None:
    rows = [{"text": "a", "l": "\ud800"}, {"text": "b", "url": "\ud800"}, {"text": "c"}]
    documents, quarantine = read(tmp_path, *rows, license_field="l", meta_fields=["url"])
    assert [d.text for d in documents] == ["c"]
    assert {r.reason for r in quarantine.records} == {"halves of surrogate pairs"}


def test_a_line_of_200_mb_is_bad_with_its_size(tmp_path: Path) -> None:
    with (tmp_path / "a.jsonl").open("wb") as file:
        file.write(b'{"text": "a"}\n')
        file.truncate(200 * 10**6)  # a hole: zero bytes without disk space
        file.seek(0, 2)
        file.write(b'\n{"text": "b"}\n')
    quarantine = Quarantine("web", max_bad=0.5)
    file = SourceFile(tmp_path / "a.jsonl", "a.jsonl", 0, "")
    documents = list(read_files(SourceConfig(files=["*"]), [file], quarantine))
    assert [d.text for d in documents] == ["a", "b"]
    (bad,) = quarantine.records
    assert (bad.offset, bad.reason, bad.num_bytes) == (14, "lines longer than 32 MiB", 199999987)
    assert bad.head == "\0" * 200
    quarantine.check()


def test_the_allowed_share_is_the_sources_own(tmp_path: Path) -> None:
    rows = [{"text": "a"}, {"text": "b"}, {"txt": "c"}]
    _, quarantine = read(tmp_path, *rows)
    quarantine.max_bad = 0.3
    with pytest.raises(InputError, match=r"1 of 3 documents cannot be read, more than 30 %"):
        quarantine.check()
    quarantine.max_bad = 0.34
    quarantine.check()


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "arrow"])
def test_fields_in_fields_are_named_with_a_dot(tmp_path: Path, suffix: str) -> None:
    rows = [
        {"data": {"text": "one", "id": "a", "more": 1}, "told": {"by": {"whom": "x"}}},
        {"data": {"text": "two", "id": "b", "more": 2}, "told": {"by": {"whom": "y"}}},
    ]
    path = tmp_path / f"rows.{suffix}"
    table = pa.Table.from_pylist(rows)
    if suffix == "parquet":
        pq.write_table(table, path)
    elif suffix == "arrow":
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = SourceConfig(
        files=["*"], text_field="data.text", id_field="data.id", meta_fields=["told.by.whom"]
    )
    file = SourceFile.at(path, tmp_path)
    found = list(read_files(config, [file], Quarantine("web")))
    assert [(d.text, d.key, d.meta) for d in found] == [
        ("one", "a", '{"told.by.whom": "x"}'),
        ("two", "b", '{"told.by.whom": "y"}'),
    ]


def test_a_name_with_a_dot_is_a_name_first(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"data.text": "flat", "data": {"text": "deep"}}\n')
    config = SourceConfig(files=["*"], text_field="data.text")
    file = SourceFile.at(tmp_path / "a.jsonl", tmp_path)
    assert [d.text for d in read_files(config, [file], Quarantine("web"))] == ["flat"]


def test_a_field_that_is_nowhere_inside_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"data": "flat"}\n{"data": {"text": "fine"}}\n')
    config = SourceConfig(files=["*"], text_field="data.text")
    quarantine = Quarantine("web", max_bad=1)
    file = SourceFile.at(tmp_path / "a.jsonl", tmp_path)
    assert [d.text for d in read_files(config, [file], quarantine)] == ["fine"]
    assert [r.reason for r in quarantine.records] == ["text field 'data.text' that is missing"]
