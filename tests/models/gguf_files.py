"""Tiny GGUF files as llama.cpp's converter writes them: its names, its layouts, its keys."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter, quantize
from gguf.quants import dequantize
from models.zoo import VOCABULARY
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.modeling_gguf_pytorch_utils import (
    TENSOR_PROCESSORS,
    TensorProcessor,
    get_gguf_hf_weights_map,
)

from evergrow.models.quiet import undisturbed

TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}<|end|>{% endfor %}"
# llama.cpp's name of a family, where it is not its model_type, and what its head says of the
# function besides what every family's says.
ARCHITECTURES = {"mistral": "llama", "gemma3_text": "gemma3", "qwen3_moe": "qwen3moe"}


def rotated(weight: np.ndarray, num_heads: int) -> np.ndarray:
    """llama.cpp turns neighbours where transformers turns halves: rows of a head in that order."""
    halves = weight.reshape(num_heads, 2, weight.shape[0] // num_heads // 2, *weight.shape[1:])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def layout(architecture: str, name: str, weight: np.ndarray, config: Any) -> np.ndarray:
    """A weight as the file holds it."""
    if architecture == "llama" and ".attn_q." in name:
        return rotated(weight, config.num_attention_heads)
    if architecture == "llama" and ".attn_k." in name:
        return rotated(weight, config.num_key_value_heads)
    if architecture in ("gemma2", "gemma3") and name.endswith("norm.weight"):
        return weight + 1
    of_conv1d = ("attn_qkv.weight", "attn_output.weight", "ffn_up.weight", "ffn_down.weight")
    if architecture == "gpt2" and name.endswith(of_conv1d):
        return weight.T
    return weight


def head(writer: GGUFWriter, config: Any) -> None:
    """The keys that every family's file has, as far as its configuration has them."""
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    inner = config.n_inner if config.model_type == "gpt2" else config.intermediate_size
    writer.add_feed_forward_length(inner)
    for setting, add in {
        "num_key_value_heads": writer.add_head_count_kv,
        "rms_norm_eps": writer.add_layer_norm_rms_eps,
        "layer_norm_eps": writer.add_layer_norm_eps,
        "layer_norm_epsilon": writer.add_layer_norm_eps,
        "norm_epsilon": writer.add_layer_norm_eps,
        "head_dim": writer.add_key_length,
        "sliding_window": writer.add_sliding_window,
        "attn_logit_softcapping": writer.add_attn_logit_softcapping,
        "final_logit_softcapping": writer.add_final_logit_softcapping,
        "num_experts": writer.add_expert_count,
        "num_experts_per_tok": writer.add_expert_used_count,
        "moe_intermediate_size": writer.add_expert_feed_forward_length,
    }.items():
        if (value := getattr(config, setting, None)) is not None:
            add(value)
    rope = getattr(config, "rope_parameters", None) or {}
    rope = rope.get("full_attention") or rope
    if rope:
        writer.add_rope_freq_base(rope["rope_theta"])
        width = getattr(config, "head_dim", config.hidden_size // config.num_attention_heads)
        writer.add_rope_dimension_count(int(width * rope.get("partial_rotary_factor", 1.0)))


def vocabulary(writer: GGUFWriter, tokenizer: Any, rule: str | None) -> None:
    """The byte-level BPE of the tests' tokenizer; spare rows are filled with unused words."""
    told = json.loads(tokenizer.backend_tokenizer.to_str())
    words = sorted(told["model"]["vocab"], key=told["model"]["vocab"].__getitem__)
    spare = [f"[PAD{i}]" for i in range(len(words), VOCABULARY)]
    special = {added["content"] for added in told["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    if rule is not None:
        writer.add_tokenizer_pre(rule)
    writer.add_token_list([*words, *spare])
    writer.add_token_types([3 if word in special else 1 for word in words] + [5] * len(spare))
    merges = told["model"]["merges"]
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    writer.add_eos_token_id(0)
    writer.add_eot_token_id(1)
    writer.add_chat_template(TEMPLATE)


def write_gguf(
    path: Path,
    config: Any,
    tokenizer: Any,
    kind: str = "F32",
    rule: str | None = "gpt-2",
    more: dict[str, Any] | None = None,
    extra: dict[str, np.ndarray] | None = None,
) -> PreTrainedModel:
    """Draw a model of ``config``, write it to ``path``, and return it as the file's bits have it.

    ``kind`` is the type of its matrices; ``more`` keys and ``extra`` tensors go in besides.
    """
    with undisturbed():
        torch.manual_seed(0)
        model: Any = AutoModelForCausalLM.from_config(config).eval()
        for parameter in model.parameters():  # norms and biases that differ from each other
            torch.nn.init.normal_(parameter, mean=0.1 if parameter.ndim == 1 else 0, std=0.2)
    architecture = ARCHITECTURES.get(config.model_type, config.model_type)
    writer = GGUFWriter(path, architecture)
    writer.add_name("Tiny")
    writer.add_license("apache-2.0")
    head(writer, config)
    vocabulary(writer, tokenizer, rule)
    for key, value in (more or {}).items():
        (writer.add_uint32 if isinstance(value, int) else writer.add_string)(key, value)
    processor = TENSOR_PROCESSORS.get(architecture, TensorProcessor)(config=config.to_dict())
    names = {
        ours: theirs
        for theirs, ours in get_gguf_hf_weights_map(model, processor, architecture).items()
    }
    state = model.state_dict()
    for ours in [n for n in state if n not in model.all_tied_weights_keys]:
        held = layout(architecture, names[ours], state[ours].numpy(), config).astype(np.float32)
        which = GGMLQuantizationType[kind if held.ndim > 1 else "F32"]
        stored = quantize(np.ascontiguousarray(held), which)
        writer.add_tensor(names[ours], stored, raw_dtype=which)
        lost = dequantize(stored, which).reshape(held.shape) - held
        undone = torch.from_numpy(
            np.ascontiguousarray(_undo(architecture, names[ours], lost, config))
        )
        state[ours] += undone
    for name, tensor in (extra or {}).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def _undo(architecture: str, name: str, lost: np.ndarray, config: Any) -> np.ndarray:
    """What rounding lost, in transformers' layout."""
    if architecture == "llama" and (".attn_q." in name or ".attn_k." in name):
        which = "num_attention_heads" if ".attn_q." in name else "num_key_value_heads"
        heads = getattr(config, which)
        pairs = lost.reshape(heads, lost.shape[0] // heads // 2, 2, *lost.shape[1:])
        return pairs.swapaxes(1, 2).reshape(lost.shape)
    return layout(architecture, name, lost, config) if architecture == "gpt2" else lost
