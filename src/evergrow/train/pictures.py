"""Objectives on pictures: masked autoencoding and classification.

N pictures, L patches, K classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from evergrow.errors import InputError
from evergrow.models.pixels import model_input
from evergrow.models.vision import PictureForm
from evergrow.train.config import MaskedPatchesConfig
from evergrow.train.objectives import Loss


@dataclass(frozen=True)
class PictureBatch:
    """pixels_NCHW float32; targets_NK (rows sum to 1) when classified; keys_N draw the masks."""

    pixels_NCHW: Tensor
    targets_NK: Tensor | None
    keys_N: Sequence[int]


def mask_noise(keys_N: Sequence[int], num_patches: int) -> Tensor:
    """[N, L] uniform numbers, a pure function of the keys; the smallest are kept in sight."""
    draws = [np.random.Generator(np.random.Philox(key=key)).random(num_patches) for key in keys_N]
    return torch.from_numpy(np.stack(draws)).float()


def num_patches(model: nn.Module) -> int:
    """The patches of a picture of a vision transformer."""
    config: Any = model.config
    return (config.image_size // config.patch_size) ** 2


def refuse_masking(config: MaskedPatchesConfig, form: PictureForm, patch: int) -> None:
    """Raise InputError unless a picture has patches in sight and hidden, of pixels that vary."""
    total = (form.size // patch) ** 2
    seen = int(total * (1 - config.fraction))
    if not 0 < seen < total:
        raise InputError(
            f"train.objective.fraction: {config.fraction:g} of {total} patches leaves {seen} in "
            "sight, and at least one must be in sight and one hidden; change it or model.patch"
        )
    if config.normalised and patch * patch * form.channels < 2:
        raise InputError(
            f"train.objective.normalised: a patch of {patch} pixel has no deviation to be divided "
            "by; set normalised: false, or a larger model.patch"
        )


class MaskedPatches:
    """Reconstruction of masked patches (He et al. 2022): mean squared error, targets normalised."""

    def weight(self, batch: PictureBatch) -> float:
        """The number of pictures: each has equally many masked patches."""
        return float(len(batch.pixels_NCHW))

    def split(self, batch: PictureBatch, size: int) -> list[PictureBatch]:
        """Micro-batches of ``size`` pictures."""
        return _split(batch, size)

    def loss(self, model: nn.Module, batch: PictureBatch, device: torch.device) -> Loss:
        """The mean squared error of masked patches, summed over pictures."""
        noise = mask_noise(batch.keys_N, num_patches(model)).to(device)
        pixels = model_input(model, batch.pixels_NCHW.to(device))
        error = model(pixels, noise=noise).loss * len(pixels)
        return Loss(error, error, torch.zeros((), device=device))


class Classification:
    """Cross-entropy of soft targets, each class weighted; sums over pictures.

    A batch counts by its pictures, not by their summed weights: those would take back what a rare
    class is given (at 1 to 10 in batches of 8 it has .35 of the loss, not half).
    """

    def __init__(self, class_weights_K: Tensor | None = None) -> None:
        self._weights = class_weights_K

    def weight(self, batch: PictureBatch) -> float:
        """The number of pictures: over the data, class weights average 1."""
        return float(len(batch.pixels_NCHW))

    def split(self, batch: PictureBatch, size: int) -> list[PictureBatch]:
        """Micro-batches of ``size`` pictures."""
        return _split(batch, size)

    def loss(self, model: nn.Module, batch: PictureBatch, device: torch.device) -> Loss:
        """-sum_n sum_k w_k t_nk log p_nk."""
        assert batch.targets_NK is not None
        targets = batch.targets_NK.to(device)
        if self._weights is not None:
            targets = targets * self._weights.to(device)
        logits = model(model_input(model, batch.pixels_NCHW.to(device))).logits.float()
        error = -(targets * functional.log_softmax(logits, dim=-1)).sum()
        return Loss(error, error, torch.zeros((), device=device))


def _split(batch: PictureBatch, size: int) -> list[PictureBatch]:
    return [
        PictureBatch(
            batch.pixels_NCHW[i : i + size],
            None if batch.targets_NK is None else batch.targets_NK[i : i + size],
            batch.keys_N[i : i + size],
        )
        for i in range(0, len(batch.pixels_NCHW), size)
    ]


def balanced_weights(counts: Mapping[str, int], labels: Sequence[str]) -> Tensor:
    """n / (K n_c) for each label, so that every class weighs the same (scikit-learn).

    Raises InputError for a label without a picture.
    """
    if empty := [label for label in labels if not counts.get(label)]:
        raise InputError(
            f"train.objective.weights: balanced needs a training picture of every label, "
            f"{empty[0]!r} has none; set weights: none, or order: balanced"
        )
    total = sum(counts[label] for label in labels)
    return torch.tensor([total / (len(labels) * counts[label]) for label in labels])
