"""Vision models of transformers: made from scratch from a seed, with the tables they need."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    PreTrainedModel,
    ResNetConfig,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTMAEConfig,
    ViTMAEForPreTraining,
)

from evergrow.errors import InputError
from evergrow.models.quiet import undisturbed

TABLES = ("position_embeddings", "decoder_pos_embed")  # [1, places, width]


@dataclass(frozen=True)
class PictureForm:
    """What a vision model reads: square pictures of ``size`` pixels and ``channels``."""

    size: int
    channels: int


@dataclass(frozen=True)
class TransformerSizes:
    """A vision transformer: width, blocks, heads, and the side of a patch in pixels."""

    hidden: int
    layers: int
    heads: int
    patch: int


def refuse_patch(form: PictureForm, patch: int) -> None:
    """Raise InputError unless whole patches fill a picture."""
    if form.size % patch:
        raise InputError(
            f"model.patch: {patch} does not divide pictures of {form.size} pixels; choose a divisor"
        )


def vit_mae(form: PictureForm, sizes: TransformerSizes, seed: int) -> PreTrainedModel:
    """A masked autoencoder from scratch (He et al. 2022) whose decoder is smaller.

    Half as wide and a third as deep; the paper's is 512 wide and 8 deep beside 768 and 12.
    """
    refuse_patch(form, sizes.patch)
    heads = max(1, sizes.heads // 2)
    narrow = max(4 * heads, sizes.hidden // 2 // (4 * heads) * 4 * heads)
    config = ViTMAEConfig(
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=4 * sizes.hidden,
        image_size=form.size,
        patch_size=sizes.patch,
        num_channels=form.channels,
        decoder_hidden_size=narrow,
        decoder_num_hidden_layers=max(1, sizes.layers // 3),
        decoder_num_attention_heads=heads,
        decoder_intermediate_size=4 * narrow,
        norm_pix_loss=True,
        mask_ratio=0.75,
    )
    with undisturbed():
        model = ViTMAEForPreTraining(config)
    draw_vision_weights(model, seed)
    return model.eval()


def vit(
    form: PictureForm, sizes: TransformerSizes, labels: Sequence[str], seed: int
) -> PreTrainedModel:
    """A vision transformer with a linear head on the class token."""
    refuse_patch(form, sizes.patch)
    config = ViTConfig(
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=4 * sizes.hidden,
        image_size=form.size,
        patch_size=sizes.patch,
        num_channels=form.channels,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    with undisturbed():
        model = ViTForImageClassification(config)
    draw_vision_weights(model, seed)
    return model.eval()


def resnet(
    form: PictureForm,
    widths: Sequence[int],
    depths: Sequence[int],
    labels: Sequence[str],
    seed: int,
) -> PreTrainedModel:
    """A ResNet; blocks are bottlenecks from a last width of 2048 on (He et al. 2016, table 1)."""
    bottleneck = widths[-1] >= 2048
    config = ResNetConfig(
        num_channels=form.channels,
        embedding_size=widths[0] // 4 if bottleneck else widths[0],
        hidden_sizes=list(widths),
        depths=list(depths),
        layer_type="bottleneck" if bottleneck else "basic",
        # A small picture would be gone after the stem's four-fold reduction and three halvings.
        downsample_in_first_stage=False,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    config.image_size = form.size  # a ResNet takes any size; this is the one it is trained on
    with undisturbed():
        model = ResNetForImageClassification(config)
    draw_vision_weights(model, seed)
    return model.eval()


def draw_vision_weights(model: PreTrainedModel, seed: int) -> None:
    """Draw all weights from ``seed``: linear maps Xavier, convolutions of a ResNet He, tokens .02.

    As the masked autoencoder's authors do it (patch projection like a linear map), so that a first
    step is not lost to sizes; norms start at gain 1, bias 0, statistics 0 and 1.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
        elif isinstance(module, nn.Conv2d) and "patch_embeddings" in name:
            nn.init.xavier_uniform_(module.weight.view(len(module.weight), -1), generator=generator)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", generator=generator)
        elif isinstance(module, nn.LayerNorm | nn.BatchNorm2d):
            nn.init.ones_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
        bias = module._parameters.get("bias")
        if bias is not None:
            nn.init.zeros_(bias)
    for name, parameter in model.named_parameters():
        if name.endswith(("cls_token", "mask_token")):
            nn.init.normal_(parameter, 0.0, 0.02, generator=generator)
        elif name.endswith("position_embeddings") and parameter.requires_grad:
            nn.init.trunc_normal_(parameter, 0.0, 0.02, -0.04, 0.04, generator)
    set_position_tables(model)
    model.config.architectures = [type(model).__name__]  # config.json alone says what it is


def drawn_anew(model: nn.Module, seed: int) -> PreTrainedModel:
    """A model of the same shape with random weights, to compare a loaded one with."""
    twin: Any = copy.deepcopy(model)
    draw_vision_weights(twin, seed)
    return twin.eval()


def sincos_table(width: int, side: int) -> Tensor:
    """[side^2 + 1, width]: row 0 (the class token) zero, then the patches' fixed 2-D positions.

    Each half of the width codes one coordinate (the column first) by width / 4 sines and as many
    cosines of frequencies 1e4^(-4 i / width) (He et al. 2022, as their published weights have it).
    """
    quarter = width // 4
    frequencies = 1.0 / 10_000 ** (np.arange(quarter) / quarter)
    rows, columns = np.divmod(np.arange(side * side), side)
    halves = []
    for places in (columns, rows):
        angles = places[:, None] * frequencies
        halves += [np.sin(angles), np.cos(angles)]
    table = np.zeros((side * side + 1, width), np.float32)
    table[1:] = np.concatenate(halves, axis=1)
    return torch.from_numpy(table)


def set_position_tables(model: nn.Module) -> None:
    """Fill the fixed tables of a masked autoencoder; transformers leaves them zero from scratch.

    With zero tables the model has no idea where a patch lies and learns next to nothing, without an
    error (measured: reconstruction .54 against .15 after 4,000 steps on digits).
    """
    for name, parameter in model.named_parameters():
        if name.endswith(TABLES) and is_masked_autoencoder(model):
            fill_table(parameter)


def fill_table(parameter: nn.Parameter) -> None:
    """Give a table of positions its fixed values, one row a place."""
    side = math.isqrt(parameter.shape[1] - 1)
    with torch.no_grad():
        parameter.copy_(sincos_table(parameter.shape[2], side)[None])
    parameter.requires_grad_(False)


def is_masked_autoencoder(model: nn.Module) -> bool:
    """Whether the model's tables of positions are fixed."""
    config: Any = model.config
    return config.model_type == "vit_mae"


def patches(pixels_NCHW: Tensor, patch: int) -> Tensor:
    """[N, L, patch^2 C]: pixels of each patch, rows of patches first, channels innermost."""
    n, channels, height, width = pixels_NCHW.shape
    rows, columns = height // patch, width // patch
    cut = pixels_NCHW.reshape(n, channels, rows, patch, columns, patch)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(n, rows * columns, patch * patch * channels)


def unpatched(patches_NLD: Tensor, patch: int, channels: int) -> Tensor:
    """[N, C, H, W]: the inverse of ``patches`` for square pictures."""
    n, num, _ = patches_NLD.shape
    side = math.isqrt(num)
    cut = patches_NLD.reshape(n, side, side, patch, patch, channels)
    return cut.permute(0, 5, 1, 3, 2, 4).reshape(n, channels, side * patch, side * patch)
