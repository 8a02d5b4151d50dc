"""Masked autoencoding of pictures (He et al. 2022): draw hidden patches from those in sight."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from evergrow.errors import InputError
from evergrow.evals.pictures import mean_patch_errors, reconstruct, reconstruction_errors
from evergrow.evals.probes import in_parts
from evergrow.images.picture import Part
from evergrow.images.sheet import reconstruction_sheet
from evergrow.lineage import Measured
from evergrow.models.kind import kind_of_architecture
from evergrow.models.load_vision import vision_from_config
from evergrow.models.pixels import model_input
from evergrow.models.vision import PictureForm
from evergrow.objectives.config import MaskedPatchesConfig
from evergrow.objectives.lines import Shown
from evergrow.objectives.objective import Given, Objective, Say
from evergrow.objectives.picture import SHOWN, PictureBatch, Pictures, mask_noise
from evergrow.stream.plan import Sample
from evergrow.train.objective import Loss

UNIT = "squared error"


def masked_patches(given: Given) -> Objective:
    """Pictures, most of whose patches are hidden and drawn."""
    pictures, drawn = Pictures(given), _Drawn(given)
    if given.start.patch is not None:
        refuse_masking(given.config, pictures.form, given.start.patch)

    def batch(samples: Sequence[Sample], numbers: range) -> PictureBatch:
        return pictures.batch(samples, numbers, None)

    return Objective(
        unit=UNIT,
        counted="pictures",
        num_items=lambda name: len(given.stocks[name]),
        first_model=lambda say: _first_model(given, pictures.form, say),
        refuse=_refuse,
        batch=batch,
        loss=patches_loss,
        measure=drawn.measure,
        show=drawn.show,
        probe=pictures.probe,
        save=pictures.save,
    )


def patches_loss(model: nn.Module, batch: PictureBatch, device: torch.device) -> Loss:
    """The mean squared error of masked patches, targets normalised, summed over pictures."""
    noise = mask_noise(batch.keys_N, num_patches(model)).to(device)
    pixels = model_input(model, batch.pixels_NCHW.to(device))
    error = model(pixels, noise=noise).loss * len(pixels)
    return Loss(error, {"squared_error": error})


def _first_model(given: Given, form: PictureForm, say: Say) -> PreTrainedModel:
    model = vision_from_config(given.start, form, None, given.seed, say)
    plain: Any = model.config
    refuse_masking(given.config, form, plain.patch_size)
    set_masking(model, given.config.fraction, given.config.normalised)
    return model


def _refuse(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    architecture = next(iter(config.get("architectures") or []), "")
    if kind_of_architecture(architecture) != "patches":
        raise InputError(
            f"{folder}: a {architecture} draws no patches; train a masked autoencoder in a run of "
            "its own"
        )


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


def set_masking(model: nn.Module, fraction: float, normalised: bool) -> None:
    """Let a masked autoencoder hide ``fraction`` of the patches and draw normalised pixels."""
    plain: Any = model
    for config in (plain.config, plain.vit.config, plain.vit.embeddings.config):
        config.mask_ratio, config.norm_pix_loss = fraction, normalised


@final
class _Drawn:
    """What a masked autoencoder draws of held-out pictures, beside the best constant."""

    def __init__(self, given: Given) -> None:
        self._pictures, self._given = Pictures(given), given
        self._floors: dict[tuple[str, Part], np.ndarray] = {}

    def measure(self, model: nn.Module, names: Collection[str], partial: bool) -> list[Measured]:
        """The error and its ``floor``, that of the best constant."""
        return [self._measured(model, name, partial) for name in names]

    def _measured(self, model: nn.Module, name: str, partial: bool) -> Measured:
        held = self._pictures.measured(name, self._first_ones if partial else None)
        parts = held.parts(num_patches(model))
        errors = np.concatenate([reconstruction_errors(model, *part) for part in parts])
        floor = float(self._floor(model, name, held.part)[: len(errors)].mean())
        return held.measured(name, UNIT, errors).model_copy(update={"floor": floor})

    def _first_ones(self, keys: Sequence[str]) -> list[int]:
        """As they lie; docs/log.md has numbers of that."""
        return list(range(len(keys)))[: self._given.part]

    def _floor(self, model: nn.Module, name: str, measured: Part) -> np.ndarray:
        """The error of every picture of a part under the best constant, computed once."""
        if (name, measured) not in self._floors:
            config: Any = model.config
            source, held = self._given.stocks[name], self._pictures.held_out(name, measured)
            part: Part = "train" if len(source) else "held_out"
            train = in_parts(source, part, range(len(source.pixels[part])))
            read = (model_input(model, pixels) for pixels in train)
            parts = held.parts(num_patches(model))
            own = ((model_input(model, pixels), noise) for pixels, noise in parts)
            shape = (config.patch_size, config.mask_ratio, config.norm_pix_loss)
            self._floors[name, measured] = mean_patch_errors(read, own, *shape)
        return self._floors[name, measured]

    def show(self, model: nn.Module, names: Collection[str], folder: Path) -> list[Shown]:
        """Pictures with their patches hidden, and as the model completes them."""
        if not self._given.sample_tokens:
            return []
        shown = []
        for name in names:
            held = self._pictures.shown(name)
            pixels = held.pixels(range(len(held.items))[:SHOWN])
            noise = mask_noise(held.keys[:SHOWN], num_patches(model))
            picture = f"{name}.png"
            reconstruction_sheet(folder / picture, pixels, *reconstruct(model, pixels, noise))
            shown.append(Shown(source=name, picture=picture))
        return shown
