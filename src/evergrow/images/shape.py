"""Pixels brought to one size, depth and number of channels."""

import numpy as np
from PIL import Image

from evergrow.images.picture import Picture


def white(pixels: np.ndarray) -> int:
    """The value of white: 255 or 65,535."""
    return int(np.iinfo(pixels.dtype).max)


def to_square(pixels: np.ndarray, size: int) -> np.ndarray:
    """The centre square, resampled to ``size`` pixels a side (bilinear, antialiased)."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[top : top + side, left : left + side]
    if side == size:
        return square
    planes = square.reshape(side, side, -1).astype(np.float32)
    resized = [
        np.asarray(Image.fromarray(planes[..., c]).resize((size, size), Image.Resampling.BILINEAR))
        for c in range(planes.shape[-1])
    ]
    values = np.stack(resized, axis=-1).reshape(size, size, *pixels.shape[2:])
    return np.rint(np.clip(values, 0, white(pixels))).astype(pixels.dtype)


def to_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """[C, H, W]: grey repeated for three channels, colour weighed for one (ITU-R BT.601)."""
    if pixels.ndim == 2:
        return np.repeat(pixels[None], channels, axis=0)
    if channels == 3:
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))
    grey = pixels.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    return np.rint(grey).astype(pixels.dtype)[None]


def reshaped(picture: Picture, size: int | None, channels: int) -> Picture:
    """The picture as [C, H, W]."""
    pixels = picture.pixels if size is None else to_square(picture.pixels, size)
    return picture.with_pixels(to_channels(pixels, channels))
