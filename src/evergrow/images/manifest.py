"""What a CSV beside the images says of them."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from evergrow.errors import InputError
from evergrow.images.config import ImageSourceConfig
from evergrow.images.picture import Picture
from evergrow.images.readers import KNOWN

Known = dict[str, dict[str, str]]  # what is known, by image: its resolved path and #row


def read_manifest(config: ImageSourceConfig, base: Path, source: str) -> tuple[Known, Path | None]:
    """What the CSV says of each image, and where it lies; nothing without a manifest.

    Raises InputError for a file that is no such table, and for an image that is listed twice.
    """
    if config.manifest is None:
        return {}, None
    path = manifest_path(config.manifest, base, source)
    known: Known = {}
    for line, row in _rows(path):
        image = row.pop("image")
        if not image:
            raise InputError(f"{path}, line {line}: no image; fill its first column or remove it")
        key = place_of(path.parent, image)
        if key in known:
            raise InputError(f"{path}: {image!r} is listed twice; keep one line of it")
        known[key] = {k: v.strip() for k, v in row.items() if v.strip()}
    return known, path


def manifest_path(manifest: str, base: Path, source: str) -> Path:
    """Where the CSV lies; raises InputError when there is none."""
    path = base / Path(manifest).expanduser()
    if not path.is_file():
        raise InputError(f"sources.{source}.manifest: {path} is no file; check the path")
    return path


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of the table with their numbers, every column filled or empty."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, restval="", strict=True)
            columns = list(rows.fieldnames or [])
            _refuse_columns(path, columns)
            for row in rows:
                if None in row:
                    raise InputError(
                        f"{path}, line {rows.line_num}: more cells than the {len(columns)} "
                        "columns; put cells with commas into quotes"
                    )
                yield rows.line_num, row
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path}: no CSV in UTF-8 ({error}); save it as CSV (UTF-8) again"
        ) from error


def _refuse_columns(path: Path, columns: list[str]) -> None:
    strange = [c for c in columns if c not in ("image", *KNOWN)]
    if "image" not in columns or strange or len(set(columns)) < len(columns):
        extra = f", not {strange[0]!r}" if strange else ""
        raise InputError(
            f"{path}: the columns are image and any of {', '.join(KNOWN)}, each once{extra}; "
            f"got {', '.join(columns)}"
        )


def place_of(folder: Path, image: str) -> str:
    """How an image is known: its resolved path, with ``#row`` for a row of a file of many."""
    path, mark, row = image.partition("#")
    return f"{(folder / path).resolve()}{mark}{row}"


def with_known(
    picture: Picture, path: Path, known: Known, config: ImageSourceConfig, source: str
) -> Picture:
    """The picture with what manifest or folder say of it; both win over the file's own header."""
    if config.label_from == "folder":
        return replace(picture, label=path.parent.name)
    if config.manifest is None:
        return picture
    row = picture.key.partition("#")[2]
    place = place_of(path.parent, f"{path.name}#{row}" if row else path.name)
    if place not in known:
        raise InputError(
            f"sources.{source}: {picture.key} is not in {config.manifest}; add a line for it or "
            "leave the file out of images"
        )
    return replace(picture, **known[place])
