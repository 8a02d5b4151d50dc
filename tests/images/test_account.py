from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evergrow.errors import InputError

from .make import noise, read, write_dicom, write_png

DEEP = np.arange(256, dtype=np.uint16).reshape(16, 16) * 16  # 0 to 4080, all of 12 bits


def test_the_audit_says_of_which_depth_and_range_and_what_was_done(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", DEEP, PhotometricInterpretation="MONOCHROME1")
    write_dicom(tmp_path / "b.dcm", DEEP, WindowCenter=100, WindowWidth=50)
    write_dicom(tmp_path / "c.dcm", DEEP >> 4, BitsStored=8, HighBit=7)
    write_dicom(tmp_path / "d.dcm", DEEP << 4 | 1, HighBit=15)
    pixels = read(tmp_path, bits=16)[1].pixels
    assert pixels.model_dump()["depths"] == {
        "8": {"pictures": 1, "range": (0, 255)},
        "12": {"pictures": 3, "range": (0, 4080)},
    }
    assert (pixels.inverted, pixels.masked, pixels.shifted) == (1, 0, 1)
    assert pixels.interest == {"none": 3, "window": 1}


def test_raw_pictures_among_processed_ones_are_refused(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", DEEP, PresentationIntentType="FOR PROCESSING")
    write_dicom(tmp_path / "b.dcm", DEEP >> 1, PresentationIntentType="FOR PRESENTATION")
    write_dicom(tmp_path / "c.dcm", DEEP >> 2)
    with pytest.raises(InputError, match=r"1 pictures are FOR PROCESSING, first a.dcm, and 2 are"):
        read(tmp_path)
    pictures, reading = read(tmp_path, intent="FOR PRESENTATION")
    assert [p.plain for p in pictures] == ["b.dcm", "c.dcm"]
    assert reading.num_filtered == 1
    pictures, reading = read(tmp_path, intent="FOR PROCESSING")
    assert [p.plain for p in pictures] == ["a.dcm"]
    assert reading.sentences == ["films: all 1 pictures are FOR PROCESSING"]


def test_twelve_bits_in_sixteen_are_refused_until_white_is_said(tmp_path: Path) -> None:
    Image.fromarray(DEEP).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"1 pictures of 16 bits use 12 .* set white: 4095, or"):
        read(tmp_path)
    assert read(tmp_path, white=4095)[0][0].pixels.max() == round(4080 / 4095 * 65_535)
    assert read(tmp_path, white=65_535)[0][0].pixels.max() == 4080
    np.savez(tmp_path / "a.npz", images=DEEP[None])
    with pytest.raises(InputError, match="use 12 of them"):
        read(tmp_path, images=["*.npz"])
    assert read(tmp_path, images=["*.npz"], white=4095)[0][0].pixels.max() > 65_000


def test_some_narrow_pictures_among_wide_ones_are_said(tmp_path: Path) -> None:
    Image.fromarray(DEEP).save(tmp_path / "a.png")
    Image.fromarray(DEEP << 4).save(tmp_path / "b.png")
    reading = read(tmp_path)[1]
    assert reading.pixels.narrow == 1
    assert "films: 1 pictures use less than half of their greys; look" in reading.sentences[0]


def test_a_dark_dicom_without_a_window_is_said(tmp_path: Path) -> None:
    dark = {"BitsStored": 16, "HighBit": 15}
    write_dicom(tmp_path / "a.dcm", DEEP, **dark)
    write_dicom(tmp_path / "b.dcm", DEEP >> 1, **dark, WindowCenter=1000, WindowWidth=2000)
    assert read(tmp_path)[1].pixels.narrow == 1


def test_depths_are_brought_to_one_when_asked(tmp_path: Path) -> None:
    Image.fromarray(DEEP << 4).save(tmp_path / "a.png")
    write_png(tmp_path / "b.png", 1, height=16, width=16)
    with pytest.raises(InputError, match=r"b.png has 8 bits a pixel, others 16; set bits to"):
        read(tmp_path)
    eight, sixteen = (read(tmp_path, bits=bits)[0] for bits in (8, 16))
    assert np.array_equal(eight[0].pixels[0], np.rint((DEEP << 4) / 257))
    assert np.array_equal(sixteen[1].pixels[0], noise(1, 16, 16) * np.uint16(257))
