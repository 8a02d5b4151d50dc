import random
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.files import SourceFile
from evergrow.corpus.formats import parquet
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.reader import read_files
from evergrow.errors import InputError


def read(path: Path, **settings: object) -> tuple[list, Quarantine]:
    config = SourceConfig.model_validate({"files": ["*"], **settings})
    quarantine = Quarantine("web")
    file = SourceFile.at(path, path.parent)
    return list(read_files(config, [file], quarantine)), quarantine


@pytest.mark.parametrize("codec", ["none", "gzip", "zstd", "snappy"])
def test_every_packing_inside_is_read(tmp_path: Path, codec: str) -> None:
    table = pa.table({"text": [f"é{i}" for i in range(600)], "other": [b"\xff"] * 600})
    pq.write_table(table, tmp_path / "a.parquet", compression=codec, row_group_size=100)
    documents, _ = read(tmp_path / "a.parquet")
    assert [d.text for d in documents] == [f"é{i}" for i in range(600)]
    assert documents[-1].key == "a.parquet#599"


def test_ids_licences_and_meta_come_from_columns(tmp_path: Path) -> None:
    columns = {"text": ["a", "b"], "n": [1, 1], "l": [["MIT"], []], "day": [None, None]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    settings = {"id_field": "n", "license_field": "l", "meta_fields": ["n"], "date_field": "day"}
    documents, quarantine = read(tmp_path / "a.parquet", **settings)
    assert [(d.key, d.license, d.meta, d.date) for d in documents] == [
        ("1", "MIT", '{"n": 1}', None),
        ("1", None, '{"n": 1}', None),
    ]
    assert quarantine.records == []


def stamps(unit: str, zone: str | None, *values: int | None) -> pa.Array:
    return pa.array(values, pa.int64()).cast(pa.timestamp(unit, zone))


@pytest.mark.parametrize(
    ("stamp", "date"),
    [
        (stamps("ns", None, 1714564800123456789), "2024-05-01T12:00:00"),
        (stamps("ns", "UTC", 1714564800123456789), "2024-05-01T12:00:00Z"),
        (stamps("s", None, 253402300800), None),  # the year 10000
        (stamps("s", "Mars/Base", 1714564800), None),
        (pa.array([[1]], pa.list_(pa.timestamp("ns"))), None),
    ],
)
def test_a_date_that_python_cannot_hold_is_unknown(
    tmp_path: Path, stamp: pa.Array, date: str | None
) -> None:
    pq.write_table(pa.table({"text": ["a"], "day": stamp}), tmp_path / "a.parquet")
    (document,), quarantine = read(tmp_path / "a.parquet", date_field="day", meta_fields=["day"])
    assert document.date == date
    assert quarantine.flags == ({} if date else {"dates that cannot be read": 1})


def test_a_text_or_an_id_that_python_cannot_hold_is_a_bad_row(tmp_path: Path) -> None:
    columns = {"text": ["a", "b"], "n": stamps("ms", None, 253402300800000, None)}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    for settings in ({"text_field": "n"}, {"id_field": "n"}):
        _, quarantine = read(tmp_path / "a.parquet", **settings)
        reason = "field 'n' with a timestamp[ms] that cannot be read"
        assert quarantine.records[0].reason == reason


def test_damage_inside_a_file_is_told_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"text {i}" for i in range(9000)]}), path, compression="zstd")
    data = bytearray(path.read_bytes())
    data[50 : len(data) // 2] = bytes(len(data) // 2 - 50)
    path.write_bytes(data)
    with pytest.raises(InputError) as error:
        read(path)
    told = str(error.value)
    assert told.startswith(f"{path}: damaged inside (") and "\n" not in told
    assert told.endswith("); fetch or write it again, or leave it out of `files`")


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.table([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"two columns are called 'text'; rename or remove one"):
        read(tmp_path / "a.parquet")


def test_pages_that_unpack_to_far_more_are_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "FREE_BYTES", 2**18)
    table = pa.table({"text": ["x" * 2**20] * 4})
    pq.write_table(table, tmp_path / "a.parquet", compression="zstd", use_dictionary=False)
    documents, quarantine = read(tmp_path / "a.parquet")
    assert documents == []
    (bad,) = quarantine.records
    assert bad.reason == "files that unpack to more than 64 MiB and 250 times their size"
    assert bad.num_bytes > 4 * 2**20


def test_an_open_file_holds_a_few_documents_and_no_row_group(tmp_path: Path) -> None:
    texts = [random.Random(i).randbytes(50_000).hex() for i in range(500)]
    pages = {"use_dictionary": False, "write_batch_size": 8}  # of about 1 MiB
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet", **pages)
    before = pa.total_allocated_bytes()
    file = SourceFile.at(tmp_path / "a.parquet", tmp_path)
    documents = read_files(SourceConfig(files=["*"]), [file], Quarantine("web"))
    held = [pa.total_allocated_bytes() - before for _ in islice(documents, 100)]
    documents.close()
    assert max(held) < 10 * 2**20  # 256 rows have 26 MB, the row group 50
