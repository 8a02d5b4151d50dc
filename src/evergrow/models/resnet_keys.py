"""torchvision's names of ResNet weights (torchxrayvision has them too) to those of transformers."""

import re
from collections.abc import Mapping

from torch import Tensor

from evergrow.errors import InputError

_RULES = (
    (r"conv1\.(.+)", r"resnet.embedder.embedder.convolution.\1"),
    (r"bn1\.(.+)", r"resnet.embedder.embedder.normalization.\1"),
    (r"fc\.(.+)", r"classifier.1.\1"),
)
_BLOCK = re.compile(r"layer(\d)\.(\d+)\.(conv|bn|downsample\.)(\d)\.(.+)")


def transformers_name(name: str) -> str:
    """The transformers name of one torchvision weight; raises InputError for a stranger."""
    for pattern, replacement in _RULES:
        if match := re.fullmatch(pattern, name):
            return match.expand(replacement)
    found = _BLOCK.fullmatch(name)
    if found is None:
        raise InputError(f"{name}: not a weight of torchvision's ResNet; give its plain state dict")
    stage, layer, kind, number, rest = found.groups()
    block = f"resnet.encoder.stages.{int(stage) - 1}.layers.{layer}"
    if kind == "downsample.":
        part = "convolution" if number == "0" else "normalization"
        return f"{block}.shortcut.{part}.{rest}"
    part = "convolution" if kind == "conv" else "normalization"
    return f"{block}.layer.{int(number) - 1}.{part}.{rest}"


def from_torchvision(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A torchvision (or torchxrayvision, with or without ``model.``) state dict under new names.

    torchxrayvision's thresholds of its own labels (``op_threshs``) are left behind.
    """
    plain = {name.removeprefix("model."): t for name, t in weights.items()}
    return {transformers_name(name): t for name, t in plain.items() if name != "op_threshs"}
