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
        rf"(?P<year>\d{{4}})(?:[-/.](?P<month>\d{{1,2}})(?:[-/.](?P<day>\d{{1,2}}){_CLOCK})?)?",
        r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?:t?(?P<time>\d{6})(?P<zone>z)?)?",
        rf"{_DAY_NAME}(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:\s+|-){_MONTH},?(?:\s+|-)"
        rf"(?P<year>\d{{4}}){_CLOCK}",
        rf"{_DAY_NAME}{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}}){_CLOCK}",
        rf"{_DAY_NAME}{_MONTH}\s+(?P<day>\d{{1,2}})\s+{_TIME}\s+(?:{_ZONE}\s+)?(?P<year>\d{{4}})",
        rf"{_MONTH},?\s+(?P<year>\d{{4}})",
    )
]
EARLIEST_SECONDS, LATEST_SECONDS = 10**8, 10**10  # 1973 to 2286: nobody counts days like that


def iso_date(spelt: object) -> str | None:
    """The date as ``2024``, ``2024-05``, ``2024-05-01`` or ``2024-05-01T12:00:00Z`` (UTC).

    So dates compare as text; a time without a zone stays without. Reads ISO 8601, RFC 2822, C's
    asctime, English month names, ``20240501``, and seconds or milliseconds since 1970 when they
    are numbers or digits of that length. None for anything else, and for 01/02/2024: that is the
    first of February here and the second of January there.
    """
    if isinstance(spelt, datetime):
        return _with_zone(spelt)
    if isinstance(spelt, Date):
        return spelt.isoformat()
    if isinstance(spelt, bool) or not isinstance(spelt, int | float | str):
        return None
    text = str(spelt).strip()
    if re.fullmatch(r"\d{9,13}(\.\d*)?", text):
        return _since_1970(float(text))
    match = next((m for pattern in SPELLINGS if (m := pattern.fullmatch(text))), None)
    return _from_parts(match.groupdict()) if match else None


def _since_1970(number: float) -> str | None:
    seconds = number / 1000 if number >= LATEST_SECONDS else number
    if not EARLIEST_SECONDS <= seconds < LATEST_SECONDS:
        return None
    return _with_zone(datetime.fromtimestamp(int(seconds), UTC))


def _with_zone(moment: datetime) -> str | None:
    if moment.tzinfo is None:
        return moment.replace(microsecond=0).isoformat()
    try:
        return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
    except OverflowError:  # the first or last hours that Python knows
        return None


def _from_parts(parts: dict[str, str | None]) -> str | None:
    year, name = int(parts["year"] or 0), parts.get("name")
    month = MONTHS.index(name[:3].lower()) + 1 if name else int(parts.get("month") or 0)
    day, time, zone = int(parts.get("day") or 0), parts.get("time"), parts.get("zone")
    try:
        date = Date(year, month or 1, day or 1)
        if not time:
            return date.isoformat()[: 10 if day else 7 if month else 4]
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
