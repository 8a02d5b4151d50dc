"""What a model brings is known by exclusion, and its weights go out in the type they came in."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import GenerationConfig, PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.models.brought import (
    keep_brought,
    record_dtype,
    recorded_dtype,
    round_weights,
    stored_dtype,
)
from evergrow.models.config import ModelConfig
from evergrow.models.load import load_model
from evergrow.models.presets import from_scratch
from evergrow.models.sample import generate
from evergrow.models.save import save_release

KEPT = {"generation_config.json", "LICENSE", "NOTICE.txt", "preprocessor_config.json"}
OF_TOKENIZER = {"tokenizer.model", "merges.txt", "vocab.json"}
LEFT = {
    "config.json",
    "README.md",
    "adapter_config.json",
    "pytorch_model.bin",
    "modeling_new.py",
    ".gitattributes",
    "model.safetensors.index.json",
}


@pytest.mark.parametrize("own_tokenizer", [True, False])
def test_what_is_kept(tmp_path: Path, own_tokenizer: bool) -> None:
    source, folder = tmp_path / "source", tmp_path / "kept"
    (source / "onnx").mkdir(parents=True)
    folder.mkdir()
    for name in KEPT | OF_TOKENIZER | LEFT:
        (source / name).write_text(name)
    keep_brought(source, folder, own_tokenizer)
    found = {file.name: file.read_text() for file in folder.iterdir()}
    kept = KEPT | OF_TOKENIZER if own_tokenizer else KEPT
    assert found == {name: name for name in kept}


def test_parts_of_a_configuration_say_the_same_type(tmp_path: Path) -> None:
    part = {"dtype": "float32", "inner": {"dtype": "float32"}}
    told = {"dtype": "float32", "attn_config": part, "other": {"dtype": None}}
    (tmp_path / "config.json").write_text(json.dumps(told))
    record_dtype(tmp_path, torch.bfloat16)
    half = {"dtype": "bfloat16", "inner": {"dtype": "bfloat16"}}
    assert json.loads((tmp_path / "config.json").read_text()) == {
        "dtype": "bfloat16",
        "attn_config": half,
        "other": {"dtype": None},
    }


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        (torch.bfloat16, torch.bfloat16),
        (torch.float16, torch.float16),
        (torch.float32, torch.float32),
        (torch.float64, torch.float32),
    ],
)
def test_the_type_is_that_of_most_weights(
    tmp_path: Path, model: PreTrainedModel, stored: torch.dtype, told: torch.dtype
) -> None:
    model.to(stored).get_output_embeddings().float()  # some are kept in another
    model.save_pretrained(tmp_path)
    assert stored_dtype(tmp_path) == told


@pytest.mark.parametrize("tied", [True, False])
def test_a_release_in_half_precision_holds_what_was_rounded(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, tied: bool
) -> None:
    config = ModelConfig(preset="olmo2", hidden=16, layers=1, tied=tied)
    model = from_scratch(config, tokenizer, 24, 0)
    (tmp_path / "kept").mkdir()
    model.config.save_pretrained(tmp_path / "kept")
    record_dtype(tmp_path / "kept", torch.bfloat16)
    round_weights(model, recorded_dtype(tmp_path / "kept"))
    ids = torch.arange(9)[None]
    before = model(ids).logits
    save_release(tmp_path / "a", model, tokenizer, "card", {}, tmp_path / "kept")
    stored = load_file(tmp_path / "a" / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    assert ("lm_head.weight" in stored) == (not tied)
    assert recorded_dtype(tmp_path / "a") == torch.bfloat16
    loaded = load_model(tmp_path / "a")
    assert torch.equal(loaded(ids).logits, before)
    assert model.dtype == torch.float32, "the model that trains stays as it was"
    assert torch.equal(model(ids).logits, before)


def test_a_text_ends_where_the_generation_settings_say(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    whole = generate(model, tokenizer, "the sea", 8, 0.0, 0)
    assert whole
    first = tokenizer.encode(whole, add_special_tokens=False)[0]
    model.generation_config = GenerationConfig(eos_token_id=[first, 5])
    assert generate(model, tokenizer, "the sea", 8, 0.0, 0) == ""
