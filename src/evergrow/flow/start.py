"""An architecture without its weights: what a checkpoint is loaded into."""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from evergrow.models.quiet import undisturbed


def empty_model(folder: Path) -> Any:
    """The model whose ``config.json`` stands in ``folder``; its weights mean nothing."""
    with undisturbed():
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        model: Any = AutoModelForCausalLM.from_config(
            config, dtype=torch.float32, attn_implementation="sdpa"
        )
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.padding_idx = None
    return model
