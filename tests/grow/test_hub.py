"""Folders as the hub has them: their fields and their tensors' names are taken as they are."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from grow.folders import publish
from grow.hub import HUB
from safetensors.torch import load_file, save_file
from transformers import BertForMaskedLM, BertForPreTraining

from evergrow.errors import InputError
from evergrow.grow.config import GrowConfig
from evergrow.grow.folder import grow_folder
from evergrow.grow.passes import Batch
from evergrow.grow.stored import open_folder
from evergrow.models.families import FAMILIES
from evergrow.models.quiet import undisturbed

UNREAD = {
    "SmolLM2-135M": ["transformers.js_config"],
    "Phi-4-mini-instruct": ["full_attn_mod", "interpolate_factor", "lm_head_bias", "mlp_bias"],
}


def test_every_family_has_a_published_model() -> None:
    assert {config["model_type"] for config in HUB.values()} == FAMILIES.keys()


@pytest.mark.parametrize("name", HUB)
def test_a_published_model_grows(name: str, tmp_path: Path) -> None:
    config = HUB[name]
    publish(tmp_path / "source", config)
    family = FAMILIES[config["model_type"]]
    to: Any = {"hidden": 2 * (config.get("hidden_size") or 24)}
    to |= {"ffn": 120} if "ffn" in family.fields else {}
    to |= {"layers": 3} if family.zero else {}
    record = grow_folder(tmp_path / "source", GrowConfig(to=to), tmp_path / "grown")
    assert record["exactness"] == "exact"
    grown = json.loads((tmp_path / "grown" / "config.json").read_text())
    assert config.keys() - {*family.named_by_depth} <= grown.keys()
    assert record["unread"] == UNREAD.get(name, [])


@pytest.mark.parametrize("name", HUB)
def test_a_published_model_shrinks(name: str, tmp_path: Path) -> None:
    """By what its blocks and neurons do on text; a model of pictures by a list of blocks."""
    config = HUB[name]
    publish(tmp_path / "source", config)
    family = FAMILIES[config["model_type"]]
    seen = "vocab_size" in config
    to: Any = {"ffn": 20} if seen and not any("experts" in m for m in family.modules) else {}
    listed = {} if family.name == "modernbert" else {"layers": "1" if family.zero else "0"}
    ids = torch.arange(3, 35).reshape(2, 16)
    texts = [Batch({"input_ids": batch}) for batch in (ids, ids + 1)] if seen else []
    record = grow_folder(tmp_path / "source", GrowConfig(to=to, **listed), tmp_path / "s", texts)
    assert record["exactness"] == "none: pruned"
    small = json.loads((tmp_path / "s" / "config.json").read_text())
    assert config.keys() - {*family.named_by_depth} <= small.keys()
    before, after = (open_folder(tmp_path / folder).slots for folder in ("source", "s"))
    assert (after.keys() < before.keys()) == bool(listed)


def test_bert_as_the_hub_stores_it(tmp_path: Path) -> None:
    """gamma and beta, no head's own weight, and the heads of pre-training beside the one named."""
    source = publish(tmp_path / "source", HUB["bert-base-uncased"], BertForPreTraining)
    stored = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in source.state_dict().items()
        if not name.startswith("cls.predictions.decoder")
    }
    path = tmp_path / "source" / "model.safetensors"
    save_file({n: t.contiguous() for n, t in stored.items()}, path, metadata={"format": "pt"})
    to: Any = {"hidden": 48}
    grow_folder(tmp_path / "source", GrowConfig(to=to), tmp_path / "grown")
    assert load_file(tmp_path / "grown" / "model.safetensors").keys() == stored.keys()
    ids = torch.arange(1, 31).reshape(2, 15)
    for kind in (BertForMaskedLM, BertForPreTraining):  # another head than config.json names, too
        outputs = []
        for folder in ("source", "grown"):
            with undisturbed():
                model, found = kind.from_pretrained(  # pyright: ignore  a pair
                    tmp_path / folder, dtype=torch.float32, output_loading_info=True
                )
            assert not found["missing_keys"]
            with torch.no_grad():
                outputs.append([*model.eval()(input_ids=ids).values()])
        for before, after in zip(*outputs, strict=True):
            assert (before - after).abs().max() < 1e-4


def test_a_field_that_nothing_reads_is_carried_and_said(tmp_path: Path) -> None:
    publish(tmp_path / "source", HUB["gpt2"] | {"favourite_colour": "green"})
    to: Any = {"layers": 3}
    record = grow_folder(tmp_path / "source", GrowConfig(to=to), tmp_path / "grown")
    assert record["unread"] == ["favourite_colour"]
    grown = json.loads((tmp_path / "grown" / "config.json").read_text())
    assert grown["favourite_colour"] == "green"


def test_code_is_never_run(tmp_path: Path) -> None:
    publish(tmp_path / "source", HUB["gpt2"] | {"auto_map": {"AutoModel": "x.Y"}})
    to: Any = {"layers": 3}
    with pytest.raises(InputError, match=r"names code to run \(auto_map\), which is never run"):
        grow_folder(tmp_path / "source", GrowConfig(to=to), tmp_path / "grown")
