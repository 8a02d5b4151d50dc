"""Causal language models, as families."""

from dataclasses import replace

from evergrow.models.families.fields import PLAIN, ROTARY
from evergrow.models.family import Family

# What classifies texts or tokens, or finds answers, by what the last norm gives.
_OTHER_HEADS = {
    "score": "_ <- logits",
    "classifier": "_ <- logits",
    "qa_outputs": "_ <- logits",
}

_PRE_NORM_GATED = {
    "embed_tokens": "table vocab, hidden",
    "layers.*.input_layernorm": "hidden => normed",
    "layers.*.self_attn.q_proj": "heads*query <- normed",
    "layers.*.self_attn.k_proj": "kv_heads*key <- normed",
    "layers.*.self_attn.v_proj": "kv_heads*value <- normed",
    "layers.*.self_attn.o_proj": "hidden <- heads*value",
    "layers.*.self_attn.rotary_emb.inv_freq": "fixed",
    "layers.*.post_attention_layernorm": "hidden => normed",
    "layers.*.mlp.gate_proj": "ffn <- normed",
    "layers.*.mlp.up_proj": "ffn <- normed",
    "layers.*.mlp.down_proj": "hidden <- ffn",
    "norm": "hidden => logits",
    "lm_head": "vocab <- logits",
    **_OTHER_HEADS,
}

_LLAMA = Family(
    name="llama",
    prefix="model.",
    blocks=("layers",),
    fields=ROTARY,
    norm="rms",
    modules=_PRE_NORM_GATED,
    zero=("self_attn.o_proj", "mlp.down_proj"),
    rotary=True,
    whole_heads=True,
    tied=("embed_tokens", "lm_head"),
    own="pretraining_tp mlp_bias rope_interleaved is_llama_config",
)

_MISTRAL = replace(_LLAMA, name="mistral", own="", whole_heads=False)

_QWEN2 = replace(_MISTRAL, name="qwen2", own="use_mrope", per_layer=("layer_types",))

_QWEN3 = replace(
    _QWEN2,
    name="qwen3",
    own="",
    modules=_PRE_NORM_GATED
    | {
        "layers.*.self_attn.q_proj": "heads*raw_dim <- normed",
        "layers.*.self_attn.q_norm": "raw_dim => query",
        "layers.*.self_attn.k_proj": "kv_heads*raw_dim <- normed",
        "layers.*.self_attn.k_norm": "raw_dim => key",
    },
)

_SMOLLM3 = replace(
    _MISTRAL,
    name="smollm3",
    own="mlp_bias no_rope_layer_interval",
    per_layer=("layer_types", "no_rope_layers"),
)

_GRANITE = replace(  # constants times embeddings, sums, logits: of no size
    _LLAMA,
    name="granite",
    fixed_scores=True,
    whole_heads=False,
    own="mlp_bias embedding_multiplier logits_scaling residual_multiplier attention_multiplier",
)

_PHI3 = replace(
    _MISTRAL,
    name="phi3",
    fields={axis: name for axis, name in ROTARY.items() if axis != "head_dim"},
    own="resid_pdrop embd_pdrop original_max_position_embeddings partial_rotary_factor",
    modules={
        **_PRE_NORM_GATED,
        "layers.*.self_attn.qkv_proj": "heads*query + kv_heads*key + kv_heads*value <- normed",
        "layers.*.mlp.gate_up_proj": "ffn + ffn <- normed",
    },
)

_STABLELM = replace(
    _MISTRAL,
    name="stablelm",
    norm="layer",
    rotary_share=0.25,
    fields={axis: name for axis, name in ROTARY.items() if axis != "head_dim"},
    own="use_qkv_bias qk_layernorm use_parallel_residual partial_rotary_factor",
)

_GEMMA = replace(
    _MISTRAL,
    name="gemma",
    gain_offset=1.0,
    table_times_root=True,
    tied_by_default=True,
    own="hidden_activation use_bidirectional_attention",
    modules={**_PRE_NORM_GATED, "embed_tokens": "table vocab, embedded"},
)

_GEMMA2 = replace(
    _GEMMA,
    name="gemma2",
    whole_heads=True,
    fixed_scores=True,
    per_layer=("layer_types",),
    zero=("post_attention_layernorm", "post_feedforward_layernorm"),
    own="hidden_activation query_pre_attn_scalar final_logit_softcapping attn_logit_softcapping "
    "use_bidirectional_attention cache_implementation",
    modules={
        **_GEMMA.modules,
        "layers.*.post_attention_layernorm": "hidden => hidden",
        "layers.*.pre_feedforward_layernorm": "hidden => normed",
        "layers.*.post_feedforward_layernorm": "hidden => hidden",
    },
)

