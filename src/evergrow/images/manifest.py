"""What a CSV beside the images says of them."""

import csv
import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from evergrow.errors import InputError
from evergrow.images.config import COLUMNS, ImageSourceConfig
from evergrow.images.findings import as_label, from_row
from evergrow.images.picture import IDENTIFYING, SPLITS, Findings, Picture
from evergrow.images.spelling import fold, pattern_of

Place = tuple[Path, str]  # an image: its resolved file, and what follows the # of a file of many


class Line(NamedTuple):
    """What a table says of an image: its filled columns by our names, and its findings."""

    columns: dict[str, str] = {}
    findings: Findings | None = None


Known = dict[Place, Line]


def read_manifest(config: ImageSourceConfig, base: Path, source: str) -> tuple[Known, Path | None]:
    """What the CSV says of each image, and where it lies; nothing without a manifest.

    Raises InputError for a file that is no such table, and for an image that is listed twice.
    """
    if config.manifest is None:
        return {}, None
    path = manifest_path(config.manifest, base, source)
    known: Known = {}
    absent: list[tuple[int, str, str]] = []
    for line, row in _rows(path, config):
        image = row.pop("image").strip()
        if not image:
            raise InputError(f"{path}, line {line}: no image; fill its first column or remove it")
        key = place_of(path.parent, image)
        if key in known:
            raise InputError(
                f"{path}, line {line}: {_named(image, row)} is listed twice; keep one line of it"
            )
        findings = from_row(row, config.findings or [], f"{path}, line {line}")
        said = {k: v.strip() for k, v in row.items() if k in COLUMNS and v.strip()}
        known[key] = Line(said, findings or None)
        if not key[0].is_file():
            absent.append((line, image, _named(image, row)))
    _refuse_absent(path, absent)
    return known, path


def _named(image: str, row: dict[str, str]) -> str:
    """The image of a line for a sentence, unless its name says whose it is."""
    own = [row[column] for column in IDENTIFYING if row.get(column)]
    is_hidden = any(p is not None and re.search(p, fold(image)) for p in map(pattern_of, own))
    return "its image" if is_hidden else repr(image)


def _refuse_absent(path: Path, absent: list[tuple[int, str, str]]) -> None:
    """Raise InputError for lines whose images are no files."""
    if not absent:
        return
    line, image, named = absent[0]
    others = f" (and {len(absent) - 1:,} others)" if len(absent) > 1 else ""
    slashed = image.replace("\\", "/")
    way_out = "correct the path, which starts at the CSV's folder, or remove the line"
    if slashed != image and (path.parent / slashed).is_file():
        way_out = "it is written with backslashes; write / between its folders"
    raise InputError(f"{path}, line {line}: there is no file {named}{others}; {way_out}")


def refuse_unread(known: Known, read: Collection[Place], manifest: str, source: str) -> None:
    """Raise InputError for rows of files that were read and do not have them."""
    files = {path for path, _ in read}
    unread = [(path, row) for path, row in known if path in files and (path, row) not in read]
    if unread:
        path, row = unread[0]
        others = f" (and {len(unread) - 1:,} others)" if len(unread) > 1 else ""
        said = f"#{row}" if row else " without a row"
        raise InputError(
            f"sources.{source}: {manifest} lists {path.name}{said}{others}, which gave no picture; "
            "correct the line or remove it"
        )


def manifest_path(manifest: str, base: Path, source: str) -> Path:
    """Where the CSV lies; raises InputError when there is none."""
    path = base / Path(manifest).expanduser()
    if not path.is_file():
        raise InputError(f"sources.{source}.manifest: {path} is no file; check the path")
    return path


def _rows(path: Path, config: ImageSourceConfig) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of the table with their numbers, every column filled or empty."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, restval="", strict=True, delimiter=config.delimiter)
            columns = rows.fieldnames = [name.strip() for name in rows.fieldnames or []]
            called = _called(path, columns, config)
            for row in rows:
                if None in row:
                    raise InputError(
                        f"{path}, line {rows.line_num}: more cells than the {len(columns)} "
                        f"columns; put cells with {config.delimiter!r} into quotes"
                    )
                yield rows.line_num, {name: row[column] for name, column in called.items()}
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path}: no CSV in UTF-8 ({error}); save it as CSV (UTF-8) again"
        ) from error


def _called(path: Path, columns: list[str], config: ImageSourceConfig) -> dict[str, str]:
    """Our name -> the table's name of every column that is read.

    Raises InputError for a table without images, for a column that is there twice, for one that is
    named and absent, and for a strange one where none is named.
    """
    called = {"image": "image", **config.columns} if config.columns else {c: c for c in columns}
    findings = config.findings or []
    called |= {name: name for name in findings if name in columns and name not in called.values()}
    strange = [c for c in called if c not in (*COLUMNS, *findings)]
    absent = [c for c in ("image", *called) if called.get(c) not in columns]
    if strange or absent or len(set(columns)) < len(columns):
        extra = f", not {strange[0]!r}" if strange else ""
        raise InputError(
            f"{path}: the columns are image and any of {', '.join(COLUMNS[1:])}, each once{extra}; "
            f"got {', '.join(columns)} between {config.delimiter!r}; name others in columns and "
            "delimiter"
        )
    return called


def place_of(folder: Path, image: str) -> Place:
    """How an image is known; a file whose own name holds a # is itself."""
    whole = _on_disk(folder, image)
    if "#" not in image or whole.is_file():
        return whole, ""
    path, _, row = image.rpartition("#")
    return _on_disk(folder, path), row


def in_forms(name: str) -> list[str]:
    """A name as it is spelt, then composed and decomposed, as other systems store it."""
    forms = [name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))]
    return list(dict.fromkeys(forms))


def _on_disk(folder: Path, image: str) -> Path:
    """The file of that name in any normal form; where there is none the name as it is."""
    paths = [(folder / form).resolve() for form in in_forms(image)]
    return next((path for path in paths if path.is_file()), paths[0])


def place_in(path: Path, picture: Picture) -> Place:
    """How the picture of the file ``path`` is known."""
    return path.resolve(), picture.key.removeprefix(picture.path).removeprefix("#")


def with_known(
    picture: Picture, path: Path, known: Known, config: ImageSourceConfig, source: str
) -> Picture:
    """The picture with what manifest or folder say of it; both win over the file's own header."""
    line = Line() if config.manifest is None else _line_of(picture, path, known, config, source)
    said = line.columns
    if config.label_from == "folder":
        said = {**said, "label": path.parent.name}
    if config.split_from == "folder":
        said = {**said, "split": _split_folder(picture, path, source)}
    known_of = replace(picture, **said) if said else picture
    if config.findings is None:
        return known_of
    findings = line.findings or picture.findings or {}
    return replace(known_of, findings=findings, label=as_label(findings, config.findings))


def _line_of(
    picture: Picture, path: Path, known: Known, config: ImageSourceConfig, source: str
) -> Line:
    place = place_in(path, picture)
    if place not in known:
        raise InputError(
            f"sources.{source}: {picture.key} is not in {config.manifest}; add a line for it or "
            "leave the file out of images"
        )
    return known[place]


def _split_folder(picture: Picture, path: Path, source: str) -> str:
    """The innermost folder that is called like a part; raises InputError when none is."""
    for folder in path.absolute().parents:
        if folder.name.casefold() in SPLITS:
            return folder.name.casefold()
    raise InputError(
        f"sources.{source}: {picture.key} is in no folder called {', '.join(SPLITS)}; move it, or "
        "remove split_from"
    )
