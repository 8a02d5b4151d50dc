"""Archives of NumPy arrays to pictures, as MedMNIST and numpy.savez write them, read in parts."""

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from evergrow.errors import InputError
from evergrow.images.bitmap import at_full_scale
from evergrow.images.config import ImageSourceConfig
from evergrow.images.findings import from_columns
from evergrow.images.picture import SPLITS, Picture, Reading, Shows
from evergrow.images.unreadable import Unreadable

_DAMAGED = (EOFError, KeyError, OSError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)
_PART = 16 << 20  # bytes of pictures that are held at once


def read_npz(
    path: Path, name: str, source: str, config: ImageSourceConfig
) -> Iterator[Picture | Unreadable]:
    """Arrays ``<split>_images`` [N, H, W(, 1 or 3)] and ``<split>_labels`` [N(, 1)].

    Also ``images`` and ``labels`` without a split. Pickled arrays are never read. Raises InputError
    for arrays of another form, and for a damaged archive: nobody can say how many pictures it held.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
            for split, prefix in _parts(names, path).items():
                yield from _rows(archive, prefix, split or None, (path, name, source), config)
    except (FileNotFoundError, PermissionError):
        raise
    except _DAMAGED as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"{path}: not a whole .npz ({reason}); write it again with numpy.savez, or leave it "
            "out of images"
        ) from error


def _parts(names: list[str], path: Path) -> dict[str, str]:
    """The prefix of the arrays of each split."""
    parts = {s: f"{s}_" for s in SPLITS if f"{s}_images" in names}
    if not parts and "images" in names:
        return {"": ""}
    if not parts:
        raise InputError(
            f"{path}: no array is called images or <split>_images; "
            f"it has {', '.join(names) or 'no array at all'}; write them with numpy.savez"
        )
    return parts


class _Array:
    """An array of an archive: its form, and its rows without holding all of them."""

    def __init__(self, file: Any, where: str) -> None:
        self._file = file
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        if version not in read:
            raise ValueError(f"an array of format {version}")
        self.shape, self._is_turned, self.dtype = read[version](file)
        if self.dtype.hasobject:
            raise InputError(f"{where} is pickled, which is never read; write plain uint8 arrays")

    def rows(self) -> Iterator[np.ndarray]:
        """Some rows at a time; arrays that lie in Fortran's order are held whole."""
        row = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        step = self.shape[0] if self._is_turned else max(1, _PART // max(row, 1))
        for first in range(0, self.shape[0], max(step, 1)):
            count = min(step, self.shape[0] - first)
            values = np.frombuffer(self._exactly(count * row), self.dtype)
            form = (count, *self.shape[1:])
            yield values.reshape(form, order="F" if self._is_turned else "C")

    def _exactly(self, size: int) -> bytes:
        found = self._file.read(size)
        if len(found) < size:
            raise EOFError(f"{len(found):,} bytes where {size:,} belong")
        return found


def _rows(
    archive: zipfile.ZipFile,
    prefix: str,
    split: str | None,
    origin: tuple[Path, str, str],
    config: ImageSourceConfig,
) -> Iterator[Picture | Unreadable]:
    path, name, source = origin
    given = _read_labels(archive, prefix, path)
    with archive.open(f"{prefix}images.npy") as file:
        where = f"{path}: {prefix}images"
        images = _Array(file, where)
        _refuse_form(images.shape, images.dtype, where)
        labels: Sequence[Shows] | None = None
        if given is not None:
            labels = _labels(given, images.shape[0], config.findings, f"{path}: {prefix}labels")
        row = 0
        for some in images.rows():
            for pixels in some:
                key, shows = f"{name}#{prefix}{row}", labels[row] if labels else Shows()
                row += 1
                grey = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
                found = at_full_scale(grey, Reading(8 * grey.itemsize), config.white)
                if isinstance(found, Unreadable):
                    yield found._replace(path=name, row=row - 1)
                else:
                    picture = Picture(found.pixels, source, name, key, reading=found.reading)
                    yield replace(picture, split=split, **shows._asdict())


def _read_labels(archive: zipfile.ZipFile, prefix: str, path: Path) -> np.ndarray | None:
    if f"{prefix}labels.npy" not in archive.namelist():
        return None
    with archive.open(f"{prefix}labels.npy") as file:
        array = _Array(file, f"{path}: {prefix}labels")
        parts = list(array.rows())
        return np.concatenate(parts) if parts else np.empty(array.shape, array.dtype)


def _refuse_form(shape: tuple[int, ...], dtype: np.dtype, where: str) -> None:
    """Raise InputError unless the array is [N, H, W], [N, H, W, 1] or [N, H, W, 3] of 8 or 16 bits.

    Channels first are another form.
    """
    if len(shape) != 3 and not (len(shape) == 4 and shape[3] in (1, 3)):
        raise InputError(
            f"{where} is {list(shape)}; expected [N, H, W], [N, H, W, 1] or [N, H, W, 3], "
            "the channels last and without transparency; write it so"
        )
    if dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"{where} is {dtype}; expected uint8 (255 is white) or uint16 (65,535 is "
            "white); write it so"
        )
    if shape[0] and 0 in shape:
        raise InputError(
            f"{where} is {list(shape)}; pictures have a pixel at least; write them again"
        )


def _labels(
    labels: np.ndarray, num_images: int, findings: list[str] | None, where: str
) -> list[Shows]:
    """One label a picture as text, or its findings; raises InputError for what is neither."""
    if findings is not None:
        return [Shows(None, found) for found in from_columns(labels, num_images, findings, where)]
    if labels.size != num_images:
        raise InputError(
            f"{where} is {list(labels.shape)} for {num_images} images; expected one label for each "
            "([N] or [N, 1]); of several name them in findings, of rows of zeros and a one write "
            "its number"
        )
    if labels.dtype.kind not in "biuSU":
        raise InputError(f"{where} is {labels.dtype}; expected whole numbers or text; write it so")
    try:
        values = labels.ravel().tolist()
        return [Shows(x.decode() if isinstance(x, bytes) else str(x)) for x in values]
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: no UTF-8 text ({error}); write it as text") from error
