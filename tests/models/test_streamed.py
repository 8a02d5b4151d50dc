"""A model run without ever being in memory: the same outputs and gradients as the plain one."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Olmo2Config,
    Olmo2ForCausalLM,
    PreTrainedModel,
    ViTMAEConfig,
    ViTMAEForPreTraining,
)

from evergrow.errors import InputError
from evergrow.models.gradients import GradientSquares
from evergrow.models.quiet import undisturbed
from evergrow.models.skeleton import skeleton, stored_names
from evergrow.models.streamed import weights_from
from evergrow.models.weights import read_slots, read_tensor

WIDTHS: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
IMAGES: dict[str, Any] = {
    "image_size": 16,
    "patch_size": 8,
    "decoder_hidden_size": 16,
    "decoder_intermediate_size": 24,
    "decoder_num_hidden_layers": 1,
    "decoder_num_attention_heads": 4,
}
TOKENS = torch.arange(14).reshape(2, 7) % 11
PIXELS = torch.linspace(-1, 1, 2 * 3 * 16 * 16).reshape(2, 3, 16, 16)
NOISE = torch.tensor([[0.1, 0.4, 0.2, 0.3]] * 2)


def models() -> dict[str, tuple[PreTrainedModel, dict[str, Tensor]]]:
    words: dict[str, Any] = {"vocab_size": 11, "pad_token_id": None, "bos_token_id": 0}
    words |= {"eos_token_id": 0}
    text = {"input_ids": TOKENS}
    llama = LlamaConfig(**WIDTHS, **words, num_key_value_heads=2)
    tied = Olmo2Config(**WIDTHS, **words, tie_word_embeddings=True)
    gpt2 = GPT2Config(n_embd=16, n_layer=2, n_head=4, n_positions=8, **words)
    wide = GPT2Config(n_embd=64, n_head=4, n_layer=2, n_positions=8, **words | {"vocab_size": 80})
    wider = LlamaConfig(**WIDTHS | {"hidden_size": 64}, **words | {"vocab_size": 80})
    bert = BertConfig(**WIDTHS, vocab_size=11, pad_token_id=0)
    return {
        "llama": (LlamaForCausalLM(llama), text),
        "olmo2 tied": (Olmo2ForCausalLM(tied), text),
        "gpt2": (GPT2LMHeadModel(gpt2), text),
        "gpt2, wide": (GPT2LMHeadModel(wide), text),
        "llama in bfloat16": (LlamaForCausalLM(wider), text),
        "bert": (BertForMaskedLM(bert), text),
        "encoder": (BertModel(bert), text),
        "masked autoencoder": (
            ViTMAEForPreTraining(ViTMAEConfig(**WIDTHS, **IMAGES)),
            {"pixel_values": PIXELS, "noise": NOISE},
        ),
    }


@pytest.fixture(scope="module")
def made() -> dict[str, tuple[PreTrainedModel, dict[str, Tensor]]]:
    with undisturbed():
        torch.manual_seed(0)
        built = models()
        for model, _ in built.values():
            for parameter in model.parameters():
                parameter.data.normal_(0, 0.3)
    return built


def first(output: Any) -> Tensor:
    return output.logits if "logits" in output else output.last_hidden_state


def save(model: PreTrainedModel, folder: Path) -> None:
    with undisturbed():
        model.save_pretrained(folder)


@pytest.mark.parametrize("kind", list(models()))
def test_outputs_and_gradients_are_those_of_the_plain_model(
    kind: str, made: dict[str, tuple[PreTrainedModel, dict[str, Tensor]]], tmp_path: Path
) -> None:
    plain, inputs = made[kind]
    plain.eval().zero_grad()
    for module in plain.modules():
        if isinstance(module, nn.Embedding):
            module.padding_idx = None  # a row of the table without a gradient, in the plain model
    if kind.endswith("bfloat16"):
        for parameter in plain.parameters():
            parameter.data = parameter.bfloat16().float()
        save(copy.deepcopy(plain).bfloat16(), tmp_path)
    else:
        save(plain, tmp_path)
    expected = first(plain(**inputs))
    expected.square().sum().backward()
    squares = [float(p.grad.square().sum()) for p in plain.parameters() if p.grad is not None]

    slots = read_slots(tmp_path)
    bare = skeleton(json.loads((tmp_path / "config.json").read_text()))
    assert all(parameter.is_meta for parameter in bare.parameters())
    stored = stored_names(bare, slots)
    gradients = GradientSquares(stored)
    read = lambda name: read_tensor(slots[name])  # noqa: E731
    with weights_from(bare, stored, read, torch.float32, gradients):
        output = first(bare(**inputs))
        output.square().sum().backward()
    assert torch.equal(output, expected)
    assert gradients.norm() == pytest.approx(sum(squares) ** 0.5, rel=1e-5)
    assert all(parameter.is_meta for parameter in bare.parameters())


def test_float64_computes_norms_in_float64(
    made: dict[str, tuple[PreTrainedModel, dict[str, Tensor]]], tmp_path: Path
) -> None:
    plain, inputs = made["llama"]
    save(plain, tmp_path)
    slots = read_slots(tmp_path)
    bare = skeleton(json.loads((tmp_path / "config.json").read_text()))
    norm = bare.model.norm  # pyright: ignore
    read = lambda name: read_tensor(slots[name])  # noqa: E731
    stored = stored_names(bare, slots)
    seen = []
    handle = norm.register_forward_hook(lambda module, args, out: seen.append((args[0], out)))
    with torch.no_grad(), weights_from(bare, stored, read, torch.float64):
        bare(**inputs)
    handle.remove()
    (x, normed) = seen[0]
    exact = x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    exact *= plain.model.norm.weight.double()  # pyright: ignore
    assert (normed - exact).abs().max() < 1e-14
    assert "forward" not in vars(norm)


def test_only_one_module_is_in_memory(
    made: dict[str, tuple[PreTrainedModel, dict[str, Tensor]]], tmp_path: Path
) -> None:
    plain, inputs = made["llama"]
    save(plain, tmp_path)
    slots = read_slots(tmp_path)
    bare = skeleton(json.loads((tmp_path / "config.json").read_text()))
    largest = []

    def read(name: str) -> Tensor:
        largest.append(sum(not parameter.is_meta for parameter in bare.parameters()))
        return read_tensor(slots[name])

    stored = stored_names(bare, slots)
    with weights_from(bare, stored, read, torch.float32, GradientSquares(stored)):
        first(bare(**inputs)).sum().backward()
    assert len(largest) > 2 * len(stored) - 10  # read again in the backward pass
    assert max(largest) == 0


def test_names_with_and_without_the_base_models_prefix(
    made: dict[str, tuple[PreTrainedModel, dict[str, Tensor]]],
) -> None:
    model, _ = made["gpt2"]
    bare = [name.removeprefix("transformer.") for name, _ in model.named_parameters()]
    found = stored_names(model, bare)
    assert found["transformer.wte.weight"] == found["lm_head.weight"] == "wte.weight"
    encoder, _ = made["encoder"]
    prefixed = [f"bert.{name}" for name, _ in encoder.named_parameters()]
    found = stored_names(encoder, prefixed)
    assert found["pooler.dense.bias"] == "bert.pooler.dense.bias"
    with pytest.raises(InputError, match=r"wpe\.weight: GPT2LMHeadModel needs this weight"):
        stored_names(model, [name for name in bare if name != "wpe.weight"])


def test_an_architecture_nobody_knows_is_refused() -> None:
    with pytest.raises(InputError, match="architecture XForCausalLM of model_type x is none"):
        skeleton({"model_type": "x", "architectures": ["XForCausalLM"]})


def test_sizes_that_transformers_refuses_are_one_sentence() -> None:
    config = {"model_type": "llama", "architectures": ["LlamaModel"], "hidden_size": 97}
    with pytest.raises(InputError, match=r"takes no such llama \(The hidden size \(97\) is not a"):
        skeleton(config)
    with pytest.raises(InputError, match=r"\(Field 'hidden_size' expected int, got str"):
        skeleton(config | {"hidden_size": "97"})
