"""Adapters on every family: where they go, that they start at the model, and what merging does."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from grow.tiny import TINY, tiny
from models.zoo import tiny_config
from peft import PeftModel
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel, ResNetConfig
from transformers import ResNetForImageClassification as ResNet
from transformers.pytorch_utils import Conv1D

from evergrow.errors import EvergrowError, InputError
from evergrow.models import lora
from evergrow.models.config import LoraConfig
from evergrow.models.describe import black_pictures
from evergrow.models.kind import OF_PICTURES, kind_of
from evergrow.models.lora import Adapter, adapted_layers, adapter_size, short_names
from evergrow.models.parts import PartsOf

# peft 0.21 asks transformers 5.23 in words of before
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")

RANK = 4
LORA = LoraConfig(rank=RANK, alpha=6)
GATED = ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
LLAMA = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", *GATED]
BERT = ["attention.self.query", "attention.self.key", "attention.self.value",
        "attention.output.dense", "intermediate.dense", "output.dense"]  # fmt: skip
VIT = ["attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.o_proj",
       "mlp.fc1", "mlp.fc2"]  # fmt: skip
USUAL = {
    "llama": LLAMA,
    "qwen2": LLAMA,
    "olmo2": LLAMA,
    "gpt2": ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"],
    "gpt_neox": ["attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h",
                 "mlp.dense_4h_to_h"],
    "bert": BERT,
    "vit": [*VIT, "classifier"],
    "vit_mae": VIT,
    "mixtral": LLAMA[:4],  # experts are no linear layers
}  # fmt: skip


def single(family: str) -> PreTrainedModel:
    return tiny(family).float()


def logits(model: Any) -> Tensor:
    if kind_of(model) in OF_PICTURES:
        pictures = black_pictures(model, 2)
        drawn = torch.Generator().manual_seed(1)
        shape = pictures["pixel_values"].shape
        pictures["pixel_values"] = torch.rand(shape, generator=drawn)
        return model(**pictures).logits
    return model(input_ids=torch.arange(2, 26).view(2, 12)).logits


def move(adapter: Adapter, seed: int = 5) -> None:
    """As training would: B is 0 no more."""
    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in adapter.tensors().values():
            tensor.copy_(0.2 * torch.randn(tensor.shape, generator=drawn))


@pytest.mark.parametrize("family", USUAL)
def test_adapters_go_on_the_linear_layers_of_the_blocks(family: str) -> None:
    model = single(family)
    layers = adapted_layers(model, LORA)
    assert short_names(layers) == USUAL[family]
    blocks = model.config.num_hidden_layers
    assert len(layers) == blocks * len(USUAL[family]) - (blocks - 1) * (family == "vit")


@pytest.mark.parametrize("family", TINY)
def test_every_adapter_starts_at_the_model_and_is_merged_as_peft_does(
    family: str, tmp_path: Path
) -> None:
    model, base = single(family), single(family)
    expected, frozen = logits(model), {n: p.clone() for n, p in model.named_parameters()}
    size = adapter_size(model, LORA)
    adapter = Adapter(model, LORA, seed=3)
    assert torch.equal(logits(model), expected)
    assert type(model) is TINY[family][0]
    assert adapter.num_parameters == size
    assert {n for n, p in model.named_parameters() if p.requires_grad} == set(adapter.tensors())

    logits(model).square().mean().backward()
    unused = [n for n, p in adapter.tensors().items() if ".lora_B." in n and not p.grad.any()]
    assert unused == []

    move(adapter)
    moved = logits(model)
    assert not torch.allclose(moved, expected, atol=1e-3)
    adapter.save(tmp_path / "adapter", "nothing/here")
    adapter.merge()
    assert torch.allclose(logits(model), moved, rtol=1e-4, atol=1e-4)
    assert all(p.requires_grad for p in model.parameters())
    theirs = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    assert torch.allclose(logits(theirs.base_model.model), moved, rtol=1e-5, atol=1e-5)
    merged: Any = theirs.merge_and_unload()
    weights = dict(merged.named_parameters())
    assert {n for n, p in model.named_parameters() if not torch.equal(p, weights[n])} == set()
    changed = {n for n, p in model.named_parameters() if not torch.equal(p, frozen[n])}
    assert changed == {f"{layer}.weight" for layer in adapter.layers}


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_merged_weight_is_that_of_the_equation(family: str) -> None:
    """W + alpha / r * B A, of a Conv1D transposed."""
    model = single(family)
    before = {n: p.clone() for n, p in model.named_parameters()}
    adapter = Adapter(model, LORA, seed=3)
    move(adapter)
    parts = {n: t.detach().clone() for n, t in adapter.tensors().items()}
    adapter.merge()
    for layer in adapter.layers:
        added = 6 / RANK * parts[f"{layer}.lora_B.default.weight"] @ parts[
            f"{layer}.lora_A.default.weight"]  # fmt: skip
        if isinstance(model.get_submodule(layer), Conv1D):
            added = added.T
        found = model.get_parameter(f"{layer}.weight") - before[f"{layer}.weight"]
        assert torch.allclose(found, added, atol=1e-6)


def test_adapters_are_drawn_from_their_seed_alone() -> None:
    """A is uniform in +-1 / sqrt(in), B is 0; the global random state is that of before."""
    state = torch.random.get_rng_state()
    one, same, other = (Adapter(single("llama"), LORA, seed).tensors() for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(one[name], same[name]) for name in one)
    down = one["model.layers.0.mlp.down_proj.lora_A.default.weight"]
    assert not torch.equal(down, other["model.layers.0.mlp.down_proj.lora_A.default.weight"])
    assert 0.9 * 112**-0.5 < float(down.detach().abs().max()) <= 112**-0.5
    assert not any(tensor.any() for name, tensor in one.items() if ".lora_B." in name)


def test_targets_are_names_of_layers_or_their_ends() -> None:
    model = single("llama")
    wanted = LoraConfig(rank=2, targets=["q_proj", "model.layers.1.mlp.up_proj"])
    assert adapted_layers(model, wanted) == [
        "model.layers.0.self_attn.q_proj",
        "model.layers.1.self_attn.q_proj",
        "model.layers.1.mlp.up_proj",
        "model.layers.2.self_attn.q_proj",
    ]


@pytest.mark.parametrize(
    ("family", "targets", "said"),
    [
        ("llama", ["query"], "'query' is no layer of this LlamaForCausalLM; its linear layers are "
         "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, lm_head"),
        ("llama", ["embed_tokens"], "'embed_tokens' is a Embedding and no linear layer of this"),
        ("mixtral", ["experts"], "'experts' is a MixtralExperts and no linear layer of this"),
        ("qwen2", ["lm_head"], "lm_head shares its weight with the table of embeddings"),
    ],
)  # fmt: skip
def test_other_targets_are_refused(family: str, targets: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        adapted_layers(single(family), LoraConfig(rank=2, targets=targets))


def test_a_family_that_only_peft_names_takes_its_table() -> None:
    config = tiny_config("bloom", masked=False)
    model: Any = AutoModelForCausalLM.from_config(config)
    assert short_names(adapted_layers(model, LORA)) == ["self_attention.query_key_value"]


def test_a_family_that_nobody_names_needs_targets() -> None:
    config = tiny_config("biogpt", masked=False)
    model: Any = AutoModelForCausalLM.from_config(config)
    said = "names the layers of biogpt that adapters go on; give train.lora.targets, of its linear"
    with pytest.raises(InputError, match=said):
        adapted_layers(model, LORA)
    layers = adapted_layers(model, LoraConfig(rank=2, targets=["q_proj"]))
    assert short_names(layers) == ["self_attn.q_proj"]


def test_a_model_with_batch_norms_is_refused() -> None:
    model = ResNet(ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1]))
    with pytest.raises(InputError, match="has batch norms, whose statistics move"):
        Adapter(model, LORA, seed=0)


def test_what_another_stage_saved_is_refused() -> None:
    adapter = Adapter(single("llama"), LORA, seed=0)
    other = Adapter(single("llama"), LoraConfig(rank=2), seed=0)
    with pytest.raises(EvergrowError, match="those of the checkpoint are not of rank 4 on"):
        adapter.load(other.tensors())


def test_without_peft_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "peft" in sys.modules
    monkeypatch.setattr(lora, "find_spec", lambda name: None if name == "peft" else find_spec(name))
    with pytest.raises(InputError, match=r"need the package peft; install evergrow\[peft\]"):
        Adapter(single("llama"), LORA, seed=0)


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert", "gpt_neox", "olmo2", "opt"])
def test_a_model_with_adapters_still_comes_apart(family: str) -> None:
    """So that its logits are made in pieces."""
    model = single(family)
    whole = PartsOf()(model)
    Adapter(model, LORA, seed=0)
    parts = PartsOf()(model)
    assert (parts is None) == (whole is None)
    if whole is not None:
        assert parts == whole


def test_a_saved_adapter_has_the_same_bytes_every_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        Adapter(single("llama"), LORA, seed=0).save(tmp_path / name, "base")
    for file in (lora.CONFIG, lora.WEIGHTS):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
