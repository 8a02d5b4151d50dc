import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from evergrow.images.bitmap import Decoded, decode_bitmap
from evergrow.images.unreadable import Unreadable

from .make import encoded, noise

GREY = noise(1)


def reason(file: io.BytesIO) -> str:
    found = decode_bitmap(file)
    assert isinstance(found, Unreadable)
    return found.reason


def pixels(file: io.BytesIO, white: int | None = None) -> np.ndarray:
    found = decode_bitmap(file, white)
    assert isinstance(found, Decoded)
    return found.pixels


def test_exif_turns_a_picture_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    found = pixels(encoded(Image.fromarray(GREY[:8]), "PNG", exif=exif))
    assert np.array_equal(found, np.rot90(GREY[:8], -1))


def test_what_is_transparent_is_black() -> None:
    colours = np.full((2, 2, 4), 200, np.uint8)
    colours[..., 3] = [[0, 255], [255, 51]]
    found = pixels(encoded(Image.fromarray(colours), "PNG"))
    assert found[..., 0].tolist() == [[0, 200], [200, 40]]
    grey = pixels(encoded(Image.fromarray(GREY), "PNG", transparency=int(GREY[0, 0])))
    assert np.array_equal(grey, np.where(GREY[0, 0] == GREY, 0, GREY))


def test_an_opaque_alpha_changes_nothing() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (4, 4, 4), dtype=np.uint8)
    colours[..., 3] = 255
    found = pixels(encoded(Image.fromarray(colours), "PNG"))
    assert np.array_equal(found, colours[..., :3])


