"""Files to pictures: PNG and its like, .npz, Parquet and DICOM, one visible dict."""

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, UnidentifiedImageError

from evergrow.errors import InputError
from evergrow.images.config import ImageSourceConfig
from evergrow.images.dicom import read_dicom
from evergrow.images.picture import Picture
from evergrow.images.unreadable import Unreadable

Place = tuple[Path, str, str]  # where the file lies, its name as recorded, its source
FileReader = Callable[[Path, str, str, ImageSourceConfig], Iterator[Picture | Unreadable]]
GREY = {"1", "L", "I;16", "I;16B", "I;16L", "I"}
SPLITS = ("train", "val", "validation", "test")


def read_bitmap(
    path: Path, name: str, source: str, config: ImageSourceConfig
) -> Iterator[Picture | Unreadable]:
    """One picture; every format that Pillow decodes, the first frame of an animation."""
    found = decode_bitmap(path)
    if isinstance(found, Unreadable):
        yield Unreadable(name, 0, found.reason, found.way_out)
    else:
        yield Picture(found, source, name, name, reading={"bits": 8 * found.itemsize})


def decode_bitmap(file: Path | io.BytesIO) -> np.ndarray | Unreadable:
    """Pixels [H, W] or [H, W, 3]; what is cut off or no picture is said so."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow remarks on tags and sizes; what fails raises
            with Image.open(file) as image:
                image.load()
                return _pixels(image)
    except UnidentifiedImageError:
        return Unreadable("", 0, "bytes that are no picture", "leave the file out of images")
    except Image.DecompressionBombError:
        return Unreadable("", 0, "a picture of absurd size", "leave it out or make it smaller")
    except (OSError, SyntaxError, ValueError, zlib.error, struct.error) as error:  # all: damaged
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        return Unreadable("", 0, "a truncated or damaged picture", "copy the file again")


def _pixels(image: Image.Image) -> np.ndarray | Unreadable:
    if image.mode == "F":  # no number of it is white
        way_out = "save it with 8 or 16 bits a pixel"
        return Unreadable("", 0, "a picture of floating point numbers", way_out)
    if image.mode in GREY:
        values = np.asarray(image.convert("L") if image.mode == "1" else image)
        if values.dtype == np.uint8:
            return values.copy()
        return np.clip(values, 0, 65_535).astype(np.uint16)
    return np.asarray(image.convert("RGB")).copy()


def read_npz(
    path: Path, name: str, source: str, config: ImageSourceConfig
) -> Iterator[Picture | Unreadable]:
    """Arrays ``<split>_images`` [N, H, W(, 3)] and ``<split>_labels`` [N(, 1)], as MedMNIST has.

    Also ``images`` and ``labels`` without a split. Pickled arrays are never read.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {key: data[key] for key in data.files}
    except (ValueError, OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        reason = "pickled arrays" if "pickle" in str(error).lower() else "a damaged .npz"
        yield Unreadable(name, 0, reason, "write plain uint8 arrays with numpy.savez")
        return
    parts = {s: f"{s}_" for s in SPLITS if f"{s}_images" in arrays}
    if not parts and "images" in arrays:
        parts = {"": ""}
    if not parts:
        raise InputError(
            f"{path}: no array is called images or <split>_images; it has {', '.join(arrays)}"
        )
    for split, prefix in parts.items():
        yield from _rows(arrays, prefix, split or None, name, source)


def _rows(
    arrays: Mapping[str, np.ndarray], prefix: str, split: str | None, name: str, source: str
) -> Iterator[Picture | Unreadable]:
    images, labels = arrays[f"{prefix}images"], arrays.get(f"{prefix}labels")
    if images.dtype not in (np.uint8, np.uint16) or images.ndim not in (3, 4):
        raise InputError(
            f"{name}: {prefix}images is {images.dtype} {images.shape}; "
            "expected uint8 or uint16 [N, H, W] or [N, H, W, 3]"
        )
    if labels is not None and len(labels) != len(images):
        raise InputError(f"{name}: {len(images)} {prefix}images but {len(labels)} {prefix}labels")
    for row, pixels in enumerate(images):
        label = None if labels is None else str(np.ravel(labels[row])[0])
        key = f"{name}#{prefix}{row}"
        yield Picture(
            pixels,
            source,
            name,
            key,
            label=label,
            split=split,
            reading={"bits": 8 * pixels.itemsize},
        )


KNOWN = ("patient", "study", "site", "laterality", "label", "split", "date")


def read_parquet(
    path: Path, name: str, source: str, config: ImageSourceConfig
) -> Iterator[Picture | Unreadable]:
    """Rows with an encoded picture in ``image`` (bytes, or a struct with ``bytes``, as hubs have).

    Columns patient, study, site, laterality, label, split and date are taken when there.
    """
    try:
        table = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: not a whole Parquet file ({error}); write it again") from error
    with table:
        names = table.schema_arrow.names
        if "image" not in names:
            raise InputError(f"{path}: no column 'image'; it has {', '.join(names)}")
        row = 0
        for batch in table.iter_batches(64, columns=["image", *(k for k in KNOWN if k in names)]):
            for values in batch.to_pylist():
                yield _row_picture(values, name, row, source)
                row += 1


def _row_picture(values: dict[str, Any], name: str, row: int, source: str) -> Picture | Unreadable:
    encoded = values.pop("image")
    data = encoded.get("bytes") if isinstance(encoded, dict) else encoded
    if not isinstance(data, bytes):
        return Unreadable(name, row, "rows without bytes in 'image'", "store encoded pictures")
    found = decode_bitmap(io.BytesIO(data))
    if isinstance(found, Unreadable):
        return Unreadable(name, row, found.reason, found.way_out)
    known: dict[str, Any] = {k: None if v is None else str(v) for k, v in values.items()}
    key = f"{name}#{row}"
    return Picture(found, source, name, key, **known, reading={"bits": 8 * found.itemsize})


READERS: dict[str, FileReader] = {
    ".npz": read_npz,
    ".parquet": read_parquet,
    ".dcm": read_dicom,
    ".dicom": read_dicom,
}


def reader_of(path: Path) -> FileReader:
    """By the suffix; a file without one that begins as DICOM does is DICOM; else a bitmap."""
    known = READERS.get(path.suffix.lower())
    if known is not None:
        return known
    with path.open("rb") as file:
        return read_dicom if file.read(132)[128:] == b"DICM" else read_bitmap
