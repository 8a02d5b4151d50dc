"""DICOM's steps from stored greys to shares of white, PS3.3 C.11.1 and C.11.2.

An element that a header holds without a value is as good as absent.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

RLE = "1.2.840.10008.1.2.5"  # packs the numbers as they are


def filled(header: Any, keyword: str) -> Any:
    """The element's value, the first of several; None where it is absent or empty."""
    value = header.get(keyword)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        value = value[0] if len(value) else None
    return None if value == "" else value


class Stored(NamedTuple):
    """Stored numbers, and whether bits beside them were cut off or shifted out."""

    numbers: np.ndarray
    masked: bool = False
    shifted: bool = False


def stored(raw: np.ndarray, header: Any, bits: int) -> Stored:
    """The ``bits`` up to HighBit of each number.

    Above them older files keep overlays (PS3.5 8.1.1 of 2004), which would be white. Raises
    ValueError for a HighBit where there are no such bits, and for one of compressed pixels, which
    have no place beside them.
    """
    said, width = filled(header, "HighBit"), 8 * raw.itemsize
    high = bits - 1 if said is None else int(said)
    below = high + 1 - bits
    syntax = header.file_meta.TransferSyntaxUID
    if below and syntax.is_compressed and syntax != RLE:
        raise ValueError(f"HighBit {high} of {bits} bits in compressed pixels")
    if below < 0 or high >= width:
        if below == 0:  # the decoder gave fewer bits than the header announces
            return Stored(raw)
        raise ValueError(f"HighBit {high} of {bits} bits in {width}")
    cut = np.right_shift(np.left_shift(raw, width - 1 - high), width - bits)
    beyond = np.right_shift(raw, high) >> 1  # of a number with a sign also all ones
    is_masked = bool((beyond > 0).any() or (beyond < -1).any())
    return Stored(cut, is_masked, below > 0)


def rescaled(raw: np.ndarray, header: Any, bits: int) -> tuple[np.ndarray, float, float]:
    """Values after the modality table or the rescaling, and what the least and the largest can be.

    Slope and intercept count only together (PS3.3 C.11.1.1.2). Raises ValueError for a slope of 0.
    """
    table = filled(header, "ModalityLUTSequence")
    if table is not None:
        return looked_up(raw, table, header), 0.0, _white(table)
    signed = int(header.PixelRepresentation) == 1
    ends = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    slope, intercept = filled(header, "RescaleSlope"), filled(header, "RescaleIntercept")
    if slope is None or intercept is None:
        return raw.astype(np.float64), float(ends[0]), float(ends[1])
    if float(slope) == 0:
        raise ValueError("RescaleSlope is 0")
    low, high = sorted(float(slope) * end + float(intercept) for end in ends)
    return raw * float(slope) + float(intercept), low, high


def interest(values: np.ndarray, low: float, high: float, header: Any) -> tuple[np.ndarray, str]:
    """Shares of white in [0, 1], and by what: the first table, else the first window, else all.

    ``low`` and ``high`` are the least and the largest that values can be.
    """
    table = filled(header, "VOILUTSequence")
    if table is not None:
        return looked_up(values, table, header) / _white(table), "table"
    centre, width = filled(header, "WindowCenter"), filled(header, "WindowWidth")
    if centre is not None and width is not None:
        function = str(filled(header, "VOILUTFunction") or "LINEAR").upper()
        return windowed(values, float(centre), float(width), function), "window"
    return (values - low) / (high - low), "none"


def windowed(values: np.ndarray, centre: float, width: float, function: str) -> np.ndarray:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3 with outputs from 0 to 1; a larger value is never darker.

    Raises ValueError for another function and for a width that it does not allow.
    """
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise ValueError(f"VOILUTFunction {function!r} is none of DICOM's")
    if width < 1 if function == "LINEAR" else width <= 0:
        raise ValueError(f"WindowWidth {width:g} is too small for {function}")
    if function == "SIGMOID":
        return expit(4 * (values - centre) / width)
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1
    if width == 0:
        return (values > centre).astype(np.float64)
    return np.clip((values - centre) / width + 0.5, 0, 1)


def _white(table: Any) -> float:
    return float(2 ** int(table.LUTDescriptor[2]) - 1)


def looked_up(values: np.ndarray, table: Any, header: Any) -> np.ndarray:
    """Values through a table of C.11.1.1: below its first and above its last value its ends hold.

    Raises ValueError for a table with fewer entries than it announces.
    """
    count, first = int(table.LUTDescriptor[0]) or 2**16, int(table.LUTDescriptor[1])
    data = table.LUTData
    if isinstance(data, bytes):  # words, or bytes where there are half as many
        wide = "<u2" if header.file_meta.TransferSyntaxUID.is_little_endian else ">u2"
        narrow = len(data) - len(data) % 2 < 2 * count
        data = np.frombuffer(data, "u1" if narrow else wide)
    entries = np.atleast_1d(np.asarray(data, np.float64))[:count]
    if len(entries) < count:
        raise ValueError(f"a table of {count} entries that has {len(entries)}")
    places = np.clip(np.rint(values).astype(np.int64) - first, 0, count - 1)
    return entries[places]
