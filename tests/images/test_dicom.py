from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID, JPEG2000Lossless, JPEGExtended12Bit, JPEGLosslessSV1, RLELossless

from evergrow.images.config import ImageSourceConfig
from evergrow.images.dicom import decode, read_dicom
from evergrow.images.readers import reader_of
from evergrow.images.tables import windowed
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
    assert reading.interest == "table"
    assert pixels.ravel()[0] == 65_535 and pixels.ravel()[-1] == 15


def test_a_negative_slope_turns_the_window_round_no_second_time(tmp_path: Path) -> None:
    window = {"WindowCenter": 1000.5, "WindowWidth": 2001}
    path = write_dicom(tmp_path / "a.dcm", RAMP, RescaleSlope=-1, RescaleIntercept=2000, **window)
    share = np.clip((2000.0 - RAMP) / 2000, 0, 1)  # PS3.3 C.11.2.1.2.1
    assert np.array_equal(decoded(path), np.rint(share * 65_535))


@pytest.mark.parametrize(
    ("function", "shares"),
    [  # by hand: centre 4, width 4, of the values 1 to 7
        ("LINEAR", [0, 0, 1 / 3, 2 / 3, 1, 1, 1]),
        ("LINEAR_EXACT", [0, 0, 0.25, 0.5, 0.75, 1, 1]),
        ("SIGMOID", [1 / (1 + np.exp(4 - x)) for x in range(1, 8)]),
    ],
)
def test_each_function_of_a_window_is_that_of_the_standard(
    function: str, shares: list[float]
) -> None:
    values = np.arange(1, 8, dtype=np.float64)
    assert windowed(values, 4, 4, function) == pytest.approx(shares, abs=1e-12)


def test_a_window_of_width_one_is_a_threshold() -> None:
    assert windowed(np.array([3.0, 4.0]), 4, 1, "LINEAR").tolist() == [0, 1]
    with pytest.raises(ValueError, match="WindowWidth 0 is too small for LINEAR_EXACT"):
        windowed(np.array([3.0]), 4, 0, "LINEAR_EXACT")


@pytest.mark.parametrize(
    "empty",
    [
        {"VOILUTSequence": Sequence([])},
        {"ModalityLUTSequence": Sequence([])},
        {"WindowCenter": "", "WindowWidth": ""},
        {"WindowCenter": "100", "WindowWidth": ""},
        {"RescaleSlope": "", "RescaleIntercept": ""},
        {"RescaleSlope": "2"},  # counts only beside an intercept
    ],
)
def test_what_a_header_leaves_empty_is_absent(tmp_path: Path, empty: dict) -> None:
    plain = decoded(write_dicom(tmp_path / "a.dcm", RAMP))
    assert np.array_equal(decoded(write_dicom(tmp_path / "b.dcm", RAMP, **empty)), plain)


def test_a_table_of_bytes_with_many_entries_keeps_their_places(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 8]
    table.LUTData = bytes(i // 16 for i in range(4096))
    path = write_dicom(tmp_path / "a.dcm", RAMP, VOILUTSequence=Sequence([table]))
    assert np.array_equal(decoded(path), np.rint(RAMP // 16 / 255 * 65_535))


def test_colours_of_twelve_bits_fill_sixteen(tmp_path: Path) -> None:
    colours = np.stack([RAMP, RAMP // 2, RAMP // 4], axis=-1)
    form = {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3, "PlanarConfiguration": 0}
    pixels = decoded(write_dicom(tmp_path / "a.dcm", colours, **form))
    assert np.array_equal(pixels, np.rint(colours / 4095 * 65_535))


def test_whichever_byte_of_a_header_is_another_nothing_is_raised(tmp_path: Path) -> None:
    window = {"WindowCenter": 100, "WindowWidth": 50, "RescaleSlope": 1, "RescaleIntercept": 0}
    whole = write_dicom(tmp_path / "a.dcm", RAMP, **window).read_bytes()
    config, path = ImageSourceConfig(images=["x"]), tmp_path / "b.dcm"
    drawn = np.random.default_rng(0)
    for place in range(128, len(whole) - 32, 2):
        damaged = bytearray(whole)
        damaged[place] = drawn.integers(256)
        path.write_bytes(damaged)
        assert len(list(read_dicom(path, "b.dcm", "films", config))) == 1


@pytest.mark.parametrize("error", [OSError(22, "Invalid argument"), IndexError("index")])
def test_what_a_damaged_header_raises_is_a_record_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(path: Path) -> None:
        raise error

    path = write_dicom(tmp_path / "a.dcm", RAMP)
    monkeypatch.setattr(pydicom, "dcmread", fail)
    (found,) = read_dicom(path, "a.dcm", "films", ImageSourceConfig(images=["x"]))
    assert isinstance(found, Unreadable)
    assert found[:2] == ("a.dcm", 0) and type(error).__name__ in found.reason


def test_a_syntax_without_a_decoder_names_the_package_that_has_one(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP)
    header = pydicom.dcmread(path)
    header.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    header.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    header["PixelData"].VR = "OB"
    header.save_as(path)
    (found,) = read_dicom(path, "a.dcm", "films", ImageSourceConfig(images=["x"]))
    assert isinstance(found, Unreadable)
    assert "JPEG Lossless" in found.reason and "install python-gdcm" in found.way_out


@pytest.mark.parametrize(
    ("syntax", "words", "way_out"),
    [
        (JPEGExtended12Bit, {}, "install python-gdcm"),
        (JPEGExtended12Bit, {"BitsStored": 8, "HighBit": 7, "BitsAllocated": 8}, "copy it again"),
        (JPEG2000Lossless, {}, "copy it again"),
        (JPEG2000Lossless, {"SamplesPerPixel": 3}, "install python-gdcm"),
        (RLELossless, {}, "copy it again"),
        ("1.2.3.4", {}, "convert it to Explicit VR Little Endian"),
    ],
)
def test_a_package_is_named_only_where_it_is_the_reason(
    tmp_path: Path, syntax: str, words: dict, way_out: str
) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP, **words)
    header = pydicom.dcmread(path)
    header.file_meta.TransferSyntaxUID = UID(syntax)
    header.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    header["PixelData"].VR = "OB"
    header.save_as(path, implicit_vr=False, little_endian=True)
    (found,) = read_dicom(path, "a.dcm", "films", ImageSourceConfig(images=["x"]))
    assert isinstance(found, Unreadable)
    assert way_out in found.way_out


def test_frames_that_no_header_announces_are_told_and_counted(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP, PixelData=RAMP.tobytes() * 3)
    (found,) = read_dicom(path, "a.dcm", "films", ImageSourceConfig(images=["x"]))
    assert isinstance(found, Unreadable)
    assert (found.reason, found.num_pictures) == ("DICOM of several frames", 3)
    path = write_dicom(tmp_path / "b.dcm", RAMP, NumberOfFrames=7)
    (found,) = read_dicom(path, "b.dcm", "films", ImageSourceConfig(images=["x"]))
    assert isinstance(found, Unreadable) and found.num_pictures == 7


def test_a_word_that_dicom_does_not_have_is_not_kept(tmp_path: Path) -> None:
    words = {"BurnedInAnnotation": "DOE", "PresentationIntentType": "DOE"}
    reading = decode(pydicom.dcmread(write_dicom(tmp_path / "a.dcm", RAMP, **words)))[1]
    assert (reading.burned_in_annotation, reading.intent) == ("unknown", "unknown")


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
        assert picture.reading.inverted


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
