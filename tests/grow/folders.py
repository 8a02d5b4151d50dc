"""Folders of tiny models, as transformers writes them."""

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from grow.tiny import TINY, build, tiny
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


def save_as(
    folder: Path, family: str, kind: type[PreTrainedModel], **changes: Any
) -> PreTrainedModel:
    """A model of ``family`` with the head of ``kind``."""
    config = TINY[family][1]
    model = build(kind, type(config).from_dict(config.to_dict() | changes)).float()
    with undisturbed():
        model.save_pretrained(folder)
    return model


def load(folder: Path, kind: type[PreTrainedModel]) -> PreTrainedModel:
    """The folder's model, every weight of which must be in its place."""
    with undisturbed():
        model, found = kind.from_pretrained(  # pyright: ignore  a pair with output_loading_info
            folder, dtype=torch.float32, output_loading_info=True
        )
    assert not any(found[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys")), found
    return model.eval()


def publish(
    folder: Path, config: dict[str, Any], kind: type[PreTrainedModel] | None = None
) -> PreTrainedModel:
    """A model of ``config``'s architecture (or of ``kind``) beside the very config.json given."""
    kind = kind or getattr(transformers, config["architectures"][0])
    with undisturbed():
        torch.manual_seed(0)
        model = kind(kind.config_class.from_dict(config)).eval()
        for parameter in model.parameters():
            parameter.data.add_(0.2 * torch.randn_like(parameter))
        model.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return model
