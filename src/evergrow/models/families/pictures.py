"""Models of pictures, as families."""

from dataclasses import replace

from evergrow.models.families.fields import PLAIN
from evergrow.models.family import Family

_FIELDS = {axis: name for axis, name in PLAIN.items() if axis != "vocab"}

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
    fields=_FIELDS,
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

_DEIT = replace(
    _VIT,
    name="deit",
    prefix="deit.",
    modules={
        "embeddings.distillation_token": "param _, _, hidden",
        **_VIT.modules,
        "cls_classifier": "_ <- normed",
        "distillation_classifier": "_ <- normed",
    },
)

_DINOV2 = Family(
    name="dinov2",
    prefix="dinov2.",
    blocks=("encoder.layer",),
    fields={axis: name for axis, name in _FIELDS.items() if axis != "ffn"},
    norm="layer",
    modules={
        "embeddings.cls_token": "param _, _, hidden",
        "embeddings.mask_token": "param _, hidden",
        "embeddings.position_embeddings": "param _, _, hidden",
        "embeddings.patch_embeddings.projection": "hidden <- _",
        "encoder.layer.*.norm1": "hidden => normed",
        "encoder.layer.*.attention.q_proj": "heads*query <- normed",
        "encoder.layer.*.attention.k_proj": "heads*key <- normed",
        "encoder.layer.*.attention.v_proj": "heads*value <- normed",
        "encoder.layer.*.attention.o_proj": "hidden <- heads*value",
        "encoder.layer.*.attention.attention.query": "heads*query <- normed",
        "encoder.layer.*.attention.attention.key": "heads*key <- normed",
        "encoder.layer.*.attention.attention.value": "heads*value <- normed",
        "encoder.layer.*.attention.output.dense": "hidden <- heads*value",
        "encoder.layer.*.layer_scale1.lambda1": "param hidden",
        "encoder.layer.*.norm2": "hidden => normed",
        "encoder.layer.*.mlp.fc1": "ffn <- normed",
        "encoder.layer.*.mlp.fc2": "hidden <- ffn",
        "encoder.layer.*.layer_scale2.lambda1": "param hidden",
        "layernorm": "hidden => normed",
        "classifier": "_ <- normed + normed",  # the class token beside the mean of the patches
    },
    zero=("layer_scale1.lambda1", "layer_scale2.lambda1"),
    only_copies=True,
    ffn_times="mlp_ratio",
    own="image_size patch_size num_channels qkv_bias mlp_ratio layerscale_value drop_path_rate "
    "use_swiglu_ffn apply_layernorm reshape_hidden_states use_mask_token",
    named_by_depth=("out_features", "out_indices", "stage_names"),
)

PICTURES = (_VIT, _VIT_MAE, _DEIT, _DINOV2)
