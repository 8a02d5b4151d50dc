"""What a CSV beside the images says of them."""

import csv
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from evergrow.errors import InputError
from evergrow.images.config import ImageSourceConfig
from evergrow.images.picture import Picture
from evergrow.images.readers import KNOWN

Place = tuple[Path, str]  # an image: its resolved file, and what follows the # of a file of many
Known = dict[Place, dict[str, str]]  # what is known of each image


def read_manifest(config: ImageSourceConfig, base: Path, source: str) -> tuple[Known, Path | None]:
    """What the CSV says of each image, and where it lies; nothing without a manifest.

    Raises InputError for a file that is no such table, and for an image that is listed twice.
    """
    if config.manifest is None:
        return {}, None
    path = manifest_path(config.manifest, base, source)
    known: Known = {}
    absent: list[tuple[int, str]] = []
    for line, row in _rows(path):
        image = row.pop("image").strip()
        if not image:
            raise InputError(f"{path}, line {line}: no image; fill its first column or remove it")
        key = place_of(path.parent, image)
        if key in known:
            raise InputError(f"{path}: {image!r} is listed twice; keep one line of it")
        known[key] = {k: v.strip() for k, v in row.items() if v.strip()}
        if not key[0].is_file():
            absent.append((line, image))
    _refuse_absent(path, absent)
    return known, path


def _refuse_absent(path: Path, absent: list[tuple[int, str]]) -> None:
    """Raise InputError for lines whose images are no files."""
    if not absent:
        return
    line, image = absent[0]
    others = f" (and {len(absent) - 1:,} others)" if len(absent) > 1 else ""
    slashed = image.replace("\\", "/")
    way_out = "correct the path, which starts at the CSV's folder, or remove the line"
    if slashed != image and (path.parent / slashed).is_file():
        way_out = f"it is written with backslashes; write {slashed}"
    raise InputError(f"{path}, line {line}: there is no file {image!r}{others}; {way_out}")


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


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of the table with their numbers, every column filled or empty."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, restval="", strict=True)
            columns = rows.fieldnames = [name.strip() for name in rows.fieldnames or []]
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


def place_of(folder: Path, image: str) -> Place:
    """How an image is known; a file whose own name holds a # is itself."""
    whole = (folder / image).resolve()
    if "#" not in image or whole.is_file():
        return whole, ""
    path, _, row = image.rpartition("#")
    return (folder / path).resolve(), row


def place_in(path: Path, picture: Picture) -> Place:
    """How the picture of the file ``path`` is known."""
    return path.resolve(), picture.key.removeprefix(picture.path).removeprefix("#")


def with_known(
    picture: Picture, path: Path, known: Known, config: ImageSourceConfig, source: str
) -> Picture:
    """The picture with what manifest or folder say of it; both win over the file's own header."""
    if config.label_from == "folder":
        return replace(picture, label=path.parent.name)
    if config.manifest is None:
        return picture
    place = place_in(path, picture)
    if place not in known:
        raise InputError(
            f"sources.{source}: {picture.key} is not in {config.manifest}; add a line for it or "
            "leave the file out of images"
        )
    return replace(picture, **known[place])