_GEMMA3 = replace(
    _GEMMA2,
    name="gemma3_text",
    own=f"{_GEMMA2.own} rope_local_base_freq sliding_window_pattern _sliding_window_pattern",
    modules={
        **_GEMMA2.modules,
        "layers.*.self_attn.q_proj": "heads*raw_dim <- normed",
        "layers.*.self_attn.q_norm": "raw_dim => query",
        "layers.*.self_attn.k_proj": "kv_heads*raw_dim <- normed",
        "layers.*.self_attn.k_norm": "raw_dim => key",
    },
)

_OLMO2 = replace(
    _MISTRAL,
    name="olmo2",
    zero=("post_attention_layernorm", "post_feedforward_layernorm"),
    modules={
        "embed_tokens": "table vocab, hidden",
        "layers.*.self_attn.q_proj": "raw_heads*raw_dim <- hidden",
        "layers.*.self_attn.q_norm": "raw_heads*raw_dim => heads*query",
        "layers.*.self_attn.k_proj": "raw_kv_heads*raw_dim <- hidden",
        "layers.*.self_attn.k_norm": "raw_kv_heads*raw_dim => kv_heads*key",
        "layers.*.self_attn.v_proj": "kv_heads*value <- hidden",
        "layers.*.self_attn.o_proj": "hidden <- heads*value",
        "layers.*.post_attention_layernorm": "hidden => hidden",
        "layers.*.mlp.gate_proj": "ffn <- hidden",
        "layers.*.mlp.up_proj": "ffn <- hidden",
        "layers.*.mlp.down_proj": "hidden <- ffn",
        "layers.*.post_feedforward_layernorm": "hidden => hidden",
        "norm": "hidden => logits",
        "lm_head": "vocab <- logits",
        **_OTHER_HEADS,
    },
)

_GPT_NEOX = Family(
    name="gpt_neox",
    prefix="gpt_neox.",
    blocks=("layers",),
    fields=PLAIN,
    norm="layer",
    modules={
        "embed_in": "table vocab, hidden",
        "layers.*.input_layernorm": "hidden => normed",
        "layers.*.attention.query_key_value": "heads*(query + key + value) <- normed",
        "layers.*.attention.dense": "hidden <- heads*value",
        "layers.*.attention.bias": "fixed",
        "layers.*.attention.masked_bias": "fixed",
        "layers.*.attention.rotary_emb.inv_freq": "fixed",
        "layers.*.post_attention_layernorm": "hidden => normed",
        "layers.*.mlp.dense_h_to_4h": "ffn <- normed",
        "layers.*.mlp.dense_4h_to_h": "hidden <- ffn",
        "final_layer_norm": "hidden => logits",
        "lm_head": "vocab <- logits",
        "embed_out": "vocab <- logits",
        **_OTHER_HEADS,
    },
    zero=("attention.dense", "mlp.dense_4h_to_h"),
    rotary=True,
    rotary_share=0.25,
    tied=("embed_in", "lm_head", "embed_out"),
    own="rotary_pct rotary_emb_base use_parallel_residual",
)

_GPT2 = Family(
    name="gpt2",
    prefix="transformer.",
    blocks=("h",),
    fields={
        "hidden": "n_embd",
        "heads": "n_head",
        "ffn": "n_inner",
        "layers": "n_layer",
        "vocab": "vocab_size",
    },
    norm="layer",
    modules={
        "wte": "table vocab, hidden",
        "wpe": "table _, hidden",
        "h.*.ln_1": "hidden => normed",
        "h.*.attn.c_attn": "normed -> heads*query + heads*key + heads*value",
        "h.*.attn.c_proj": "heads*value -> hidden",
        "h.*.attn.bias": "fixed",
        "h.*.attn.masked_bias": "fixed",
        "h.*.ln_2": "hidden => normed",
        "h.*.mlp.c_fc": "normed -> ffn",
        "h.*.mlp.c_proj": "ffn -> hidden",
        "ln_f": "hidden => logits",
        "lm_head": "vocab <- logits",
        **_OTHER_HEADS,
    },
    zero=("attn.c_proj", "mlp.c_proj"),
    tied=("wte", "lm_head"),
    tied_by_default=True,
    own="n_positions n_ctx activation_function resid_pdrop embd_pdrop attn_pdrop "
    "layer_norm_epsilon scale_attn_weights scale_attn_by_inverse_layer_idx "
    "reorder_and_upcast_attn summary_type summary_use_proj summary_activation "
    "summary_proj_to_labels summary_first_dropout n_special predict_special_tokens",
    bound={
        "scale_attn_weights": ((True,), "head_dim"),
        "scale_attn_by_inverse_layer_idx": ((False,), "layers"),
    },
)

