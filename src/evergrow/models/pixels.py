"""How a vision model's pictures are made from pixels between 0 and 1."""

import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from evergrow.errors import InputError

WHITES = (255, 65_535)  # of 8 and of 16 bits
Scale = tuple[list[float] | None, list[float] | None]  # mean and deviation, one a channel


def scale_in(folder: Path) -> Scale:
    """What preprocessor_config.json says of the pixels; raises InputError for what is not done."""
    path = folder / "preprocessor_config.json"
    if not path.exists():
        return None, None
    said = json.loads(path.read_text(encoding="utf-8"))
    factor = said.get("rescale_factor", 1 / 255) if said.get("do_rescale", True) else 1.0
    if all(abs(factor * white - 1) > 1e-6 for white in WHITES):
        raise InputError(
            f"{path}: pixels times {factor:g}; only pictures from 0 to 1 (1/255, or 1/65535 of 16 "
            "bits) are made, so write image_mean and image_std for these"
        )
    if not said.get("do_normalize", "image_mean" in said):
        return None, None
    return said.get("image_mean"), said.get("image_std")


def set_scale(config: Any, scale: Scale, source: str) -> None:
    """Note in the model's configuration how its pixels are made; raises InputError if it cannot."""
    mean, deviation = scale
    if mean is None and deviation is None:
        return
    channels = config.num_channels
    if len(mean or []) != channels or len(deviation or []) != channels or min(deviation or []) <= 0:
        raise InputError(
            f"model.from: {source} has pixels of mean {mean} and deviation {deviation}; give "
            f"{channels} of each, one a channel, deviations above 0"
        )
    config.pixel_mean, config.pixel_deviation = list(mean or []), list(deviation or [])


def scale_of(config: Any) -> Scale:
    """How the pixels of a model's pictures are made; (None, None) where they stay in [0, 1]."""
    # Only models that were loaded with a scale have these.
    return getattr(config, "pixel_mean", None), getattr(config, "pixel_deviation", None)


def in_channels(pixels_NCHW: Tensor, channels: int) -> Tensor:
    """Grey repeated for three channels, colour weighed for one (ITU-R BT.601)."""
    if pixels_NCHW.shape[1] == channels:
        return pixels_NCHW
    if channels == 1:
        weights = pixels_NCHW.new_tensor([0.299, 0.587, 0.114])
        return (pixels_NCHW * weights[:, None, None]).sum(1, keepdim=True)
    return pixels_NCHW.expand(-1, channels, -1, -1)


def model_input(model: nn.Module, pixels_NCHW: Tensor) -> Tensor:
    """Pixels in [0, 1] as the model was trained on them: less the mean, over the deviation.

    In as many channels as the model reads: these belong to the model, as the numbers do.
    """
    config: Any = model.config
    pixels = in_channels(pixels_NCHW, config.num_channels)
    mean, deviation = scale_of(config)
    if mean is None or deviation is None:
        return pixels
    mean_C, deviation_C = (pixels.new_tensor(x)[:, None, None] for x in (mean, deviation))
    return (pixels - mean_C) / deviation_C


def shown_pixels(model: nn.Module, pixels_NCHW: Tensor) -> Tensor:
    """The inverse of ``model_input``, within [0, 1]."""
    mean, deviation = scale_of(model.config)
    if mean is None or deviation is None:
        return pixels_NCHW.clamp(0, 1)
    mean_C, deviation_C = (pixels_NCHW.new_tensor(x)[:, None, None] for x in (mean, deviation))
    return (pixels_NCHW * deviation_C + mean_C).clamp(0, 1)
