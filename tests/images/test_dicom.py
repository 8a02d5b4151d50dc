from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from evergrow.images.config import ImageSourceConfig
from evergrow.images.dicom import decode
from evergrow.images.readers import reader_of
from evergrow.images.unreadable import Unreadable

from .make import read, write_dicom

RAMP = np.arange(16, dtype=np.uint16).reshape(4, 4) * 273  # 0 to 4095, all of 12 bits


def decoded(path: Path) -> np.ndarray:
    return decode(pydicom.dcmread(path))[0]


def test_twelve_bits_fill_sixteen(tmp_path: Path) -> None:
    pixels = decoded(write_dicom(tmp_path / "a.dcm", RAMP))
    assert pixels.dtype == np.uint16
    assert (pixels.min(), pixels.max()) == (0, 65_535)
    assert np.array_equal(pixels, np.rint(RAMP / 4095 * 65_535))


def test_an_inversion_pair_reads_alike(tmp_path: Path) -> None:
    plain = write_dicom(tmp_path / "a.dcm", RAMP)
    turned = write_dicom(tmp_path / "b.dcm", 4095 - RAMP, PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(decoded(plain), decoded(turned))


def test_the_window_cuts_after_the_modality_table(tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "a.dcm", RAMP, RescaleSlope=2, RescaleIntercept=-1000,
        WindowCenter=1000.5, WindowWidth=2001,
    )  # fmt: skip
    share = np.clip((RAMP * 2.0 - 1000 - 0.0) / 2000, 0, 1)  # PS3.3 C.11.2.1.2.1
    assert np.abs(decoded(path) / 65_535 - share).max() < 1e-3


def test_a_table_of_interest_goes_before_a_window(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.LUTData = np.array([65_535 - 16 * i for i in range(4096)], "<u2").tobytes()
    path = write_dicom(
        tmp_path / "a.dcm", RAMP, VOILUTSequence=Sequence([table]), WindowCenter=0, WindowWidth=1
    )
    pixels, reading = decode(pydicom.dcmread(path))
    assert reading["interest"] == "table"
    assert pixels.ravel()[0] == 65_535 and pixels.ravel()[-1] == 15


@pytest.mark.parametrize("packed", ["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm"])
def test_packed_files_read_like_the_plain_one(packed: str) -> None:
    plain, other = (get_testdata_file(name) for name in ("MR_small.dcm", packed))
    assert isinstance(plain, str) and isinstance(other, str)
    assert np.array_equal(decoded(Path(plain)), decoded(Path(other)))


def test_real_films_of_one_patient_are_one_patient_without_a_name() -> None:
    known = get_testdata_file("DICOMDIR")
    assert isinstance(known, str)
    pictures, _ = read(Path(known).parent, images=["77654033/CR*/*"])
    assert len(pictures) == 3
    assert len({p.patient for p in pictures}) == 1
    for picture in pictures:
        written = " ".join(map(str, (picture.path, picture.key, picture.patient, picture.reading)))
        assert "77654033" not in written
        assert picture.reading["photometric"] == "MONOCHROME1"


def test_a_file_without_suffix_is_known_by_its_beginning(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "6154", RAMP)
    assert reader_of(path).__name__ == "read_dicom"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"PixelData": None}, "DICOM without pixels"),
        ({"Modality": "SR"}, "DICOM of modality SR"),
        ({"NumberOfFrames": 2}, "DICOM of several frames"),
        ({"PixelData": b"\0\0"}, "pixels in Explicit VR Little Endian that do not decode"),
    ],
)
def test_what_gives_no_picture_says_why(tmp_path: Path, header: dict, reason: str) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP, **header)
    config = ImageSourceConfig(images=["x"])
    found = list(reader_of(path)(path, "a.dcm", "films", config))
    assert len(found) == 1
    assert found[0].reason.startswith(reason)  # pyright: ignore


@pytest.mark.parametrize("packed", [None, "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm"])
def test_wherever_a_file_is_cut_off_it_is_told_and_nothing_raised(
    packed: str | None, tmp_path: Path
) -> None:
    if packed is None:
        whole = write_dicom(tmp_path / "a.dcm", RAMP, WindowCenter=100, WindowWidth=50).read_bytes()
    else:
        whole = Path(str(get_testdata_file(packed))).read_bytes()
    config = ImageSourceConfig(images=["x"], modalities=["CR", "MR"])
    path = tmp_path / "cut.dcm"
    for length in range(0, min(len(whole), 1500), 13):
        path.write_bytes(whole[:length])
        (found,) = reader_of(path)(path, "cut.dcm", "films", config)
        assert isinstance(found, Unreadable)


def test_a_text_called_dicom_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_text("no picture")
    found = list(reader_of(path)(path, "a.dcm", "films", ImageSourceConfig(images=["x"])))
    assert "header that is not DICOM" in found[0].reason  # pyright: ignore