_OPT = Family(  # the one whose table needs a projection has its norms elsewhere too
    name="opt",
    prefix="model.",
    blocks=("decoder.layers",),
    fields=PLAIN | {"ffn": "ffn_dim"},
    norm="layer",
    modules={
        "decoder.embed_tokens": "table vocab, embedded",
        "decoder.embed_positions": "table _, hidden",
        "decoder.layers.*.self_attn_layer_norm": "hidden => normed",
        "decoder.layers.*.self_attn.q_proj": "heads*query <- normed",
        "decoder.layers.*.self_attn.k_proj": "heads*key <- normed",
        "decoder.layers.*.self_attn.v_proj": "heads*value <- normed",
        "decoder.layers.*.self_attn.out_proj": "hidden <- heads*value",
        "decoder.layers.*.final_layer_norm": "hidden => normed",
        "decoder.layers.*.fc1": "ffn <- normed",
        "decoder.layers.*.fc2": "hidden <- ffn",
        "decoder.final_layer_norm": "hidden => logits",
        "lm_head": "vocab <- logits",
        **_OTHER_HEADS,
    },
    zero=("self_attn.out_proj", "fc2"),
    tied=("decoder.embed_tokens", "lm_head"),
    tied_by_default=True,
    table_field="word_embed_proj_dim",
    bound={"do_layer_norm_before": ((True,), "hidden")},
    own="_remove_final_layer_norm dropout activation_function activation_dropout layerdrop "
    "init_std enable_bias layer_norm_elementwise_affine do_layer_norm_before",
)

_EXPERTS = {  # as transformers holds them, and as files do
    "layers.*.mlp.gate": "_ <- normed",
    "layers.*.mlp.experts.gate_up_proj": "each ffn + ffn <- normed",
    "layers.*.mlp.experts.down_proj": "each hidden <- ffn",
    "layers.*.mlp.experts.*.gate_proj": "ffn <- normed",
    "layers.*.mlp.experts.*.up_proj": "ffn <- normed",
    "layers.*.mlp.experts.*.down_proj": "hidden <- ffn",
}
_ROUTING = "num_experts num_local_experts num_experts_per_tok norm_topk_prob output_router_logits"
_ROUTING += " router_aux_loss_coef router_jitter_noise"
_SILENT_EXPERTS = ("self_attn.o_proj", "mlp.experts.down_proj", "mlp.experts.*.down_proj")

_QWEN3_MOE = replace(  # intermediate_size is that of blocks without experts, and stays
    _QWEN3,
    name="qwen3_moe",
    fields=ROTARY | {"ffn": "moe_intermediate_size"},
    per_layer=(),
    zero=(*_SILENT_EXPERTS, "mlp.down_proj"),
    own=f"{_ROUTING} intermediate_size decoder_sparse_step mlp_only_layers",
    bound={"mlp_only_layers": (([],), "layers"), "decoder_sparse_step": ((1,), "layers")},
    modules={
        **_QWEN3.modules,
        **_EXPERTS,
        "layers.*.mlp.gate_proj": "_ <- normed",
        "layers.*.mlp.up_proj": "_ <- normed",
        "layers.*.mlp.down_proj": "hidden <- _",
    },
)

_MIXTRAL = replace(
    _MISTRAL,
    name="mixtral",
    zero=(*_SILENT_EXPERTS, "block_sparse_moe.experts.*.w2"),
    own=_ROUTING,
    modules={
        **_PRE_NORM_GATED,
        **_EXPERTS,
        "layers.*.block_sparse_moe.gate": "_ <- normed",
        "layers.*.block_sparse_moe.experts.*.w1": "ffn <- normed",
        "layers.*.block_sparse_moe.experts.*.w3": "ffn <- normed",
        "layers.*.block_sparse_moe.experts.*.w2": "hidden <- ffn",
    },
)

_OLMOE = replace(
    _MISTRAL,
    name="olmoe",
    fields={axis: name for axis, name in ROTARY.items() if axis != "head_dim"},
    zero=_SILENT_EXPERTS,
    own=f"{_ROUTING} clip_qkv",
    bound={"clip_qkv": ((), "head_dim")},
    modules={
        **_PRE_NORM_GATED,
        **_EXPERTS,
        "layers.*.self_attn.q_proj": "raw_heads*raw_dim <- normed",
        "layers.*.self_attn.q_norm": "raw_heads*raw_dim => heads*query",
        "layers.*.self_attn.k_proj": "raw_kv_heads*raw_dim <- normed",
        "layers.*.self_attn.k_norm": "raw_kv_heads*raw_dim => kv_heads*key",
    },
)

DECODERS = (
    _GPT2,
    _GPT_NEOX,
    _LLAMA,
    _MISTRAL,
    _QWEN2,
    _QWEN3,
    _OLMO2,
    replace(_OLMO2, name="olmo3", per_layer=("layer_types",)),
    _SMOLLM3,
    _GRANITE,
    _PHI3,
    _STABLELM,
    _OPT,
    _GEMMA,
    _GEMMA2,
    _GEMMA3,
    _QWEN3_MOE,
    _MIXTRAL,
    _OLMOE,
)
