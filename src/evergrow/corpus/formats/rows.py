"""One row of a table or of a file of objects to a Document: what every format of rows shares."""

import json
from collections.abc import Mapping
from typing import Any

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.dates import iso_date
from evergrow.corpus.document import Document
from evergrow.corpus.files import SourceFile
from evergrow.corpus.quarantine import Quarantine

SAVE_AS_UTF8 = "save the file as UTF-8 (iconv -f latin1 -t utf-8) or leave it out of `files`"
NOT_UTF8 = "bytes that are not UTF-8"
UNREADABLE_DATE = "dates that cannot be read"
FUTURE_DATE = "dates in the future"


class BadRow(Exception):
    """A row that is no document: why, and what to do about it."""

    def __init__(self, reason: str, way_out: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.way_out = way_out


def row_document(
    row: Mapping[str, Any],
    file: SourceFile,
    place: int,
    config: SourceConfig,
    quarantine: Quarantine,
) -> Document:
    """The document in ``row``, which stands at ``place``: a byte offset or a number of the row.

    Raises BadRow when text or id are missing, of another type or not to be written down, and for
    an id that this source gave before.
    """
    text = _text(row, config.text_field)
    try:
        key = _key(row, file, place, config, quarantine)
        date, spelt = checked_date(_get(row, config.date_field), file.name, place, quarantine)
        told = {} if spelt is None else {"date": spelt}
        told |= {field: row[field] for field in config.meta_fields if row.get(field) is not None}
        license, meta = _license(_get(row, config.license_field)), as_meta(told)
        (meta + (license or "")).encode()
        return Document.of(
            text, quarantine.source, file.name, date, key=key, license=license, meta=meta
        )
    except UnicodeEncodeError:
        raise BadRow("halves of surrogate pairs", "write whole characters") from None


def row_fields(config: SourceConfig) -> dict[str, str]:
    """Setting -> field, of all fields that a source asks of its rows."""
    asked = {"text_field": config.text_field, "id_field": config.id_field}
    asked |= {"date_field": config.date_field, "license_field": config.license_field}
    asked |= {f"meta_fields[{i}]": field for i, field in enumerate(config.meta_fields)}
    return {setting: field for setting, field in asked.items() if field is not None}


def _get(row: Mapping[str, Any], field: str | None) -> object:
    return None if field is None else row.get(field)


def _text(row: Mapping[str, Any], field: str) -> str:
    text = row.get(field)
    if isinstance(text, str):
        return text
    kind = type(text).__name__ if text is not None else "missing"
    raise BadRow(
        f"text field {field!r} that is {kind}",
        f"set text_field to the name of the text (the first bad row has {', '.join(row)})",
    )


def _key(
    row: Mapping[str, Any],
    file: SourceFile,
    place: int,
    config: SourceConfig,
    quarantine: Quarantine,
) -> str:
    field = config.id_field
    if field is None:
        return f"{file.name}#{place}"
    found = row.get(field)
    if found is None or found == "":
        raise BadRow(f"id field {field!r} that is missing", "give every row an id, or no id_field")
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise BadRow(
            f"id field {field!r} that is {type(found).__name__}", "write ids as text or numbers"
        )
    key = str(found)
    if quarantine.is_repeated(key):
        raise BadRow(
            f"id field {field!r} given twice", "make ids unique in the source, or set no id_field"
        )
    return key


def _license(found: object) -> str | None:
    """Text as it is; of a list of licences all, as datasets of code give them."""
    if isinstance(found, list | tuple):
        found = ", ".join(str(one) for one in found)
    return str(found) if found not in (None, "") else None


def checked_date(
    found: object, path: str, place: int, quarantine: Quarantine
) -> tuple[str | None, str | None]:
    """The date in ISO, or None and the date as spelt when it is flagged: unreadable or to come."""
    if found is None or found == "":
        return None, None
    date = iso_date(found)
    today = quarantine.today
    if date is not None and (today is None or date[:10] <= today.isoformat()):
        return date, None
    spelt = str(found)
    quarantine.flag(path, place, UNREADABLE_DATE if date is None else FUTURE_DATE, spelt)
    return None, spelt


def as_meta(told: Mapping[str, Any]) -> str:
    """JSON of what is told, "" for nothing; what JSON lacks (dates, bytes) as Python spells it."""
    if not told:
        return ""
    return json.dumps(told, ensure_ascii=False, sort_keys=True, default=str)
