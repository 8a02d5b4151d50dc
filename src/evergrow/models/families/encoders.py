"""Encoders of text, as families."""

from dataclasses import replace

from evergrow.models.families.fields import PLAIN
from evergrow.models.family import Family

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
    fields=PLAIN,
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
    own="type_vocab_size position_embedding_type directionality pooler_fc_size "
    "pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type",
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

_DISTILBERT = Family(
    name="distilbert",
    prefix="distilbert.",
    blocks=("transformer.layer",),
    fields={
        "hidden": "dim",
        "heads": "n_heads",
        "ffn": "hidden_dim",
        "layers": "n_layers",
        "vocab": "vocab_size",
    },
    norm="layer",
    modules={
        "embeddings.word_embeddings": "table vocab, hidden",
        "embeddings.position_embeddings": "table _, hidden",
        "embeddings.position_ids": "fixed",
        "embeddings.LayerNorm": "hidden => hidden",
        "transformer.layer.*.attention.q_lin": "heads*query <- hidden",
        "transformer.layer.*.attention.k_lin": "heads*key <- hidden",
        "transformer.layer.*.attention.v_lin": "heads*value <- hidden",
        "transformer.layer.*.attention.out_lin": "hidden <- heads*value",
        "transformer.layer.*.sa_layer_norm": "hidden => hidden",
        "transformer.layer.*.ffn.lin1": "ffn <- hidden",
        "transformer.layer.*.ffn.lin2": "hidden <- ffn",
        "transformer.layer.*.output_layer_norm": "hidden => hidden",
        "vocab_transform": "hidden <- hidden",
        "vocab_layer_norm": "hidden => logits",
        "vocab_projector": "vocab <- logits",
        "pre_classifier": "hidden <- hidden",
        "classifier": "_ <- hidden",
        "qa_outputs": "_ <- hidden",
    },
    zero=(),
    post=True,
    tied=("embeddings.word_embeddings", "vocab_projector"),
    tied_by_default=True,
    own="sinusoidal_pos_embds dropout activation qa_dropout seq_classif_dropout tie_weights_",
)

_ELECTRA = replace(
    _BERT,
    name="electra",
    prefix="electra.",
    table_field="embedding_size",
    modules={
        "embeddings.word_embeddings": "table vocab, embedded",
        "embeddings.position_embeddings": "table _, embedded",
        "embeddings.token_type_embeddings": "table _, embedded",
        "embeddings.position_ids": "fixed",
        "embeddings.LayerNorm": "embedded => embedded",
        "embeddings_project": "hidden <- embedded",
        **{name: line for name, line in _BERT_TRUNK.items() if name.startswith("encoder.")},
        "generator_predictions.dense": "embedded <- hidden",
        "generator_predictions.LayerNorm": "embedded => logits",
        "generator_lm_head": "vocab <- logits",
        "discriminator_predictions.dense": "hidden <- hidden",
        "discriminator_predictions.dense_prediction": "_ <- hidden",
        "classifier": "_ <- hidden",
        "classifier.dense": "hidden <- hidden",
        "classifier.out_proj": "_ <- hidden",
        "qa_outputs": "_ <- hidden",
    },
    tied=("embeddings.word_embeddings", "generator_lm_head"),
    own="type_vocab_size position_embedding_type summary_type summary_use_proj "
    "summary_activation summary_last_dropout",
)

_MODERNBERT = Family(
    name="modernbert",
    prefix="model.",
    blocks=("layers",),
    fields=PLAIN,
    norm="layer",
    modules={
        "embeddings.tok_embeddings": "table vocab, hidden",
        "embeddings.norm": "hidden => hidden",
        "layers.*.attn_norm": "hidden => normed",  # the first block has none
        "layers.*.attn.Wqkv": "heads*query + heads*key + heads*value <- normed",
        "layers.*.attn.Wo": "hidden <- heads*value",
        "layers.*.mlp_norm": "hidden => normed",
        "layers.*.mlp.Wi": "ffn + ffn <- normed",
        "layers.*.mlp.Wo": "hidden <- ffn",
        "final_norm": "hidden => normed",
        "head.dense": "hidden <- normed",
        "head.norm": "hidden => logits",
        "decoder": "vocab <- logits",
        "classifier": "_ <- logits",
    },
    zero=(),
    only_copies=True,
    rotary=True,
    tied=("embeddings.tok_embeddings", "decoder"),
    tied_by_default=True,
    bound={"model_type": ((), "layers")},  # another block cannot be the first
    own="hidden_activation initializer_cutoff_factor norm_eps norm_bias mlp_bias mlp_dropout "
    "embedding_dropout local_attention decoder_bias classifier_pooling classifier_bias "
    "classifier_activation deterministic_flash_attn sparse_prediction sparse_pred_ignore_index "
    "global_attn_every_n_layers global_rope_theta local_rope_theta reference_compile "
    "repad_logits_with_grad position_embedding_type",
)

ENCODERS = (
    _BERT,
    _ROBERTA,
    replace(_ROBERTA, name="xlm-roberta"),
    _DISTILBERT,
    _ELECTRA,
    _MODERNBERT,
)
