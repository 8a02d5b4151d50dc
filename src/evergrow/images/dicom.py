"""DICOM to pixels: modality table, then values of interest, then inversion, then full scale.

The order is that of DICOM PS3.4 N.2 (modality LUT, VOI LUT, presentation); MONOCHROME1 is white at
its lowest value and is turned round last. Nothing of the header but what a Picture names leaves it.
"""

import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from evergrow.errors import InputError
from evergrow.images.config import ImageSourceConfig
from evergrow.images.picture import Picture
from evergrow.images.tables import interest, rescaled
from evergrow.images.unreadable import Unreadable


def read_dicom(
    path: Path, name: str, source: str, config: ImageSourceConfig
) -> Iterator[Picture | Unreadable]:
    """The one picture of a DICOM file, or why there is none."""
    try:
        import pydicom
        from pydicom.errors import BytesLengthException, InvalidDicomError
    except ModuleNotFoundError as error:
        raise InputError(
            f"{path}: DICOM needs the package pydicom; install evergrow[vision]"
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom remarks on odd but readable headers
        try:
            found = _picture(pydicom.dcmread(path), name, source, config)
        except (FileNotFoundError, PermissionError):
            raise
        except (InvalidDicomError, BytesLengthException, *_DAMAGED) as error:
            reason = f"a header that is not DICOM ({type(error).__name__})"
            way_out = "leave it out of images or convert it again"
            found = Unreadable(name, 0, reason, way_out, None)
    yield found


# What pydicom raises where a file is cut off or a byte of its header is another.
_DAMAGED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def _picture(
    header: Any, name: str, source: str, config: ImageSourceConfig
) -> Picture | Unreadable:
    names = _names(header)
    modality = str(header.get("Modality", "none"))
    if "PixelData" not in header:
        way_out = "leave reports, plans and what was cut off out of images"
        return Unreadable(name, 0, "DICOM without pixels", way_out, names)
    if modality not in config.modalities:
        read = ", ".join(config.modalities)
        way_out = f"only {read} are read; add it to modalities if it belongs here"
        return Unreadable(name, 0, f"DICOM of modality {modality}", way_out, names)
    if int(header.get("NumberOfFrames", 1) or 1) > 1:
        return Unreadable(name, 0, "DICOM of several frames", "store one frame a file", names)
    try:
        pixels, reading = decode(header)
    except _DAMAGED as error:
        syntax = header.file_meta.get("TransferSyntaxUID")
        spelt = syntax.name if syntax is not None else "an unnamed transfer syntax"
        reason = " ".join(str(error).split())[:160]
        way_out = (
            "decompress the file, or install python-gdcm, which reads JPEG Lossless and JPEG-LS"
        )
        reason = f"pixels in {spelt} that do not decode ({reason})"
        return Unreadable(name, 0, reason, way_out, names)
    return Picture(pixels, source, name, name, **_known(header), reading=reading, names=names)


def _text(header: Any, keyword: str) -> str | None:
    return str(header.get(keyword, "") or "").strip() or None


def _known(header: Any) -> dict[str, Any]:
    date = _text(header, "StudyDate") or _text(header, "AcquisitionDate")
    spelt = f"{date[:4]}-{date[4:6]}-{date[6:8]}" if date and len(date) == 8 else None
    return {
        "patient": _text(header, "PatientID"),
        "study": _text(header, "StudyInstanceUID"),
        "site": _text(header, "InstitutionName"),
        "laterality": _text(header, "ImageLaterality") or _text(header, "Laterality"),
        "date": spelt,
    }


# Elements that exports write into the names of files and folders.
_SPELT = (
    "PatientID",
    "OtherPatientIDs",
    "PatientName",
    "PatientBirthDate",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "SeriesDate",
    "AcquisitionDate",
    "ContentDate",
    "InstitutionName",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
)


def _names(header: Any) -> tuple[str, ...]:
    """All that a file's name may spell of a person; of a name also its parts."""
    values = [value for keyword in _SPELT if (value := _text(header, keyword)) is not None]
    parts = re.split(r"[\^= ]+", _text(header, "PatientName") or "")
    return tuple(dict.fromkeys([*values, *(part for part in parts if part)]))


def decode(header: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """Pixels at full scale (uint8 up to 8 stored bits, else uint16), and how they were made.

    Raises what pydicom raises when the transfer syntax has no decoder here or the data is cut off.
    """
    from pydicom.pixels.processing import apply_color_lut

    photometric = str(header.PhotometricInterpretation)
    raw = header.pixel_array
    bits = int(header.BitsStored)
    reading: dict[str, Any] = {
        "bits": bits,
        "photometric": photometric,
        "burned_in_annotation": str(header.get("BurnedInAnnotation", "unknown") or "unknown"),
    }
    if photometric == "PALETTE COLOR":
        raw = apply_color_lut(raw, header)
        bits = 8 * raw.itemsize
    if raw.ndim == 3:  # pydicom has turned YBR into RGB
        if bits > 16:
            raise ValueError(f"{bits} bits a colour; 16 at most are read")
        return _full_scale(raw / (2**bits - 1), bits), reading
    share, reading["interest"] = interest(*rescaled(raw, header, bits), header)
    if photometric == "MONOCHROME1":
        share = 1 - share
    pixels = _full_scale(share, bits)
    reading["scaled_to"] = int(np.iinfo(pixels.dtype).max)
    return pixels, reading


def _full_scale(share: np.ndarray, bits: int) -> np.ndarray:
    """Shares of white in [0, 1] as uint8 up to 8 stored bits, else as uint16."""
    kind = np.uint8 if bits <= 8 else np.uint16
    return np.rint(np.clip(share, 0, 1) * np.iinfo(kind).max).astype(kind)
