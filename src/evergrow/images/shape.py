"""Pixels brought to one size, depth and number of channels."""

from collections.abc import Mapping

import numpy as np
from PIL import Image

from evergrow.errors import InputError
from evergrow.images.config import ImageSourceConfig
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


def to_depth(pixels: np.ndarray, bits: int | None) -> np.ndarray:
    """8 or 16 bits a pixel, white staying white; None: as they are."""
    if bits is None or bits == 8 * pixels.itemsize:
        return pixels
    if bits == 16:
        return pixels.astype(np.uint16) * np.uint16(257)
    return np.rint(pixels / 257).astype(np.uint8)


def reshaped(picture: Picture, config: ImageSourceConfig) -> Picture:
    """The picture as [C, H, W] of the size, the channels and the bits that are asked for."""
    pixels = picture.pixels if config.size is None else to_square(picture.pixels, config.size)
    return picture.with_pixels(to_depth(to_channels(pixels, config.channels), config.bits))


def refuse_other_depth(source: str, kind: str, others: Mapping[str, str]) -> None:
    """Raise InputError when a source's numbers are of another depth than an earlier source's.

    A release says one scale of pixels for all; with another one its pictures would be black.
    """
    bits = 8 * np.dtype(kind).itemsize
    for name, other in others.items():
        if (of_other := 8 * np.dtype(other).itemsize) != bits:
            raise InputError(
                f"sources.{source}: has {bits} bits a pixel, {name} {of_other}, and a model reads "
                f"pixels of one scale; set bits: {of_other}, or bits for both"
            )