def sixteen_bit_colours() -> io.BytesIO:
    """A PNG of one pixel with 16 bits a colour, which Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    row = b"\0" + struct.pack(">HHH", 1000, 2000, 3000)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(row)), chunk(b"IEND", b""))
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def test_no_bit_is_lost_in_silence() -> None:
    assert reason(sixteen_bit_colours()) == "a picture of 16 bits a colour, of which Pillow keeps 8"
    wide = encoded(Image.fromarray(GREY.astype(np.int32) * 1000), "TIFF")
    assert reason(wide) == "a picture of 32 bits or of numbers with a sign"
    deep = GREY.astype(np.uint16) * 257
    for kind in ("PNG", "TIFF", "PPM"):
        assert np.array_equal(pixels(encoded(Image.fromarray(deep), kind)), deep)


@pytest.mark.parametrize("kind", ["AVIF", "DDS", "PNG", "TIFF", "WEBP", "GIF", "JPEG2000"])
def test_wherever_a_byte_is_another_nothing_is_raised(kind: str) -> None:
    colours = Image.fromarray(np.stack([GREY] * 3, axis=-1))
    whole = encoded(colours, kind).getvalue()
    drawn = np.random.default_rng(0)
    for place in range(min(len(whole), 200)):
        damaged = bytearray(whole)
        damaged[place] = drawn.integers(256)
        found = decode_bitmap(io.BytesIO(damaged))
        assert isinstance(found, Decoded | Unreadable)


def test_a_dds_of_an_unknown_form_is_told() -> None:
    whole = bytearray(encoded(Image.fromarray(np.stack([GREY] * 3, axis=-1)), "DDS").getvalue())
    whole[80:88] = struct.pack("<I4s", 4, b"XXXX")  # the pixel format's flags and its name
    assert reason(io.BytesIO(whole)) == "a truncated or damaged picture"


def tiff(folder: Path, pixels: np.ndarray, tags: dict[int, int], **settings: Any) -> Path:
    path = folder / "a.tif"
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        info[tag] = value
    Image.fromarray(pixels).save(path, tiffinfo=info, **settings)
    return path


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda p: p),
        (2, np.fliplr),
        (3, lambda p: np.rot90(p, 2)),
        (4, np.flipud),
        (5, np.transpose),
        (6, lambda p: np.rot90(p, -1)),
        (7, lambda p: np.rot90(p, 2).T),
        (8, lambda p: np.rot90(p, 1)),
    ],
)
def test_a_tiff_on_disk_is_turned_as_its_tag_says(
    tmp_path: Path,
    compression: str,
    orientation: int,
    upright: Callable[[np.ndarray], np.ndarray],
) -> None:
    stored = noise(3, 8, 12)
    path = tiff(tmp_path, stored, {274: orientation}, compression=compression)
    found = decode_bitmap(path)
    assert isinstance(found, Decoded)
    assert np.array_equal(found.pixels, upright(stored))
    assert found.reading.turned == (orientation != 1)


def plain_tiff(pixels: np.ndarray, white_is_zero: bool, sign: int = 1) -> io.BytesIO:
    """A grey TIFF written by hand (TIFF 6.0, section 4), since Pillow inverts what it saves."""
    height, width = pixels.shape
    bits = 8 * pixels.itemsize
    entries = [
        (256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1),
        (262, 3, 0 if white_is_zero else 1), (273, 4, 8), (277, 3, 1), (278, 4, height),
        (279, 4, pixels.nbytes), (339, 3, sign),
    ]  # fmt: skip
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    directory = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries
    )
    return io.BytesIO(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + b"\0" * 4)


def test_where_white_is_zero_deep_pictures_are_turned_round_too() -> None:
    deep = noise(1).astype(np.uint16) * 200
    found = decode_bitmap(plain_tiff(deep, white_is_zero=True))
    assert isinstance(found, Decoded)
    assert np.array_equal(found.pixels, 65_535 - deep) and found.reading.inverted
    assert np.array_equal(pixels(plain_tiff(deep, white_is_zero=False)), deep)
    assert np.array_equal(pixels(plain_tiff(GREY, white_is_zero=True)), 255 - GREY)


def test_numbers_with_a_sign_are_told() -> None:
    told = "a picture of 32 bits or of numbers with a sign"
    for kind in (np.uint8, np.uint16):
        assert reason(plain_tiff(GREY.astype(kind), white_is_zero=False, sign=2)) == told


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "PNG", "WEBP"])
def test_several_frames_are_counted_and_none_is_taken(kind: str) -> None:
    frames = [Image.fromarray(noise(n)) for n in range(3)]
    file = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    found = decode_bitmap(file)
    assert isinstance(found, Unreadable)
    assert (found.reason, found.num_pictures) == (f"a {kind} of several frames", 3)


def test_a_reduced_copy_beside_the_picture_is_no_frame_of_its_own(tmp_path: Path) -> None:
    with TiffImagePlugin.AppendingTiffWriter(tmp_path / "a.tif", True) as file:
        small = TiffImagePlugin.ImageFileDirectory_v2()
        small[254] = 1  # NewSubfileType: reduced resolution
        Image.fromarray(GREY[:6, :6]).save(file, "TIFF", tiffinfo=small)
        file.newFrame()
        Image.fromarray(GREY).save(file, "TIFF")
    found = decode_bitmap(tmp_path / "a.tif")
    assert isinstance(found, Decoded) and np.array_equal(found.pixels, GREY)


def test_the_white_that_is_said_is_white() -> None:
    narrow = np.array([[0, 2048], [4095, 1]], np.uint16)
    file = encoded(Image.fromarray(narrow), "PNG")
    assert pixels(file, 4095).tolist() == [[0, 32_776], [65_535, 16]]
    file.seek(0)
    above = decode_bitmap(file, 4000)
    assert isinstance(above, Unreadable) and above.reason == "a pixel of 4,095, above white"


def test_a_tiff_that_pillow_cannot_read_is_not_called_damaged() -> None:
    whole = bytearray(plain_tiff(GREY, white_is_zero=False).getvalue())
    place = whole.index(struct.pack("<HHII", 258, 3, 1, 8))
    whole[place + 8 : place + 12] = struct.pack("<I", 24)
    assert reason(io.BytesIO(whole)) == "a TIFF whose numbers Pillow does not read"
