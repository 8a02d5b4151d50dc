"""DICOM to pixels: modality table, then values of interest, then inversion, then full scale.

The order is that of DICOM PS3.4 N.2 (modality LUT, VOI LUT, presentation); MONOCHROME1 is white at
its lowest value and is turned round last. Nothing of the header but what a Picture names leaves it.
"""

import re
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from evergrow.errors import InputError
from evergrow.images.bitmap import Decoded
from evergrow.images.config import INTENTS, ImageSourceConfig
from evergrow.images.picture import Picture, Reading
from evergrow.images.tables import interest, rescaled, stored
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
    try:
        frames = int(header.get("NumberOfFrames") or 1)
        found = decode(header) if frames == 1 else None
    except SeveralFramesError as error:
        frames, found = error.frames, None
    except _DAMAGED as error:
        syntax = header.file_meta.get("TransferSyntaxUID")
        spelt = syntax.name if syntax is not None else "an unnamed transfer syntax"
        told = " ".join(str(error).split())[:160]
        reason = f"pixels in {spelt} that do not decode ({told})"
        return Unreadable(name, 0, reason, _way_out(header, syntax), names)
    if found is None:
        reason, way_out = "DICOM of several frames", "store one frame a file"
        return Unreadable(name, 0, reason, way_out, names, max(frames, 1))
    picture = Picture(found.pixels, source, name, name, reading=found.reading, names=names)
    return replace(picture, **_known(header))


def _way_out(header: Any, syntax: Any) -> str:
    """What to do about pixels that do not decode: a package only where one is missing."""
    from pydicom.pixels.decoders.base import get_decoder

    try:
        is_known = get_decoder(syntax).is_available
    except (NotImplementedError, TypeError, ValueError):  # pydicom knows no such syntax, or none is
        return "convert it to Explicit VR Little Endian"
    bits, samples = header.get("BitsStored") or 0, header.get("SamplesPerPixel") or 1
    deep_colour = syntax in _JPEG_2000 and samples * bits > 24
    beyond_pillow = deep_colour or (syntax in _EXTENDED and bits > 8)
    if is_known and not (beyond_pillow and find_spec("gdcm") is None):
        return "it is damaged or cut off; copy it again from where it came"
    return "decompress the file, or install python-gdcm, which reads it"


_EXTENDED = ("1.2.840.10008.1.2.4.51",)  # JPEG of 12 bits, of which Pillow reads 8
_JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")  # colours of 8 bits in Pillow


def _text(header: Any, keyword: str) -> str | None:
    return str(header.get(keyword, "") or "").strip() or None


def _known(header: Any) -> dict[str, str | None]:
    date = _text(header, "StudyDate") or _text(header, "AcquisitionDate")
    spelt = f"{date[:4]}-{date[4:6]}-{date[6:8]}" if date and len(date) == 8 else None
    return {
        "patient": _text(header, "PatientID"),
        "study": _text(header, "StudyInstanceUID"),
        "site": _text(header, "InstitutionName"),
        "laterality": _text(header, "ImageLaterality") or _text(header, "Laterality"),
        "view": _text(header, "ViewPosition"),
        "date": spelt,
    }


# Elements that exports write into the names of files and folders.
_SPELT = (
    "PatientID",
    "OtherPatientIDs",
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
_PEOPLE = ("PatientName", "OtherPatientNames", "PatientBirthName", "ReferringPhysicianName")


def _names(header: Any) -> tuple[str, ...]:
    """All that a file's name may spell of a person; of a name also its parts."""
    values = [value for keyword in _SPELT for value in _texts(header, keyword)]
    people = [value for keyword in _PEOPLE for value in _texts(header, keyword)]
    parts = [part for person in people for part in re.split(r"[\^= ]+", person)]
    return tuple(dict.fromkeys([*values, *people, *(part for part in parts if part)]))


def names_in(path: Path) -> tuple[str, ...]:
    """What a DICOM file's header says of a person; nothing when it has none that can be read."""
    import pydicom
    from pydicom.errors import BytesLengthException, InvalidDicomError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tags = list(dict.fromkeys([*_SPELT, *_PEOPLE, "SpecificCharacterSet"]))
            return _names(pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags))
        except (InvalidDicomError, BytesLengthException, *_DAMAGED):
            return ()


def _texts(header: Any, keyword: str) -> list[str]:
    """The element's values as text."""
    value = header.get(keyword)
    several = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    found = [str(v).strip() for v in (value if several else [value]) if v is not None]
    return [text for text in found if text]


class SeveralFramesError(Exception):
    """The pixels are ``frames`` pictures, whatever NumberOfFrames says."""

    def __init__(self, frames: int) -> None:
        super().__init__(f"{frames} frames")
        self.frames = frames


def decode(header: Any) -> Decoded:
    """Pixels at full scale (uint8 up to 8 stored bits, else uint16), and how they were made.

    Raises SeveralFramesError, and what pydicom raises when the transfer syntax has no decoder here
    or the data is cut off.
    """
    header.pixel_array_options(correct_unused_bits=False)  # pydicom ignores HighBit; see ``stored``
    raw = header.pixel_array
    if raw.ndim > (3 if int(header.get("SamplesPerPixel") or 1) > 1 else 2):
        raise SeveralFramesError(len(raw))
    bits = int(header.BitsStored)
    reading = _said(header, bits)
    photometric = str(header.PhotometricInterpretation)
    if raw.ndim == 2:
        raw, masked, shifted = stored(raw, header, bits)
        reading = replace(reading, masked=masked, shifted=shifted)
    reading = replace(reading, range=(int(raw.min()), int(raw.max())))
    if photometric == "PALETTE COLOR":
        from pydicom.pixels.processing import apply_color_lut

        raw = apply_color_lut(raw, header)
        bits = 8 * raw.itemsize
    if raw.ndim == 3:  # pydicom has turned YBR into RGB
        if bits > 16:
            raise ValueError(f"{bits} bits a colour; 16 at most are read")
        return Decoded(_full_scale(raw / (2**bits - 1), bits), reading)
    share, by = interest(*rescaled(raw, header, bits), header)
    inverted = photometric == "MONOCHROME1"
    pixels = _full_scale(1 - share if inverted else share, bits)
    return Decoded(pixels, replace(reading, interest=by, inverted=inverted))


def _said(header: Any, bits: int) -> Reading:
    """The header's words on the pixels; a word that DICOM does not have is unknown."""
    burned_in = str(header.get("BurnedInAnnotation") or "")
    intent = str(header.get("PresentationIntentType") or "")
    return Reading(
        bits,
        intent=intent if intent in INTENTS else "unknown",
        burned_in_annotation=burned_in if burned_in in ("YES", "NO") else "unknown",
    )


def _full_scale(share: np.ndarray, bits: int) -> np.ndarray:
    """Shares of white in [0, 1] as uint8 up to 8 stored bits, else as uint16."""
    kind = np.uint8 if bits <= 8 else np.uint16
    return np.rint(np.clip(share, 0, 1) * np.iinfo(kind).max).astype(kind)
