"""The vision model a recipe starts from: a preset, a folder, or a file of ResNet-50 weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import (
    AutoConfig,
    PreTrainedModel,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTMAEForPreTraining,
)

from evergrow.errors import InputError
from evergrow.models.config import ModelConfig
from evergrow.models.load import check_weights, find_model
from evergrow.models.pixels import scale_in, set_scale
from evergrow.models.quiet import undisturbed
from evergrow.models.resnet_keys import from_torchvision
from evergrow.models.vision import (
    TABLES,
    PictureForm,
    TransformerSizes,
    draw_vision_weights,
    fill_table,
    is_masked_autoencoder,
    resnet,
    vit,
    vit_mae,
)


def vision_from_config(
    config: ModelConfig, form: PictureForm, labels: Sequence[str] | None, seed: int
) -> PreTrainedModel:
    """The model that a recipe on pictures starts from; with ``labels`` a classifier.

    A loaded one keeps its body; a head for other labels, or a decoder it never had, is drawn from
    ``seed``. Raises InputError for a preset or folder that does not fit the objective or the
    pictures.
    """
    if config.from_ is not None:
        return load_vision(config, form, labels, seed)
    sizes = config.sizes()
    if (config.preset == "vit_mae") != (labels is None):
        kind = "masked_patches" if labels is None else "classification"
        fits = "vit_mae" if labels is None else "vit or resnet"
        raise InputError(
            f"model.preset: {config.preset} cannot be trained by {kind}; choose {fits}"
        )
    if config.preset == "resnet":
        assert labels is not None
        widths = [sizes.hidden // 2**i for i in reversed(range(sizes.layers))]
        return resnet(form, widths, [1] * sizes.layers, labels, seed)
    shape = TransformerSizes(sizes.hidden, sizes.layers, sizes.heads, config.patch or 1)
    return vit_mae(form, shape, seed) if labels is None else vit(form, shape, labels, seed)


def load_vision(
    recipe: ModelConfig, form: PictureForm, labels: Sequence[str] | None, seed: int
) -> PreTrainedModel:
    """A vision folder of transformers, or a ``.safetensors`` of torchvision's ResNet-50 weights.

    It is fed pixels as it was trained on them: a folder says how in preprocessor_config.json, of a
    file the recipe must. Raises InputError for pictures of another size, and for a transformer
    that was trained without positions.
    """
    source = str(recipe.from_)
    if source.endswith(".safetensors"):
        model = resnet(form, [256, 512, 1024, 2048], [3, 4, 6, 3], labels or ["0", "1"], seed)
        _take_torchvision(model, Path(source))
        scale = (recipe.pixel_mean, recipe.pixel_deviation)
    else:
        folder = find_model(source)
        check_weights(folder)
        model = _take_folder(_empty_like(folder, labels, seed), folder)
        scale = scale_in(folder)
    config: Any = model.config
    wanted = (getattr(config, "image_size", form.size), config.num_channels)
    if wanted != (form.size, form.channels):
        raise InputError(
            f"model.from: {source} reads pictures of {wanted[0]} pixels and {wanted[1]} channels, "
            f"the sources have {form.size} and {form.channels}; set their size and channels"
        )
    config.image_size = form.size
    set_scale(config, scale, source)
    _mend_position_tables(model, source)
    return model.eval()


def _empty_like(folder: Path, labels: Sequence[str] | None, seed: int) -> PreTrainedModel:
    """The body that ``folder`` describes under the head that the objective needs."""
    with undisturbed():
        config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
        kind = config.model_type
        if labels is not None:
            config.id2label = dict(enumerate(labels))
            config.label2id = {label: i for i, label in enumerate(labels)}
        if labels is None and kind == "vit_mae":
            model = ViTMAEForPreTraining(config)
        elif labels is not None and kind in ("vit", "vit_mae"):
            kept = {k: v for k, v in config.to_dict().items() if k in ViTConfig().to_dict()}
            model = ViTForImageClassification(ViTConfig(**{**kept, "model_type": "vit"}))
        elif labels is not None and kind == "resnet":
            model = ResNetForImageClassification(config)
        else:
            objective = "masked_patches" if labels is None else "classification"
            raise InputError(
                f"model.from: {folder} is a {kind}, which {objective} cannot train; give a "
                f"{'ViT-MAE' if labels is None else 'ViT, ViT-MAE or ResNet'} folder"
            )
    draw_vision_weights(model, seed)
    return model


HEADS = ("classifier.", "decoder.", "pooler.", "vit.pooler.")  # what may be new, or left behind


def _take_folder(drawn: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """The folder's weights in ``drawn``'s architecture; heads that it lacks stay as drawn.

    Raises InputError when the body lacks weights or the folder has others.
    """
    kind: Any = type(drawn)
    with undisturbed():
        model, found = kind.from_pretrained(
            folder,
            config=drawn.config,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    new = {*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])}
    strange = sorted(n for n in found["unexpected_keys"] if not n.startswith(HEADS))
    missing = sorted(n for n in new if not n.startswith(HEADS))
    if strange or missing:
        what = "has no place in the model" if strange else "is missing or of another size"
        raise InputError(
            f"{folder}: {(strange or missing)[0]} {what}; weights and config.json must belong "
            "together"
        )
    own, start = model.state_dict(), drawn.state_dict()
    for name in new:
        own[name].copy_(start[name])
    return model


def _take_torchvision(model: PreTrainedModel, path: Path) -> None:
    """torchvision's weights but the head, which stays as drawn when its labels are others."""
    try:
        weights = from_torchvision(load_file(path))
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: no whole safetensors file ({error}); save it again") from error
    own = model.state_dict()
    fits = {n: t for n, t in weights.items() if n in own and own[n].shape == t.shape}
    if missing := sorted(n for n in own if n not in fits and not n.startswith(HEADS)):
        raise InputError(
            f"{path}: {missing[0]} is missing or of another size; give a ResNet-50 of "
            f"{model.config.num_channels} channels"
        )
    model.load_state_dict(fits, strict=False)


def _mend_position_tables(model: nn.Module, source: str) -> None:
    """Fill a decoder's table that is blind; raises InputError for a blind encoder.

    transformers leaves the table of a decoder zero when a folder holds the encoder alone, and both
    when a model was made from a configuration: such an encoder was trained without positions.
    """
    for name, parameter in model.named_parameters():
        if not name.endswith(TABLES):
            continue
        if is_masked_autoencoder(model):
            parameter.requires_grad_(False)  # what a folder lacks comes back trainable
        if len(torch.unique(parameter[0, 1:], dim=0)) > 1:
            continue
        if not name.startswith("decoder."):
            raise InputError(
                f"model.from: {source} was trained without positions, the rows of {name} are "
                "equal; train it from scratch with preset vit_mae, which has them"
            )
        fill_table(parameter)
