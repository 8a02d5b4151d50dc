"""Adapter folders of peft as models: the function that peft computes, or one sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, PreTrainedTokenizerFast

from evergrow.errors import InputError
from evergrow.models.brought import stored_dtype
from evergrow.models.config import ModelConfig
from evergrow.models.find import find_model
from evergrow.models.load import load_model, model_key
from evergrow.models.presets import from_scratch
from evergrow.models.save import save_release

# peft 0.21 asks transformers 5.23 in words of before
pytestmark = pytest.mark.filterwarnings("ignore")
IDS = torch.arange(2, 26).view(2, 12)
ATTENTION = ["q_proj", "v_proj"]
Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERGROW_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def base(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Callable[..., Path]:
    """A model folder by its preset."""

    def make(preset: Any = "llama", dtype: torch.dtype = torch.float32, **config: Any) -> Path:
        size = {"hidden": 16, "layers": 2, "heads": 2}
        model = from_scratch(ModelConfig(preset=preset, **size), tokenizer, 24, seed=3)
        for name, value in config.items():
            setattr(model.config, name, value)
        model = type(model)(model.config).to(dtype)
        save_release(tmp_path / preset, model, tokenizer, "card", {})
        return tmp_path / preset

    return make


@pytest.fixture
def adapter(base: Callable[..., Path], tmp_path: Path) -> Make:
    """An adapter folder that peft made of settings, all of it drawn; and its base beside it."""

    def make(preset: str = "llama", **settings: Any) -> Path:
        config = settings.pop("config", {})
        folder = base(preset, **config)
        kind = AutoModelForMaskedLM if preset == "bert" else AutoModelForCausalLM
        model: Any = kind.from_pretrained(folder)
        given = {"r": 4, "lora_alpha": 8, "target_modules": ATTENTION, **settings}
        wrapped = peft.get_peft_model(model, peft.LoraConfig(**given))
        drawn = torch.Generator().manual_seed(1)
        for name, tensor in wrapped.state_dict().items():
            if "lora_" in name or "modules_to_save" in name or ".bias" in name:
                tensor.copy_(tensor + 0.3 * torch.randn(tensor.shape, generator=drawn))
        wrapped.save_pretrained(tmp_path / "adapter")
        return tmp_path / "adapter"

    return make


def by_peft(folder: Path) -> Tensor:
    """The logits that peft computes, adapter and base apart, in fp32."""
    settings = json.loads((folder / "adapter_config.json").read_text())
    source = settings["base_model_name_or_path"]
    architecture = json.loads((Path(source) / "config.json").read_text())["architectures"][0]
    kind = AutoModelForMaskedLM if "Masked" in architecture else AutoModelForCausalLM
    model: Any = kind.from_pretrained(source, dtype=torch.float32)
    with torch.no_grad():
        return peft.PeftModel.from_pretrained(model, folder).eval()(input_ids=IDS).logits


def by_evergrow(folder: Path) -> Tensor:
    with torch.no_grad():
        return load_model(find_model(folder))(input_ids=IDS).logits


CASES: dict[str, dict[str, Any]] = {
    "attention": {},
    "all linear": {"target_modules": "all-linear"},
    "rank-stabilised": {"use_rslora": True},
    "dora": {"use_dora": True},
    "patterns": {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 3}},
    "one layer": {"layers_to_transform": [1]},
    "biases": {"preset": "gpt_neox", "target_modules": ["query_key_value"], "bias": "all"},
    "masked": {"preset": "bert", "target_modules": ["query", "output.dense"]},
    "a whole head": {"modules_to_save": ["lm_head"]},
    "a whole head that was tied": {
        "modules_to_save": ["lm_head"],
        "config": {"tie_word_embeddings": True},
    },
    "a whole table that was tied": {
        "modules_to_save": ["embed_tokens"],
        "config": {"tie_word_embeddings": True},
    },
}


@pytest.mark.parametrize("case", CASES)
def test_an_adapter_is_the_model_that_peft_computes(case: str, adapter: Make) -> None:
    folder = adapter(**CASES[case])
    expected, found = by_peft(folder), by_evergrow(folder)
    assert torch.allclose(found, expected, atol=1e-5)
    plain = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
    assert not torch.allclose(by_evergrow(Path(plain)), expected, atol=1e-2)


def test_an_adapter_on_a_head_that_was_tied_leaves_the_table(adapter: Make) -> None:
    """peft itself merges it into both; unmerged, only the head has it."""
    folder = adapter(target_modules=["lm_head"], config={"tie_word_embeddings": True})
    assert torch.allclose(by_evergrow(folder), by_peft(folder), atol=1e-5)


def test_it_is_merged_in_fp32_once_and_goes_back_to_the_half_precision(adapter: Make) -> None:
    folder = adapter(config={"dtype": torch.bfloat16})
    merged = find_model(folder)
    stored = load_file(merged / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float32}
    assert torch.allclose(by_evergrow(folder), by_peft(folder), atol=1e-5)
    assert stored_dtype(merged) == torch.bfloat16
    before = (merged / "model.safetensors").stat().st_ino
    assert find_model(folder) == merged
    assert (merged / "model.safetensors").stat().st_ino == before
    assert (merged / "tokenizer.json").exists()


def test_another_adapter_is_another_model(adapter: Make) -> None:
    folder = adapter()
    first = find_model(folder)
    weights = load_file(folder / "adapter_model.safetensors")
    save_file({n: 2 * t for n, t in weights.items()}, folder / "adapter_model.safetensors")
    assert find_model(folder) != first
    assert model_key(find_model(folder)) != model_key(first)


def test_a_base_is_found_from_the_adapter_itself(adapter: Make) -> None:
    folder = adapter()
    expected = by_peft(folder)
    change(folder, base_model_name_or_path="../llama")
    assert torch.allclose(by_evergrow(folder), expected, atol=1e-5)


def change(folder: Path, **settings: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


REFUSED = [
    ({"peft_type": "IA3"}, "an adapter of type IA3, and only LORA is merged here"),
    ({"base_model_name_or_path": "./gone"}, r"an adapter for '\./gone', which is not to be had"),
    ({"base_model_name_or_path": None}, "an adapter for 'no model', which is not to be had"),
    ({"init_lora_weights": "pissa"}, 'init_lora_weights is "pissa", and such an adapter'),
    ({"megatron_config": {"a": 1}}, "megatron_config is"),
    ({"megatron_core": "os"}, 'megatron_core is "os"'),
    ({"layer_replication": [[0, 2], [0, 2]]}, "layer_replication is"),
    ({"revision": "v2"}, 'revision is "v2"'),
    ({"of_a_later_peft": True}, "of_a_later_peft is true"),
    ({"target_modules": ["c_attn"]}, "is not for this LlamaForCausalLM"),
    ({"r": 8}, "is not for this LlamaForCausalLM"),
    ({"target_modules": ["q_proj"]}, "is not for this LlamaForCausalLM"),
    ({"target_modules": [*ATTENTION, "k_proj"]}, "is not for this LlamaForCausalLM"),
]


@pytest.mark.parametrize(("settings", "said"), REFUSED)
def test_what_cannot_be_merged_is_refused(
    settings: dict[str, Any], said: str, adapter: Make
) -> None:
    folder = adapter()
    change(folder, **settings)
    with pytest.raises(InputError, match=said) as caught:
        load_model(find_model(folder))
    assert "\n" not in str(caught.value)


def test_an_adapter_of_a_larger_model_is_refused(adapter: Make, base: Any, tmp_path: Path) -> None:
    folder = adapter()
    shutil.rmtree(tmp_path / "llama")
    base("olmo2")
    change(folder, base_model_name_or_path=str(tmp_path / "olmo2"))
    weights = load_file(folder / "adapter_model.safetensors")
    wide = {n: torch.cat([t, t], dim=-1) if ".lora_A." in n else t for n, t in weights.items()}
    save_file(wide, folder / "adapter_model.safetensors")
    with pytest.raises(InputError, match="is not for this Olmo2ForCausalLM"):
        load_model(find_model(folder))


def test_pickles_and_halves_are_refused(adapter: Make) -> None:
    folder = adapter()
    whole = (folder / "adapter_model.safetensors").read_bytes()
    (folder / "adapter_model.safetensors").write_bytes(whole[:-9])
    with pytest.raises(InputError, match="truncated or damaged"):
        load_model(find_model(folder))
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(InputError, match=r"holds no adapter_model\.safetensors; copy it again"):
        load_model(find_model(folder))
    torch.save({}, folder / "adapter_model.bin")
    with pytest.raises(InputError, match="holds only pickled weights"):
        load_model(find_model(folder))


def test_without_peft_the_extra_is_named(adapter: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = adapter()
    monkeypatch.setattr("evergrow.models.lora.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"need the package peft; install evergrow\[peft\]"):
        find_model(folder)
