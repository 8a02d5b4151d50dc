"""Random changes of training pictures, each a pure function of its key.

N pictures, C channels, H x W pixels in [0, 1].
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from evergrow.images.config import AugmentConfig


def augment(pictures_NCHW: Tensor, keys: Sequence[int], config: AugmentConfig) -> Tensor:
    """Every picture cropped, mirrored, rotated, blurred and blanked by draws from its key."""
    moves = config.crop < 1 or config.flip or config.rotate > 0
    if not moves and config.blur == 0 and config.blank == 0:
        return pictures_NCHW  # generators take longer to make than pictures to read
    draws = [np.random.Generator(np.random.Philox(key=key)) for key in keys]
    changed = pictures_NCHW
    if moves:
        changed = _moved(changed, draws, config)
    if config.blur > 0:
        deviations = [float(draw.uniform(0, config.blur)) for draw in draws]
        changed = torch.stack([blurred(p, d) for p, d in zip(changed, deviations, strict=True)])
    if config.blank > 0:
        changed = _blanked(changed, draws, config)
    return changed


def _moved(
    pictures_NCHW: Tensor, draws: Sequence[np.random.Generator], config: AugmentConfig
) -> Tensor:
    """Crop, mirror and rotation in one bilinear resampling; outside the edge goes on."""
    matrices = torch.from_numpy(np.stack([_placement(draw, config) for draw in draws])).float()
    grid = functional.affine_grid(matrices, list(pictures_NCHW.shape), align_corners=False)
    return functional.grid_sample(pictures_NCHW, grid, padding_mode="border", align_corners=False)


def _placement(draw: np.random.Generator, config: AugmentConfig) -> np.ndarray:
    """[2, 3]: where in the picture, in [-1, 1], the corners of the new one lie."""
    side = math.sqrt(float(draw.uniform(config.crop, 1)))
    centre = draw.uniform(-(1 - side), 1 - side, 2) if side < 1 else np.zeros(2)
    mirror = -1.0 if config.flip and draw.random() < 0.5 else 1.0
    angle = math.radians(float(draw.uniform(-config.rotate, config.rotate)))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.concatenate([side * turn @ np.diag([mirror, 1.0]), centre[:, None]], axis=1)


def blurred(picture_CHW: Tensor, deviation: float) -> Tensor:
    """A Gaussian blur of ``deviation`` pixels, edges repeated."""
    radius = max(1, math.ceil(3 * deviation))
    if deviation < 0.05:
        return picture_CHW
    places = torch.arange(-radius, radius + 1, dtype=picture_CHW.dtype)
    weights = torch.exp(-(places**2) / (2 * deviation**2))
    weights = (weights / weights.sum()).repeat(len(picture_CHW), 1)
    padded = functional.pad(picture_CHW[None], (radius,) * 4, mode="replicate")
    rows = functional.conv2d(padded, weights[:, None, None, :], groups=len(picture_CHW))
    return functional.conv2d(rows, weights[:, None, :, None], groups=len(picture_CHW))[0]


def _blanked(
    pictures_NCHW: Tensor, draws: Sequence[np.random.Generator], config: AugmentConfig
) -> Tensor:
    """Single pixels set to black in a share of the pictures."""
    size = tuple(pictures_NCHW.shape[-2:])
    kept = np.ones((len(draws), 1, *size), np.float32)
    for keep, draw in zip(kept, draws, strict=True):
        if draw.random() < config.blank_pictures:
            keep[0] = draw.random(size) >= config.blank
    return pictures_NCHW * torch.from_numpy(kept)


def cutmix(
    pictures_NCHW: Tensor, targets_NK: Tensor, key: int, share: float
) -> tuple[Tensor, Tensor]:
    """A box of each picture replaced by that of another, targets mixed by the exact area.

    Yun et al. 2019 (arXiv 1905.04899): the box has area 1 - lambda, lambda ~ Beta(1, 1), before it
    is cut at the border; the target's lambda is what was really left. ``share`` of the batches.
    """
    draw = np.random.Generator(np.random.Philox(key=key))
    if draw.random() >= share:
        return pictures_NCHW, targets_NK
    height, width = pictures_NCHW.shape[-2:]
    side = math.sqrt(1 - float(draw.beta(1, 1)))
    y, x = int(draw.integers(height)), int(draw.integers(width))
    half_y, half_x = round(height * side) // 2, round(width * side) // 2
    top, bottom = max(0, y - half_y), min(height, y + half_y)
    left, right = max(0, x - half_x), min(width, x + half_x)
    order = torch.from_numpy(draw.permutation(len(pictures_NCHW)))
    mixed = pictures_NCHW.clone()
    mixed[:, :, top:bottom, left:right] = pictures_NCHW[order, :, top:bottom, left:right]
    kept = 1 - (bottom - top) * (right - left) / (height * width)
    return mixed, kept * targets_NK + (1 - kept) * targets_NK[order]
