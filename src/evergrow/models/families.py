"""The architectures that growth, freezing by depth and rates by depth know; see `Family`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from evergrow.config import nearest
from evergrow.errors import InputError
from evergrow.models.family import Family

_ROTARY_FIELDS = {
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "ffn": "intermediate_size",
    "layers": "num_hidden_layers",
    "vocab": "vocab_size",
}
_FIELDS = {axis: _ROTARY_FIELDS[axis] for axis in ("hidden", "heads", "ffn", "layers", "vocab")}

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
    "score": "_ <- logits",
}

_LLAMA = Family(
    name="llama",
    prefix="model.",
    blocks=("layers",),
    fields=_ROTARY_FIELDS,
    norm="rms",
    modules=_PRE_NORM_GATED,
    zero=("self_attn.o_proj", "mlp.down_proj"),
    rotary=True,
    tied=("embed_tokens", "lm_head"),
    own="pretraining_tp mlp_bias rope_interleaved is_llama_config",
)

# Which blocks slide is counted from the bottom where no list says it.
_SLIDING = {"use_sliding_window": (True, "layers", "layer_types")}

_QWEN3 = replace(
    _LLAMA,
    name="qwen3",
    own="",
    bound=_SLIDING,
    modules=_PRE_NORM_GATED
    | {
        "layers.*.self_attn.q_proj": "heads*raw_dim <- normed",
        "layers.*.self_attn.q_norm": "raw_dim => query",
        "layers.*.self_attn.k_proj": "kv_heads*raw_dim <- normed",
        "layers.*.self_attn.k_norm": "raw_dim => key",
    },
)

_OLMO2 = replace(
    _LLAMA,
    name="olmo2",
    own="",
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
    },
)

_GPT_NEOX = Family(
    name="gpt_neox",
    prefix="gpt_neox.",
    blocks=("layers",),
    fields=_FIELDS,
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
    },
    zero=("attention.dense", "mlp.dense_4h_to_h"),
    rotary=True,
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
        "score": "_ <- logits",
    },
    zero=("attn.c_proj", "mlp.c_proj"),
    tied=("wte", "lm_head"),
    tied_by_default=True,
    own="n_positions n_ctx activation_function resid_pdrop embd_pdrop attn_pdrop "
    "layer_norm_epsilon scale_attn_weights scale_attn_by_inverse_layer_idx "
    "reorder_and_upcast_attn summary_type summary_use_proj summary_activation "
    "summary_proj_to_labels summary_first_dropout",
    bound={
        "scale_attn_weights": (False, "head_dim", None),
        "scale_attn_by_inverse_layer_idx": (True, "layers", None),
    },
)

_BERT_TRUNK = {
    "embeddings.word_embeddings": "table vocab, hidden",
    "embeddings.position_embeddings": "table _, hidden",
    "embeddings.token_type_embeddings": "table _, hidden",
    "embeddings.position_ids": "fixed",
    "embeddings.LayerNorm": "hidden => hidden",
    "encoder.layer.*.attention.self.query": "heads*query <- hidden",
    "encoder.layer.*.attention.self.key": "heads*key <- hidden",
    "encoder.layer.*.attention.self.value": "heads*value <- hidden",
    "encoder.layer.*.attention.output.dense": "hidden <- heads*value",
    "encoder.layer.*.attention.output.LayerNorm": "hidden => hidden",
    "encoder.layer.*.intermediate.dense": "ffn <- hidden",
    "encoder.layer.*.output.dense": "hidden <- ffn",
    "encoder.layer.*.output.LayerNorm": "hidden => hidden",
    "pooler.dense": "hidden <- hidden",
    "classifier": "_ <- hidden",
    "qa_outputs": "_ <- hidden",
}

_BERT = Family(
    name="bert",
    prefix="bert.",
    blocks=("encoder.layer",),
    fields=_FIELDS,
    norm="layer",
    modules=_BERT_TRUNK
    | {
        "cls.predictions.transform.dense": "hidden <- hidden",
        "cls.predictions.transform.LayerNorm": "hidden => logits",
        "cls.predictions.decoder": "vocab <- logits",
        "cls.predictions.bias": "param vocab",
        "cls.seq_relationship": "_ <- hidden",
    },
    zero=(),
    post=True,
    tied=("embeddings.word_embeddings", "cls.predictions.decoder"),
    tied_by_default=True,
    own="type_vocab_size position_embedding_type",
)

_ROBERTA = replace(
    _BERT,
    name="roberta",
    prefix="roberta.",
    modules=_BERT_TRUNK
    | {
        "classifier.dense": "hidden <- hidden",
        "classifier.out_proj": "_ <- hidden",
        "lm_head.dense": "hidden <- hidden",
        "lm_head.layer_norm": "hidden => logits",
        "lm_head.decoder": "vocab <- logits",
        "lm_head.bias": "param vocab",
    },
    tied=("embeddings.word_embeddings", "lm_head.decoder"),
)

_VIT_TRUNK = {
    "embeddings.cls_token": "param _, _, hidden",
    "embeddings.mask_token": "param _, _, hidden",
    "embeddings.position_embeddings": "param _, _, hidden",
    "embeddings.patch_embeddings.projection": "hidden <- _",
    "layers.*.layernorm_before": "hidden => normed",
    "layers.*.attention.q_proj": "heads*query <- normed",
    "layers.*.attention.k_proj": "heads*key <- normed",
    "layers.*.attention.v_proj": "heads*value <- normed",
    "layers.*.attention.o_proj": "hidden <- heads*value",
    "layers.*.layernorm_after": "hidden => normed",
    "layers.*.mlp.fc1": "ffn <- normed",
    "layers.*.mlp.fc2": "hidden <- ffn",
    # the same blocks as files name them
    "encoder.layer.*.layernorm_before": "hidden => normed",
    "encoder.layer.*.attention.attention.query": "heads*query <- normed",
    "encoder.layer.*.attention.attention.key": "heads*key <- normed",
    "encoder.layer.*.attention.attention.value": "heads*value <- normed",
    "encoder.layer.*.attention.output.dense": "hidden <- heads*value",
    "encoder.layer.*.layernorm_after": "hidden => normed",
    "encoder.layer.*.intermediate.dense": "ffn <- normed",
    "encoder.layer.*.output.dense": "hidden <- ffn",
    "layernorm": "hidden => normed",
}

_VIT = Family(
    name="vit",
    prefix="vit.",
    blocks=("layers", "encoder.layer"),
    fields={axis: name for axis, name in _FIELDS.items() if axis != "vocab"},
    norm="layer",
    modules=_VIT_TRUNK
    | {"pooler.dense": "_ <- normed", "classifier": "_ <- normed", "decoder.0": "_ <- normed"},
    zero=("attention.o_proj", "mlp.fc2", "attention.output.dense", "output.dense"),
    own="image_size patch_size num_channels qkv_bias encoder_stride pooler_act",
    kept={"pooler_output_size": "hidden"},
)

_VIT_MAE = replace(  # its decoder keeps its size; tables of positions are data, whoever made them
    _VIT,
    name="vit_mae",
    modules=_VIT_TRUNK
    | {
        "decoder.decoder_embed": "_ <- normed",
        "decoder.decoder_pos_embed": "fixed",
        "decoder.mask_token": "fixed",
        "decoder.decoder_layers.**": "fixed",
        "decoder.decoder_encoder.**": "fixed",
        "decoder.decoder_norm.*": "fixed",
        "decoder.decoder_pred.*": "fixed",
    },
    own="image_size patch_size num_channels qkv_bias decoder_hidden_size decoder_intermediate_size "
    "decoder_num_attention_heads decoder_num_hidden_layers mask_ratio norm_pix_loss",
    kept={},
)

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        _BERT,
        _ROBERTA,
        _GPT2,
        _GPT_NEOX,
        _LLAMA,
        replace(_LLAMA, name="mistral", own=""),
        replace(_LLAMA, name="qwen2", own="use_mrope", bound=_SLIDING),
        _QWEN3,
        _OLMO2,
        _VIT,
        _VIT_MAE,
    )
}


def family_of(config: Mapping[str, Any]) -> Family:
    """The family of a config.json; raises InputError for an architecture nobody described."""
    kind = config.get("model_type")
    if kind not in FAMILIES:
        raise InputError(
            f"model_type {kind!r}: no family of this name is described; "
            f"{nearest(str(kind), FAMILIES, 'described families')}"
        )
    return FAMILIES[str(kind)]
