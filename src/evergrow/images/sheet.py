"""Sheets of pictures for the report: reconstructions, and where a class was seen."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from evergrow.disk import write_file

GAP = 2  # pixels between pictures
LEAST = 56  # pixels a picture is shown large at least


def reconstruction_sheet(path: Path, pixels: Tensor, seen: Tensor, made: Tensor) -> None:
    """Three rows [N, C, H, W]: as it is, what the model saw of it, what it made of that."""
    _write(path, [[_grey_or_colour(p) for p in row] for row in (pixels, seen, made)])


def cam_sheet(path: Path, pixels: Tensor, heat: Tensor, num_right: int, columns: int) -> None:
    """Two rows of pictures under their class maps: told right, then told wrong."""
    tinted = [_tinted(p, h) for p, h in zip(pixels, heat, strict=True)]
    rows = [tinted[:num_right], tinted[num_right:]]
    _write(path, [row[:columns] for row in rows if row])


def _grey_or_colour(pixels_CHW: Tensor) -> np.ndarray:
    """[H, W, 3] uint8."""
    values = np.rint(pixels_CHW.clamp(0, 1).numpy() * 255).astype(np.uint8)
    return (
        np.repeat(values, 3, axis=0).transpose(1, 2, 0)
        if len(values) == 1
        else values.transpose(1, 2, 0)
    )


def _tinted(pixels_CHW: Tensor, heat_HW: Tensor) -> np.ndarray:
    """The picture with orange where the map is high."""
    base = _grey_or_colour(pixels_CHW).astype(np.float32)
    share = 0.6 * heat_HW.numpy()[..., None]
    mixed = (1 - share) * base + share * np.array([255, 120, 0], np.float32)
    return np.rint(mixed).astype(np.uint8)


def _write(path: Path, rows: list[list[np.ndarray]]) -> None:
    side = rows[0][0].shape[0]
    scale = max(1, -(-LEAST // side))
    step = side * scale + GAP
    width = max(len(row) for row in rows) * step - GAP
    sheet = np.full((len(rows) * step - GAP, width, 3), 128, np.uint8)
    for r, row in enumerate(rows):
        for c, pixels in enumerate(row):
            large = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
            sheet[r * step : r * step + side * scale, c * step : c * step + side * scale] = large
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "PNG", optimize=False)
    write_file(path, file.getvalue())
