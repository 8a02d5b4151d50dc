"""One row of a table or of a file of objects to a Document: what every format of rows shares."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.dates import LATEST_YEAR, iso_date
from evergrow.corpus.document import Document, with_newlines
from evergrow.corpus.file_names import any_file_of, is_of_the_web, language_of
from evergrow.corpus.files import SourceFile
from evergrow.corpus.quarantine import Quarantine
from evergrow.errors import InputError

UNREADABLE_DATE = "dates that cannot be read"
FUTURE_DATE = "dates in the future"
# What data sets of code call these: The Stack, its second version, GitHub Code, CommitPack.
PATH_FIELDS = ("path", "file_path", "max_stars_repo_path", "file_name", "filename", "new_file")
LANGUAGE_FIELDS = ("programming_language", "language", "lang")


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

    Raises BadRow when text or id are missing, of another type or not to be written down. An id may
    come again: whoever sees all of a corpus decides.
    """
    text = _text(row, config.text_field)
    try:
        key = _key(row, file, place, config)
        date, spelt = checked_date(_get(row, config.date_field), file.name, place, quarantine)
        told = {} if spelt is None else {"date": spelt}
        told |= {f: v for f in config.meta_fields if (v := _get(row, f)) is not None}
        license, meta = _license(_get(row, config.license_field)), as_meta(told)
        file_name = _file_name(row, key, config)
        (meta + (license or "") + (file_name or "")).encode()
        return Document.of(
            text,
            quarantine.source,
            file.name,
            date,
            key=key,
            license=license,
            meta=meta,
            file_name=file_name,
        )
    except UnicodeEncodeError:
        raise BadRow("halves of surrogate pairs", "write whole characters") from None


def row_fields(config: SourceConfig) -> dict[str, str]:
    """Setting -> field, of all fields that a source asks of its rows."""
    asked = {"text_field": config.text_field, "id_field": config.id_field}
    asked |= {"date_field": config.date_field, "license_field": config.license_field}
    asked |= {f"meta_fields[{i}]": field for i, field in enumerate(config.meta_fields)}
    return {setting: field for setting, field in asked.items() if field is not None}


def refuse_twice(path: object, names: Sequence[str]) -> None:
    """Raise InputError for a name that two columns have; those without a name are nobody's."""
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path}: two columns are called {twice!r}; rename or remove one of them")


def _get(row: Mapping[str, Any], field: str | None) -> Any:
    """What stands in a field; ``data.text`` is ``text`` in ``data``, unless it is a name itself."""
    found: Any = row
    for name in [] if field is None else [field] if field in row else field.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return None if field is None else found


def _text(row: Mapping[str, Any], field: str) -> str:
    text = _get(row, field)
    if isinstance(text, str):
        return with_newlines(text)
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
) -> str:
    field = config.id_field
    if field is None:
        return f"{file.name}#{place}"
    found = _get(row, field)
    if found is None or (isinstance(found, str) and not found.strip()):
        raise BadRow(f"id field {field!r} that is missing", "give every row an id, or no id_field")
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise BadRow(
            f"id field {field!r} that is {type(found).__name__}", "write ids as text or numbers"
        )
    return str(found)


def _file_name(row: Mapping[str, Any], key: str, config: SourceConfig) -> str | None:
    """The file that a row of code was; None for prose, which most rows are.

    Told by a field for the language or the path among those that the source asks for, or by an id
    that names a file of code in a folder. Addresses tell nothing: there are pages behind them.
    """
    asked = [field for field in (config.id_field, *config.meta_fields) if field is not None]
    told = [any_file_of(_get(row, field)) for field in asked if field in LANGUAGE_FIELDS]
    told += [str(_get(row, field)) for field in asked if field in PATH_FIELDS]
    told += [key] if config.id_field is not None and "/" in key else []
    names = (name for name in told if name and language_of(name) and not is_of_the_web(name))
    return next(names, None)


def _license(found: object) -> str | None:
    """Text as it is; of a list of licences all, as datasets of code give them."""
    if isinstance(found, list | tuple):
        found = ", ".join(str(one) for one in found)
    return str(found) if found not in (None, "") else None


def checked_date(
    found: object, path: str, place: int, quarantine: Quarantine
) -> tuple[str | None, str | None]:
    """The date in ISO, or None and the date as spelt when it is flagged: unreadable or to come.

    Without a day to go by, only a year past LATEST_YEAR has not come yet.
    """
    if found is None or found == "":
        return None, None
    date = iso_date(found)
    latest = quarantine.today.isoformat() if quarantine.today else f"{LATEST_YEAR}-12-31"
    if date is not None and date[:10] <= latest:
        return date, None
    spelt = str(found)
    quarantine.flag(path, place, UNREADABLE_DATE if date is None else FUTURE_DATE, spelt)
    return None, spelt


def as_meta(told: Mapping[str, Any]) -> str:
    """JSON of what is told, "" for nothing; what JSON lacks (dates, bytes) as Python spells it."""
    if not told:
        return ""
    return json.dumps(told, ensure_ascii=False, sort_keys=True, default=str)
