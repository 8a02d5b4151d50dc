"""Archives of NumPy arrays to pictures, as MedMNIST and numpy.savez write them."""

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from evergrow.errors import InputError
from evergrow.images.config import ImageSourceConfig
from evergrow.images.picture import Picture
from evergrow.images.unreadable import Unreadable

SPLITS = ("train", "val", "validation", "test")
_DAMAGED = (EOFError, KeyError, OSError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)


def read_npz(
    path: Path, name: str, source: str, config: ImageSourceConfig
) -> Iterator[Picture | Unreadable]:
    """Arrays ``<split>_images`` [N, H, W(, 1 or 3)] and ``<split>_labels`` [N(, 1)].

    Also ``images`` and ``labels`` without a split. Pickled arrays are never read. Raises InputError
    for arrays of another form.
    """
    arrays = _arrays(path, name)
    if isinstance(arrays, Unreadable):
        yield arrays
        return
    parts = {s: f"{s}_" for s in SPLITS if f"{s}_images" in arrays}
    if not parts and "images" in arrays:
        parts = {"": ""}
    if not parts:
        raise InputError(
            f"{path}: no array is called images or <split>_images; "
            f"it has {', '.join(arrays) or 'no array at all'}; write them with numpy.savez"
        )
    for split, prefix in parts.items():
        yield from _rows(arrays, prefix, split or None, path, name, source)


def _arrays(path: Path, name: str) -> dict[str, np.ndarray] | Unreadable:
    way_out = "write plain uint8 arrays with numpy.savez"
    try:
        data = np.load(path, allow_pickle=False)
        if isinstance(data, np.ndarray):
            return Unreadable(name, 0, "a single array, a .npy that is called .npz", way_out)
        with data:
            found = {key: data[key] for key in data.files}
    except (FileNotFoundError, PermissionError):
        raise
    except _DAMAGED as error:
        reason = "pickled arrays" if "pickle" in str(error).lower() else "a damaged .npz"
        return Unreadable(name, 0, reason, way_out)
    return {key: array for key, array in found.items() if isinstance(array, np.ndarray)}


def _rows(
    arrays: Mapping[str, np.ndarray],
    prefix: str,
    split: str | None,
    path: Path,
    name: str,
    source: str,
) -> Iterator[Picture]:
    images = _images(arrays[f"{prefix}images"], f"{path}: {prefix}images")
    labels = [None] * len(images)
    if (given := arrays.get(f"{prefix}labels")) is not None:
        labels = _labels(given, len(images), f"{path}: {prefix}labels")
    for row, (pixels, label) in enumerate(zip(images, labels, strict=True)):
        key = f"{name}#{prefix}{row}"
        reading = {"bits": 8 * pixels.itemsize}
        yield Picture(pixels, source, name, key, label=label, split=split, reading=reading)


def _images(images: np.ndarray, where: str) -> np.ndarray:
    """[N, H, W] or [N, H, W, 3]; raises InputError for other forms, channels first among them."""
    grey = images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 1)
    if not grey and not (images.ndim == 4 and images.shape[3] == 3):
        raise InputError(
            f"{where} is {list(images.shape)}; expected [N, H, W], [N, H, W, 1] or [N, H, W, 3], "
            "the channels last and without transparency; write it so"
        )
    if images.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"{where} is {images.dtype}; expected uint8 (255 is white) or uint16 (65,535 is "
            "white); write it so"
        )
    if len(images) and 0 in images.shape:
        raise InputError(
            f"{where} is {list(images.shape)}; pictures have a pixel at least; write them again"
        )
    return images.reshape(images.shape[:3]) if grey else images


def _labels(labels: np.ndarray, num_images: int, where: str) -> list[str]:
    """One label a picture as text; raises InputError for several, and for what is none."""
    if labels.size != num_images:
        raise InputError(
            f"{where} is {list(labels.shape)} for {num_images} images; expected one label for each "
            "([N] or [N, 1]); of several, or of rows of zeros and a one, write the number of one"
        )
    if labels.dtype.kind not in "biuSU":
        raise InputError(f"{where} is {labels.dtype}; expected whole numbers or text; write it so")
    try:
        return [x.decode() if isinstance(x, bytes) else str(x) for x in labels.ravel().tolist()]
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: no UTF-8 text ({error}); write it as text") from error
