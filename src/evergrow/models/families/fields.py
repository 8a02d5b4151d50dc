"""The names that most architectures give the sizes of their axes in config.json."""

ROTARY = {
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "ffn": "intermediate_size",
    "layers": "num_hidden_layers",
    "vocab": "vocab_size",
}
PLAIN = {axis: ROTARY[axis] for axis in ("hidden", "heads", "ffn", "layers", "vocab")}
