"""Files to pictures: PNG and its like, .npz, Parquet and DICOM, one visible dict."""

import io
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageOps, UnidentifiedImageError

from evergrow.errors import InputError
from evergrow.images.config import ImageSourceConfig
from evergrow.images.dicom import read_dicom
from evergrow.images.npz import read_npz
from evergrow.images.picture import Picture
from evergrow.images.unreadable import Unreadable

Place = tuple[Path, str, str]  # where the file lies, its name as recorded, its source
FileReader = Callable[[Path, str, str, ImageSourceConfig], Iterator[Picture | Unreadable]]
GREY = {"1", "L", "I;16", "I;16B", "I;16L", "I"}


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
    """Pixels [H, W] or [H, W, 3], upright as EXIF says; else why there are none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow remarks on tags and sizes; what fails raises
            with Image.open(file) as image:
                if (refused := _refused_depth(image)) is not None:
                    return refused
                image.load()
                return _pixels(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        return Unreadable("", 0, "bytes that are no picture", "leave the file out of images")
    except Image.DecompressionBombError:
        return Unreadable("", 0, "a picture of absurd size", "leave it out or make it smaller")
    except (FileNotFoundError, PermissionError):
        raise
    except _DAMAGED:
        return Unreadable("", 0, "a truncated or damaged picture", "copy the file again")


# What Pillow's decoders raise where a file is damaged: AVIF and DDS a RuntimeError.
_DAMAGED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def _refused_depth(image: Image.Image) -> Unreadable | None:
    """Why Pillow would change the numbers of a picture while it reads them; None when it does not.

    The tiles of an opened file name how its numbers are stored.
    """
    way_out = "save it with 8 or 16 bits a pixel"
    if image.mode == "F":  # no number of it is white
        return Unreadable("", 0, "a picture of floating point numbers", way_out)
    stored = " ".join(str(tile[3]) for tile in getattr(image, "tile", []))
    if image.mode not in GREY and ";16" in stored:
        reason = "a picture of 16 bits a colour, of which Pillow keeps 8"
        return Unreadable("", 0, reason, "save it with 8 bits a colour, or in grey")
    if image.mode == "I" and (";32" in stored or re.search(r";16B?S", stored)):
        return Unreadable("", 0, "a picture of 32 bits or of numbers with a sign", way_out)
    return None


def _pixels(image: Image.Image) -> np.ndarray | Unreadable:
    if image.has_transparency_data:
        return _on_black(image)
    if image.mode in GREY:
        values = np.asarray(image.convert("L") if image.mode == "1" else image)
        return values.copy() if values.dtype == np.uint8 else values.astype(np.uint16)
    return np.asarray(image.convert("RGB")).copy()


def _on_black(image: Image.Image) -> np.ndarray | Unreadable:
    """[H, W, 3], or [H, W] of grey: what shows of a transparent picture in front of black."""
    if image.mode in GREY - {"1", "L"}:
        way_out = "save it without transparency"
        return Unreadable("", 0, "a transparent picture of 16 bits a pixel", way_out)
    colours = image.convert("RGBA")
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    shown = Image.alpha_composite(black, colours)
    return np.asarray(shown.convert("L" if image.mode in GREY else "RGB")).copy()


KNOWN = ("patient", "study", "site", "laterality", "label", "split", "date")


def read_parquet(
    path: Path, name: str, source: str, config: ImageSourceConfig
) -> Iterator[Picture | Unreadable]:
    """Rows with an encoded picture in ``image`` (bytes, or a struct with ``bytes``, as hubs have).

    Columns patient, study, site, laterality, label, split and date are taken when there.
    """
    for row, values in enumerate(_table_rows(path)):
        yield _row_picture(values, name, row, source)


def _table_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The columns of each row that a picture takes; raises InputError for a damaged file."""
    try:
        with pq.ParquetFile(path) as table:
            names = table.schema_arrow.names
            if "image" not in names:
                raise InputError(f"{path}: no column 'image'; it has {', '.join(names)}")
            known = [name for name in KNOWN if name in names]
            for batch in table.iter_batches(64, columns=["image", *known]):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"{path}: not a whole Parquet file ({reason}); write it again") from error


def _row_picture(values: dict[str, Any], name: str, row: int, source: str) -> Picture | Unreadable:
    encoded = values.pop("image")
    data = encoded.get("bytes") if isinstance(encoded, dict) else encoded
    if not isinstance(data, bytes):
        return Unreadable(name, row, "rows without bytes in 'image'", "store encoded pictures")
    found = decode_bitmap(io.BytesIO(data))
    if isinstance(found, Unreadable):
        return Unreadable(name, row, found.reason, found.way_out)
    known: dict[str, Any] = {
        k: None if v is None else str(v).strip() or None for k, v in values.items()
    }
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
