import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from evergrow.errors import InputError
from evergrow.images.readers import decode_bitmap
from evergrow.images.unreadable import Unreadable

from .make import noise, read

GREY = noise(1)


def encoded(image: Image.Image, kind: str, **settings: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind, **settings)
    file.seek(0)
    return file


def reason(file: io.BytesIO) -> str:
    found = decode_bitmap(file)
    assert isinstance(found, Unreadable)
    return found.reason


def test_exif_turns_a_picture_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    found = decode_bitmap(encoded(Image.fromarray(GREY[:8]), "PNG", exif=exif))
    assert np.array_equal(found, np.rot90(GREY[:8], -1))


def test_what_is_transparent_is_black() -> None:
    colours = np.full((2, 2, 4), 200, np.uint8)
    colours[..., 3] = [[0, 255], [255, 51]]
    found = decode_bitmap(encoded(Image.fromarray(colours), "PNG"))
    assert isinstance(found, np.ndarray)
    assert found[..., 0].tolist() == [[0, 200], [200, 40]]
    grey = decode_bitmap(encoded(Image.fromarray(GREY), "PNG", transparency=int(GREY[0, 0])))
    assert np.array_equal(grey, np.where(GREY[0, 0] == GREY, 0, GREY))


def test_an_opaque_alpha_changes_nothing() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (4, 4, 4), dtype=np.uint8)
    colours[..., 3] = 255
    found = decode_bitmap(encoded(Image.fromarray(colours), "PNG"))
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
        assert np.array_equal(decode_bitmap(encoded(Image.fromarray(deep), kind)), deep)


@pytest.mark.parametrize("kind", ["AVIF", "DDS", "PNG", "TIFF", "WEBP", "GIF", "JPEG2000"])
def test_wherever_a_byte_is_another_nothing_is_raised(kind: str) -> None:
    colours = Image.fromarray(np.stack([GREY] * 3, axis=-1))
    whole = encoded(colours, kind).getvalue()
    drawn = np.random.default_rng(0)
    for place in range(min(len(whole), 200)):
        damaged = bytearray(whole)
        damaged[place] = drawn.integers(256)
        found = decode_bitmap(io.BytesIO(damaged))
        assert isinstance(found, np.ndarray | Unreadable)


def test_a_dds_of_an_unknown_form_is_told() -> None:
    whole = bytearray(encoded(Image.fromarray(np.stack([GREY] * 3, axis=-1)), "DDS").getvalue())
    whole[80:88] = struct.pack("<I4s", 4, b"XXXX")  # the pixel format's flags and its name
    assert reason(io.BytesIO(whole)) == "a truncated or damaged picture"


def test_a_parquet_that_is_damaged_inside_is_refused_with_its_path(tmp_path: Path) -> None:
    rows = [{"image": encoded(Image.fromarray(noise(n)), "PNG").read()} for n in range(20)]
    path = tmp_path / "set.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd")
    whole = bytearray(path.read_bytes())
    whole[4:1500] = b"\xff" * 1496
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"set.parquet: not a whole Parquet file \(.*write it aga"):
        read(tmp_path)


def test_a_blank_cell_names_nobody(tmp_path: Path) -> None:
    png = encoded(Image.fromarray(GREY), "PNG").read()
    rows = [{"image": png, "patient": " ", "label": " a "}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "set.parquet")
    pictures, _ = read(tmp_path)
    assert (pictures[0].patient, pictures[0].label) == (None, "a")
