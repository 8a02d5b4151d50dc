"""Position embeddings of vision transformers for pictures of another size."""

import copy
import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from evergrow.errors import InputError
from evergrow.models.quiet import undisturbed
from evergrow.models.vision import TABLES


def resized_table(table: Tensor, side: int) -> Tensor:
    """[1, side^2 + 1, width]: the patches' rows between those of another grid, bicubic.

    The class token's row stays. As the masked autoencoder's authors and transformers do it, without
    smoothing where the grid gets coarser.
    """
    width, old = table.shape[2], math.isqrt(table.shape[1] - 1)
    grid = table[:, 1:].reshape(1, old, old, width).permute(0, 3, 1, 2)
    size = (side, side)
    between = functional.interpolate(grid, size=size, mode="bicubic", align_corners=False)
    rows = between.permute(0, 2, 3, 1).reshape(1, side * side, width)
    return torch.cat([table[:, :1], rows], dim=1)


def at_size(model: PreTrainedModel, size: int, source: str) -> PreTrainedModel:
    """The model for pictures of ``size`` pixels a side, its weights the same but for positions.

    A ResNet, which has none, stays as it is. Raises InputError where whole patches do not fill the
    picture.
    """
    config: Any = copy.deepcopy(model.config)
    config.image_size = size
    tables = {n: t for n, t in model.state_dict().items() if n.endswith(TABLES)}
    if not tables:
        return model
    if size % config.patch_size:
        raise InputError(
            f"model.from: {source} has patches of {config.patch_size} pixels, which do not fill "
            f"pictures of {size}; set size to a multiple"
        )
    kind: Any = type(model)
    with undisturbed():
        resized = kind(config)
    side = size // config.patch_size
    changed = {name: resized_table(table, side) for name, table in tables.items()}
    resized.load_state_dict({**model.state_dict(), **changed})
    return resized
