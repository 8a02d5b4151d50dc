from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless

from evergrow.images.dicom import decode
from evergrow.images.tables import stored

from .make import write_dicom

RAMP = np.arange(16, dtype=np.uint16).reshape(4, 4) * 273  # 0 to 4095, all of 12 bits


def header(path: Path, pixels: np.ndarray = RAMP, **words: Any) -> Any:
    return pydicom.dcmread(write_dicom(path, pixels, **words))


def test_overlays_above_the_stored_bits_are_cut(tmp_path: Path) -> None:
    plain, _ = decode(header(tmp_path / "a.dcm"))
    pixels, reading = decode(header(tmp_path / "b.dcm", RAMP | 0x8000))
    assert np.array_equal(pixels, plain)
    assert reading.masked and reading.range == (0, 4095)


def test_a_high_bit_above_the_others_is_shifted_down(tmp_path: Path) -> None:
    plain, _ = decode(header(tmp_path / "a.dcm"))
    pixels, reading = decode(header(tmp_path / "b.dcm", RAMP << 4 | 3, HighBit=15))
    assert np.array_equal(pixels, plain) and reading.shifted


def test_a_sign_is_that_of_the_stored_bits(tmp_path: Path) -> None:
    values = np.arange(-2048, 2048, 256, dtype=np.int16).reshape(4, 4)
    short = (values & 0x0FFF).view(np.uint16)  # the bits above left empty, as some writers do
    words = header(tmp_path / "a.dcm", short, PixelRepresentation=1)
    cut, masked, shifted = stored(short.view(np.int16), words, 12)
    assert np.array_equal(cut, values) and not (masked or shifted)
    cut, masked, shifted = stored(values, words, 12)
    assert np.array_equal(cut, values) and not (masked or shifted)
    cut, masked, shifted = stored((short | 0x4000).view(np.int16), words, 12)
    assert np.array_equal(cut, values) and masked and not shifted


def test_a_high_bit_that_cannot_be_is_told(tmp_path: Path) -> None:
    words = header(tmp_path / "a.dcm", HighBit=4)
    with pytest.raises(ValueError, match="HighBit 4 of 12 bits in 16"):
        stored(RAMP, words, 12)
    words.HighBit = 15
    words.file_meta.TransferSyntaxUID = JPEG2000Lossless
    with pytest.raises(ValueError, match="HighBit 15 of 12 bits in compressed pixels"):
        stored(RAMP, words, 12)
    words.HighBit = None
    assert np.array_equal(stored(RAMP, words, 12)[0], RAMP)
