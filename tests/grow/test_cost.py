"""Counts by hand, and beside the counts that transformers' own modules give."""

from typing import Any

import pytest

from evergrow.grow.cost import cost_of, ratios
from evergrow.models.skeleton import skeleton

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 16,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 6,
    "vocab_size": 11,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
}


def test_a_llama_by_hand() -> None:
    # q 16x24, k and v 16x12, o 24x16, three of 16x40, two norms of 16
    block = 16 * 24 + 2 * 16 * 12 + 24 * 16 + 3 * 16 * 40 + 2 * 16
    table = 11 * 16
    cost = cost_of(skeleton(LLAMA), 2)
    assert cost.num_parameters == 2 * block + 2 * table + 16
    multiplied = 2 * block + table + 16  # the input table is only looked up
    assert cost.flops_per_token == 6 * multiplied + 12 * 2 * 24 * 64
    assert cost.sequence_length == 64
    assert (
        cost.kv_cache_bytes_per_token == 2 * 2 * 2 * 6 * 2
    )  # k and v, layers, heads, width, bytes
    assert cost.weight_bytes == 2 * cost.num_parameters
    assert cost.training_bytes == 16 * cost.num_parameters


def test_a_tied_table_counts_once_and_is_multiplied() -> None:
    untied, tied = (
        cost_of(skeleton(LLAMA), 2),
        cost_of(skeleton({**LLAMA, "tie_word_embeddings": True}), 2),
    )
    assert untied.num_parameters - tied.num_parameters == 11 * 16
    assert untied.flops_per_token == tied.flops_per_token


def test_an_encoder_keeps_no_keys_and_an_image_has_patches() -> None:
    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 40,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    bert = {"model_type": "bert", "architectures": ["BertModel"], "vocab_size": 11} | sizes
    assert cost_of(skeleton(bert), 4).kv_cache_bytes_per_token is None
    image = {"image_size": 32, "patch_size": 8}
    vit = {"model_type": "vit", "architectures": ["ViTModel"]} | sizes | image
    assert cost_of(skeleton(vit), 4).sequence_length == 17


def test_ratios_compare_what_both_have() -> None:
    before = cost_of(skeleton(LLAMA), 2)
    after = cost_of(skeleton({**LLAMA, "num_hidden_layers": 4}), 2)
    found = ratios(before, after)
    assert found["kv_cache_bytes_per_token"] == 2
    assert found["num_parameters"] == pytest.approx(after.num_parameters / before.num_parameters)
    assert "sequence_length" not in found
