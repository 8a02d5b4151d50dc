"""One source from its files to pictures of one size, with pseudonyms and without repeats."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3

from evergrow.disk import checksum
from evergrow.errors import InputError
from evergrow.images.config import ImageSourceConfig
from evergrow.images.picture import Picture, Pseudonyms
from evergrow.images.readers import KNOWN, reader_of
from evergrow.images.shape import reshaped
from evergrow.images.unreadable import Unreadable, refuse_too_many

Known = dict[str, dict[str, str]]  # what a manifest says, by image


@dataclass
class ImageReading:
    """What came in and what did not while one source was read; filled by ``source_pictures``."""

    files: list[dict[str, object]] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    num_dropped: int = 0


def source_pictures(
    config: ImageSourceConfig, base: Path, source: str, reading: ImageReading
) -> Iterator[Picture]:
    """The pictures of a source as [C, H, W], the files in the order of their names.

    Identifying values are replaced by pseudonyms. Raises InputError for globs that match nothing,
    for more unreadable pictures than ``max_bad``, for pictures of several sizes or bit depths, for
    labels outside the set and for a label of ``only`` that no picture has.
    """
    pictures = digits(source) if config.pictures else _read(config, base, source, reading)
    seen: dict[str, str] = {}
    found: set[str] = set()
    form: tuple[tuple[int, ...], np.dtype] | None = None
    num_read = 0
    for picture in pictures:
        num_read += 1
        _refuse_label(picture, config, source)
        if config.only and picture.label not in config.only:
            continue
        shaped = reshaped(picture, config.size, config.channels)
        form = _one_form(shaped, form, source)
        digest = shaped.content_hash
        if digest in seen and config.duplicates == "drop":
            reading.num_dropped += 1
            continue
        seen.setdefault(digest, picture.key)
        found.add(str(picture.label))
        yield shaped
    refuse_too_many(reading.unreadable, num_read, config.max_bad, source)
    if not seen:
        raise InputError(f"sources.{source}: no picture is left; check images and only")
    if missing := set(config.only or []) - found:
        raise InputError(
            f"sources.{source}: no picture has the label {min(missing)!r}; remove it from only"
        )


def _one_form(
    picture: Picture, form: tuple[tuple[int, ...], np.dtype] | None, source: str
) -> tuple[tuple[int, ...], np.dtype]:
    """Raise InputError when a picture has another size or depth than those before it."""
    own = (picture.pixels.shape, picture.pixels.dtype)
    if form is None or own == form:
        return own
    if own[0] != form[0]:
        raise InputError(
            f"sources.{source}: {picture.path} is {own[0][1]} x {own[0][2]} pixels, others "
            f"{form[0][1]} x {form[0][2]}; set size to bring them to one"
        )
    raise InputError(
        f"sources.{source}: {picture.path} has {8 * own[1].itemsize} bits a pixel, others "
        f"{8 * form[1].itemsize}; make two sources of them, or store them alike"
    )


def _refuse_label(picture: Picture, config: ImageSourceConfig, source: str) -> None:
    if config.labels is not None and picture.label not in config.labels:
        raise InputError(
            f"sources.{source}: {picture.path} has the label {picture.label!r}, which is not among "
            f"labels {config.labels}; correct it or add it"
        )


def digits(source: str) -> Iterator[Picture]:
    """The 1,797 handwritten digits of 8 x 8 pixels that scikit-learn carries (UCI)."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise InputError(
            f"sources.{source}: the digits come with scikit-learn; install evergrow[vision]"
        ) from error
    data: Any = load_digits()
    for row, (pixels, label) in enumerate(zip(data.images, data.target, strict=True)):
        grey = np.rint(pixels * 255 / 16).astype(np.uint8)
        yield Picture(grey, source, "digits", f"digits#{row}", label=str(label))


def _read(
    config: ImageSourceConfig, base: Path, source: str, reading: ImageReading
) -> Iterator[Picture]:
    paths = match_images(config.images, base, source)
    known, manifest = read_manifest(config, base, source)
    described = [*paths, *([manifest] if manifest else [])]
    sums = {path: checksum(path) for path in described}
    pseudonyms = Pseudonyms(blake3("".join(sorted(sums.values())).encode()).digest())
    for path in described:
        name = _name(path, base)
        if path == manifest:
            reading.files.append(_record(path, name, sums[path]))
            continue
        recorded = name
        for found in reader_of(path)(path, name, source, config):
            if isinstance(found, Unreadable):
                reading.unreadable.append(found)
                continue
            told = _told(found, path, known, config, source)
            hidden = pseudonyms.hide(told)
            recorded = hidden.path
            yield hidden
        reading.files.append(_record(path, recorded, sums[path]))


def _record(path: Path, name: str, digest: str) -> dict[str, object]:
    return {"path": name, "bytes": path.stat().st_size, "blake3": digest}


def _name(path: Path, base: Path) -> str:
    return (path.relative_to(base) if path.is_relative_to(base) else path).as_posix()


def match_images(patterns: list[str], base: Path, source: str) -> list[Path]:
    """The files that the globs match, sorted, each once; raises InputError for one without any."""
    found: set[Path] = set()
    for pattern in patterns:
        whole = base / Path(pattern).expanduser()
        parts = whole.parts
        wild = next((i for i, part in enumerate(parts) if set(part) & set("*?[")), None)
        matches = [whole] if wild is None else Path(*parts[:wild]).glob("/".join(parts[wild:]))
        files = [path for path in matches if path.is_file()]
        if not files:
            raise InputError(f"sources.{source}.images: {pattern!r} matches no file under {base}")
        found.update(files)
    return sorted(found)


def read_manifest(config: ImageSourceConfig, base: Path, source: str) -> tuple[Known, Path | None]:
    """What the CSV says of each image, by its resolved path (and ``#row`` for rows of a file)."""
    if config.manifest is None:
        return {}, None
    path = base / Path(config.manifest).expanduser()
    if not path.is_file():
        raise InputError(f"sources.{source}.manifest: {path} is no file; check the path")
    known: Known = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        columns = rows.fieldnames or []
        if "image" not in columns or (strange := set(columns) - {"image", *KNOWN}):
            extra = f", not {min(strange)!r}" if "image" in columns else ""
            raise InputError(
                f"{path}: the columns are image and any of {', '.join(KNOWN)}{extra}; "
                f"got {', '.join(columns)}"
            )
        for row in rows:
            image = row.pop("image")
            place = (
                str((path.parent / image.partition("#")[0]).resolve()) + image[image.find("#") :]
            )
            key = place if "#" in image else str((path.parent / image).resolve())
            if key in known:
                raise InputError(f"{path}: {image!r} is listed twice; keep one line of it")
            known[key] = {k: v for k, v in row.items() if v}
    return known, path


def _told(
    picture: Picture, path: Path, known: Known, config: ImageSourceConfig, source: str
) -> Picture:
    """The picture with what manifest or folder say of it; both win over the file's own header."""
    if config.label_from == "folder":
        return replace(picture, label=path.parent.name)
    if config.manifest is None:
        return picture
    row = picture.key.partition("#")[2]
    place = str(path.resolve()) + (f"#{row}" if row else "")
    if place not in known:
        raise InputError(
            f"sources.{source}: {picture.key} is not in {config.manifest}; add a line for it or "
            "leave the file out of images"
        )
    return replace(picture, **known[place])
