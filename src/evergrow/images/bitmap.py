"""PNG, JPEG, TIFF and what else Pillow reads to pixels, as the file's own words say they are meant.

Where Pillow reads other numbers than the file holds, they are mended or the file is left out.
"""

import io
import re
import struct
import warnings
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from evergrow.images.picture import Reading
from evergrow.images.unreadable import Unreadable

GREY = {"1", "L", "I;16", "I;16B", "I;16L", "I"}
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WITH_FIRST = {"MPO", "PSD"}  # whose further frames are previews and layers of the first
_BITS, _PHOTOMETRIC, _FORMAT, _SUBFILE = 258, 262, 339, 254  # tags of TIFF 6.0
_ORIENTATION = 0x0112


class Decoded(NamedTuple):
    """Pixels [H, W] or [H, W, 3] and how they were made."""

    pixels: np.ndarray
    reading: Reading


def decode_bitmap(file: Path | io.BytesIO, white: int | None = None) -> Decoded | Unreadable:
    """Pixels upright as EXIF says, 0 black; ``white`` is that of 16 bits, by default all of them.

    Else why there are none.
    """
    try:
        if isinstance(file, io.BytesIO):
            return _opened(file, white)
        with file.open("rb") as stream:  # of a path Pillow maps TIFF into memory, turned wrongly
            return _opened(stream, white)
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


def _opened(stream: Any, white: int | None) -> Decoded | Unreadable:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow remarks on tags and sizes; what fails raises
        try:
            image = Image.open(stream)
        except UnidentifiedImageError:
            return _unknown(stream)
        with image:
            if (refused := _several(image) or _refused_numbers(image)) is not None:
                return refused
            tags = dict(getattr(image, "tag_v2", {}))
            is_turned = image.getexif().get(_ORIENTATION, 1) != 1
            image.load()
            return _upright(image, tags, is_turned, white)


def _unknown(stream: Any) -> Unreadable:
    stream.seek(0)
    if stream.read(4) in _TIFF:
        way_out = "save it in grey or RGB of 8 bits, or in grey of 16"
        return Unreadable("", 0, "a TIFF whose numbers Pillow does not read", way_out)
    return Unreadable("", 0, "bytes that are no picture", "leave the file out of images")


def _several(image: Image.Image) -> Unreadable | None:
    """Why several pictures in one file are none; reduced copies and masks of TIFF do not count."""
    frames = range(getattr(image, "n_frames", 1))
    if len(frames) == 1 or image.format in _WITH_FIRST:
        return None
    own = [frame for frame in frames if not _subfile(image, frame) & 0b101]
    if len(own) > 1:
        reason, way_out = f"a {image.format} of several frames", "store one frame a file"
        return Unreadable("", 0, reason, way_out, num_pictures=len(own))
    image.seek(own[0] if own else 0)
    return None


def _subfile(image: Image.Image, frame: int) -> int:
    """The bits of TIFF's NewSubfileType of a frame: 1 reduced, 2 a page, 4 a mask."""
    image.seek(frame)
    return int(getattr(image, "tag_v2", {}).get(_SUBFILE, 0))


def _refused_numbers(image: Image.Image) -> Unreadable | None:
    """Why Pillow would change the numbers of a picture while it reads them; None when it does not.

    The tiles of an opened file name how its numbers are stored.
    """
    way_out = "save it with 8 or 16 bits a pixel"
    if image.mode == "F":  # no number of it is white
        return Unreadable("", 0, "a picture of floating point numbers", way_out)
    if image.mode == "LAB":
        return Unreadable("", 0, "a picture in Lab colours", "save it in grey or RGB")
    stored = " ".join(str(tile[3]) for tile in getattr(image, "tile", []))
    if image.mode not in GREY and ";16" in stored:
        reason = "a picture of 16 bits a colour, of which Pillow keeps 8"
        return Unreadable("", 0, reason, "save it with 8 bits a colour, or in grey")
    with_sign = 2 in tuple(getattr(image, "tag_v2", {}).get(_FORMAT, ()))
    if with_sign or (image.mode == "I" and (";32" in stored or re.search(r";16B?S", stored))):
        return Unreadable("", 0, "a picture of 32 bits or of numbers with a sign", way_out)
    return None


def _upright(
    image: Image.Image, tags: dict[int, Any], is_turned: bool, white: int | None
) -> Decoded | Unreadable:
    upright = ImageOps.exif_transpose(image)
    found = _on_black(upright) if upright.has_transparency_data else _values(upright)
    if isinstance(found, Unreadable):
        return found
    bits = 8 * found.itemsize
    if bits == 16:
        bits = int(tags.get(_BITS, (16,))[0])
    inverted = found.dtype == np.uint16 and tags.get(_PHOTOMETRIC) == 0  # Pillow does it for 8 bits
    if inverted:
        found = np.uint16(2**bits - 1) - found
    reading = Reading(bits, turned=is_turned, inverted=inverted)
    return at_full_scale(found, reading, white if bits == 16 else 2**bits - 1)


def at_full_scale(pixels: np.ndarray, reading: Reading, white: int | None) -> Decoded | Unreadable:
    """16 bits of which ``white`` is white, brought to 65,535; 8 bits as they are.

    The reading gets the least and the largest number.
    """
    low, high = int(pixels.min()), int(pixels.max())
    reading = replace(reading, range=(low, high))
    if pixels.dtype != np.uint16 or white is None:
        return Decoded(pixels, reading)
    if high > white:
        reason = f"a pixel of {high:,}, above white"
        return Unreadable("", 0, reason, f"{white:,} is taken for white; correct the key white")
    reading = replace(reading, white=white)
    return Decoded(np.rint(pixels * (65_535 / white)).astype(np.uint16), reading)


def _values(image: Image.Image) -> np.ndarray:
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
