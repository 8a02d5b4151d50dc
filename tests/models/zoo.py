"""Every language model of transformers that its configuration can be told to build small."""

import inspect
from typing import Any

from transformers import CONFIG_MAPPING, PreTrainedConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

VOCABULARY, LENGTH = 272, 16
# What a size is called, and how small it can be; applied where a configuration has the name.
SIZES: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "dim", "embedding_size"), 32),
    **dict.fromkeys(("emb_dim", "embed_dim", "attention_hidden_size", "lru_width"), 32),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "d_ff", "ffn_hidden_size"), 64),
    **dict.fromkeys(("decoder_ffn_dim", "encoder_ffn_dim", "d_inner", "hidden_dim"), 64),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size", "dim_ff"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), 2),
    **dict.fromkeys(("decoder_layers", "encoder_layers", "num_decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("decoder_attention_heads", "encoder_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads"), 2),
    **dict.fromkeys(("head_dim", "kv_channels", "dim_head"), 8),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "seq_length"), 2 * LENGTH),
    **dict.fromkeys(("max_seq_len", "context_length"), 2 * LENGTH),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token", "moe_k", "top_k"), 2),
    **dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout"), 0.0),
    **dict.fromkeys(("attention_dropout", "hidden_dropout", "resid_pdrop", "attn_pdrop"), 0.0),
    **dict.fromkeys(("embd_pdrop", "activation_dropout", "layerdrop", "decoder_layerdrop"), 0.0),
    **dict.fromkeys(("kv_lora_rank", "q_lora_rank", "o_lora_rank"), 16),
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim"), 8),
    **dict.fromkeys(("mamba_n_heads", "mamba_num_heads", "n_mamba_heads"), 4),
    **dict.fromkeys(("mamba_d_head", "mamba_head_dim"), 16),
    **dict.fromkeys(("mamba_d_state", "state_size", "ssm_state_size", "mamba_d_ssm"), 16),
    "sliding_window": LENGTH // 2,
    "expand": 2,
    "vocab_size": VOCABULARY,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
# Where one size follows from others by a rule of the family, or has a name of its own.
OWN: dict[str, dict[str, Any]] = {
    "codegen": {"rotary_dim": 4},
    "gptj": {"rotary_dim": 4},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 8},
    "funnel": {"block_sizes": [1, 1], "d_head": 8},
    "prophetnet": {"num_encoder_layers": 2, "num_decoder_layers": 2},
    "reformer": {
        "attention_head_size": 8,
        "axial_pos_embds": False,
        "feed_forward_size": 64,
        "attn_layers": ["local", "local"],
        "local_attn_chunk_length": 8,
    },
    "roc_bert": {
        "shape_vocab_size": 9,
        "pronunciation_vocab_size": 9,
        "shape_embed_dim": 8,
        "pronunciation_embed_dim": 8,
    },
    "luke": {"entity_vocab_size": 9, "entity_emb_size": 8},
    "mamba2": {"num_heads": 4, "head_dim": 16, "n_groups": 1, "chunk_size": 16},
    "xlnet": {"d_head": 8},
    "xmod": {"default_language": "en_XX"},
}


def names(masked: bool) -> list[str]:
    """The families of one kind, whose class is made for it."""
    found = MODEL_FOR_MASKED_LM_MAPPING_NAMES if masked else MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return sorted(k for k, name in found.items() if not name.endswith("ConditionalGeneration"))


def tiny_config(model_type: str, masked: bool) -> PreTrainedConfig:
    """A configuration of the family with every size it knows small; causal ones are decoders."""
    kind: Any = CONFIG_MAPPING[model_type]
    fields = set(inspect.signature(kind).parameters) | set(kind.attribute_map)
    own = OWN.get(model_type, {})
    asked = {name: size for name, size in SIZES.items() if name in fields and name not in own}
    if "qk_rope_head_dim" in fields:  # latent attention: a head is of two parts, all have keys
        asked.pop("head_dim", None)
        asked["num_key_value_heads"] = 4
    if "is_decoder" in fields:
        asked["is_decoder"] = not masked
    return kind(**asked, **own)
