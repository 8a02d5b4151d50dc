from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from evergrow.corpus.dates import iso_date


@pytest.mark.parametrize(
    ("spelt", "iso"),
    [
        ("2024", "2024"),
        (2024, "2024"),
        ("2024-05", "2024-05"),
        ("2024-5-1", "2024-05-01"),
        ("2024/05/01", "2024-05-01"),
        ("20240501", "2024-05-01"),
        ("20240501T120000Z", "2024-05-01T12:00:00Z"),
        ("2024-05-01T12:00:00Z", "2024-05-01T12:00:00Z"),
        ("2024-05-01 12:00:00.123+02:00", "2024-05-01T10:00:00Z"),
        ("2024-05-01T12:00", "2024-05-01T12:00:00"),
        ("2023-12-31T23:30:00-01:00", "2024-01-01T00:30:00Z"),
        ("May 2020", "2020-05"),
        ("Sept. 2020", "2020-09"),
        ("May 1, 2020", "2020-05-01"),
        ("1st May 2020", "2020-05-01"),
        ("01-May-2020", "2020-05-01"),
        ("Wed, 01 May 2024 12:00:00 GMT", "2024-05-01T12:00:00Z"),
        ("Wed, 1 May 2024 12:00:00 +0200", "2024-05-01T10:00:00Z"),
        ("Wed May  1 12:00:00 2024", "2024-05-01T12:00:00"),
        ("Wed May  1 12:00:00 UTC 2024", "2024-05-01T12:00:00Z"),
        (1714564800, "2024-05-01T12:00:00Z"),
        ("1714564800000", "2024-05-01T12:00:00Z"),
        (1714564800.0, "2024-05-01T12:00:00Z"),  # a column with gaps
        ("1714564800.25", "2024-05-01T12:00:00Z"),
        (2024.0, "2024"),
        (date(2020, 5, 1), "2020-05-01"),
        (datetime(2020, 5, 1, 7, tzinfo=timezone(timedelta(hours=1))), "2020-05-01T06:00:00Z"),
        (datetime(2020, 5, 1, 7), "2020-05-01T07:00:00"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
    ],
)
def test_common_spellings_become_iso(spelt: object, iso: str) -> None:
    assert iso_date(spelt) == iso


@pytest.mark.parametrize(
    "spelt",
    [
        *("01/02/2024", "13/02/2024", "yesterday", "2024-13-01", "2024-04-31", "0000", "", None),
        *("2024-05-01T25:00", "12", 12, "99999999", ["2024"], float("nan"), "2024-05-01 or so"),
        *("202405011200", "2024050112", "9780306406157", "171456480", "0306406152", "2024.5"),
        *(2024.5, "2024-00-05", float("inf")),
        *(True, datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))),
    ],
)
def test_what_could_mean_two_days_or_none_is_no_date(spelt: object) -> None:
    assert iso_date(spelt) is None


def test_dates_compare_as_text() -> None:
    spelt = ["2024", "Dec 2023", "2024-01-01T00:00:00+01:00", "5 Jan 2024", "2023"]
    assert sorted(str(iso_date(s)) for s in spelt) == [
        "2023",
        "2023-12",
        "2023-12-31T23:00:00Z",
        "2024",
        "2024-01-05",
    ]
