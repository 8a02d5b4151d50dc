"""Dates as people and programs spell them, to ISO; what could mean two days is no date."""

import re
from datetime import UTC, datetime, tzinfo
from datetime import date as Date

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(?P<name>jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\.?"
_TIME = r"(?P<time>\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)"
_ZONE = r"(?P<zone>z|utc|gmt|[+-]\d{2}:?\d{2})"
_DAY_NAME = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
_CLOCK = rf"(?:[ t]\s*{_TIME}\s*{_ZONE}?)?"
SPELLINGS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?P<year>\d{4})(?:[-/](?P<month>\d{1,2}))?",
        rf"(?P<year>\d{{4}})[-/.](?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}}){_CLOCK}",
        r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?:t?(?P<time>\d{6})(?P<zone>z)?)?",
        rf"{_DAY_NAME}(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:\s+|-){_MONTH},?(?:\s+|-)"
        rf"(?P<year>\d{{4}}){_CLOCK}",
        rf"{_DAY_NAME}{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}}){_CLOCK}",
        rf"{_DAY_NAME}{_MONTH}\s+(?P<day>\d{{1,2}})\s+{_TIME}\s+(?:{_ZONE}\s+)?(?P<year>\d{{4}})",
        rf"{_MONTH},?\s+(?P<year>\d{{4}})",
    )
]
# A later date is a mistake of the data, whatever the day: the year of this version and one more,
# since a clock would change a corpus from day to day. A new version may raise it.
LATEST_YEAR = 2027
COUNTED_YEARS = range(1990, 2101)  # in which seconds since 1970 are believed
_COUNTED = re.compile(r"(?P<seconds>\d{10})(?:\.\d*)?|(?P<milliseconds>\d{13})")


def iso_date(spelt: object) -> str | None:
    """The date as ``2024``, ``2024-05``, ``2024-05-01`` or ``2024-05-01T12:00:00Z`` (UTC).

    So dates compare as text; a time without a zone stays without. Reads ISO 8601, RFC 2822, C's
    asctime, English month names, ``20240501``, and seconds since 1970 of exactly 10 digits or
    milliseconds of 13, when they fall into 1990 to 2100. None for anything else; for 01/02/2024,
    which is the first of February here and the second of January there; and for 2024050112, which
    is an hour of that May or a second of 2034.
    """
    if isinstance(spelt, datetime):
        return _with_zone(spelt)
    if isinstance(spelt, Date):
        return spelt.isoformat()
    if isinstance(spelt, bool) or not isinstance(spelt, int | float | str):
        return None
    is_whole = isinstance(spelt, float) and spelt.is_integer()  # as columns with gaps hold numbers
    text = str(int(spelt) if is_whole else spelt).strip()
    if counted := _COUNTED.fullmatch(text):
        return _since_1970(counted)
    match = next((m for pattern in SPELLINGS if (m := pattern.fullmatch(text))), None)
    return _from_parts(match.groupdict()) if match else None


def _since_1970(counted: re.Match[str]) -> str | None:
    digits = counted["seconds"] or counted["milliseconds"]
    moment = datetime.fromtimestamp(int(digits[:10]), UTC)
    if moment.year not in COUNTED_YEARS or _is_hour(digits):
        return None
    return _with_zone(moment)


def _is_hour(digits: str) -> bool:
    """Whether ten digits also read as year, month, day and hour of our time: 2024050112."""
    try:
        return len(digits) == 10 and datetime.strptime(digits, "%Y%m%d%H").year >= 1900
    except ValueError:
        return False


def _with_zone(moment: datetime) -> str | None:
    if moment.tzinfo is None:
        return moment.replace(microsecond=0).isoformat()
    try:
        return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
    except OverflowError:  # the first or last hours that Python knows
        return None


def _from_parts(parts: dict[str, str | None]) -> str | None:
    year, name = int(parts["year"] or 0), parts.get("name")
    month = MONTHS.index(name[:3].lower()) + 1 if name else int(parts.get("month") or 1)
    day, time, zone = int(parts.get("day") or 1), parts.get("time"), parts.get("zone")
    length = 10 if parts.get("day") else 7 if name or parts.get("month") else 4
    try:
        if not time:
            return Date(year, month, day).isoformat()[:length]
        clock = [int(float(p.replace(",", "."))) for p in _clock(time)]
        return _with_zone(datetime(year, month, day, *clock, tzinfo=_offset(zone)))
    except ValueError:  # the 31st of April, hour 25, the year 0
        return None


def _clock(time: str) -> list[str]:
    return time.split(":") if ":" in time else [time[:2], time[2:4], time[4:]]


def _offset(zone: str | None) -> tzinfo | None:
    if zone is None:
        return None
    spelt = "+0000" if zone.lower() in ("z", "utc", "gmt") else zone.replace(":", "")
    return datetime.strptime(spelt, "%z").tzinfo
