"""Folders of tiny models, as transformers writes them."""

from pathlib import Path
from typing import Any

import torch
from grow.tiny import tiny
from transformers import BertModel, LlamaModel, PreTrainedModel

from evergrow.models.quiet import undisturbed

BASES: dict[str, type[PreTrainedModel]] = {"bert": BertModel, "llama": LlamaModel}


def save(
    folder: Path, family: str, dtype: torch.dtype = torch.float32, **settings: Any
) -> PreTrainedModel:
    """The tiny model of ``family`` in ``folder``; ``shard`` cuts its weights."""
    shard = settings.pop("shard", "1GB")
    model = tiny(family, **settings).to(dtype)
    with undisturbed():
        model.save_pretrained(folder, max_shard_size=shard)
    return model


def save_base(folder: Path, family: str) -> PreTrainedModel:
    """The tiny model without its head, as encoders of sentences are published."""
    whole = tiny(family).float()
    trunk = {
        name.removeprefix(f"{whole.base_model_prefix}."): value
        for name, value in whole.state_dict().items()
        if name.startswith(f"{whole.base_model_prefix}.")
    }
    with undisturbed():
        model = BASES[family](whole.config).eval()
        model.load_state_dict(trunk, strict=False)
        model.save_pretrained(folder)
    return model
