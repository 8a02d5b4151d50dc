"""config.json as the hub has them: the very keys of published models, with tiny sizes put in."""

from typing import Any

_NEW: dict[str, Any] = {
    "torch_dtype": "float32",
    "transformers_version": "4.40.0",
    "use_cache": True,
}
_BERT: dict[str, Any] = {
    "architectures": ["BertForMaskedLM"],
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 24,
    "initializer_range": 0.02,
    "intermediate_size": 40,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 40,
    "model_type": "bert",
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "pad_token_id": 0,
    "type_vocab_size": 2,
    "vocab_size": 61,
}
_ROBERTA = _BERT | {
    "architectures": ["RobertaForMaskedLM"],
    "bos_token_id": 0,
    "eos_token_id": 2,
    "layer_norm_eps": 1e-05,
    "model_type": "roberta",
    "pad_token_id": 1,
    "type_vocab_size": 1,
}
_GPT2: dict[str, Any] = {
    "activation_function": "gelu_new",
    "architectures": ["GPT2LMHeadModel"],
    "attn_pdrop": 0.1,
    "bos_token_id": 60,
    "embd_pdrop": 0.1,
    "eos_token_id": 60,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05,
    "model_type": "gpt2",
    "n_ctx": 40,
    "n_embd": 24,
    "n_head": 2,
    "n_layer": 2,
    "n_positions": 40,
    "resid_pdrop": 0.1,
    "summary_activation": None,
    "summary_first_dropout": 0.1,
    "summary_proj_to_labels": True,
    "summary_type": "cls_index",
    "summary_use_proj": True,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
    "vocab_size": 61,
}
_LLAMA: dict[str, Any] = _NEW | {
    "architectures": ["LlamaForCausalLM"],
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": 24,
    "initializer_range": 0.02,
    "intermediate_size": 40,
    "max_position_embeddings": 40,
    "model_type": "llama",
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "tie_word_embeddings": False,
    "vocab_size": 61,
}
_ROPE3 = {
    "factor": 8.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": 16,
    "rope_type": "llama3",
}
_QWEN2: dict[str, Any] = {
    name: value for name, value in _LLAMA.items() if name not in ("pretraining_tp", "rope_scaling")
} | {
    "architectures": ["Qwen2ForCausalLM"],
    "attention_dropout": 0.0,
    "max_window_layers": 2,
    "model_type": "qwen2",
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "sliding_window": 32,
    "tie_word_embeddings": True,
    "use_sliding_window": False,
}
_VIT: dict[str, Any] = {
    "architectures": ["ViTForImageClassification"],
    "attention_probs_dropout_prob": 0.0,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "hidden_size": 24,
    "image_size": 16,
    "initializer_range": 0.02,
    "intermediate_size": 40,
    "layer_norm_eps": 1e-12,
    "model_type": "vit",
    "num_attention_heads": 2,
    "num_channels": 3,
    "num_hidden_layers": 2,
    "patch_size": 4,
    "qkv_bias": True,
    "transformers_version": "4.13.0.dev0",
}
_LABELS = {"id2label": {"0": "a", "1": "b", "2": "c"}, "label2id": {"a": 0, "b": 1, "c": 2}}

_PLAIN = {name: value for name, value in _LLAMA.items() if name != "pretraining_tp"}
_GEMMA: dict[str, Any] = _PLAIN | {
    "attention_bias": False,
    "attention_dropout": 0.0,
    "head_dim": 8,
    "hidden_activation": "gelu_pytorch_tanh",
    "query_pre_attn_scalar": 16,
    "rms_norm_eps": 1e-06,
    "rope_theta": 10000.0,
    "sliding_window": 16,
    "tie_word_embeddings": True,
}
_ROPE_FREE = {name: value for name, value in _PLAIN.items() if name != "rope_scaling"}

HUB: dict[str, dict[str, Any]] = {
    "gpt2": _GPT2,
    "gpt2-medium": _GPT2 | {"n_special": 0, "predict_special_tokens": True},
    "gpt2-xl": _GPT2 | {"output_past": True},
    "distilgpt2": _GPT2
    | {"_num_labels": 1, **_LABELS}
    | {"task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}},
    "bert-base-uncased": _BERT
    | {"gradient_checkpointing": False, "position_embedding_type": "absolute", "use_cache": True}
    | {"transformers_version": "4.6.0.dev0"},
    "bert-base-multilingual-cased": _BERT
    | {
        "directionality": "bidi",
        "pooler_fc_size": 24,
        "pooler_num_attention_heads": 2,
        "pooler_num_fc_layers": 3,
        "pooler_size_per_head": 12,
        "pooler_type": "first_token_transform",
    },
    "roberta-base": _ROBERTA,
    "pythia-70m": {
        "architectures": ["GPTNeoXForCausalLM"],
        "bos_token_id": 0,
        "eos_token_id": 0,
        "hidden_act": "gelu",
        "hidden_size": 24,
        "initializer_range": 0.02,
        "intermediate_size": 40,
        "layer_norm_eps": 1e-05,
        "max_position_embeddings": 40,
        "model_type": "gpt_neox",
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "rotary_emb_base": 10000,
        "rotary_pct": 0.5,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "transformers_version": "4.24.0",
        "use_cache": True,
        "use_parallel_residual": True,
        "vocab_size": 61,
    },
    "Llama-2-7b-hf": _LLAMA
    | {"_name_or_path": "meta-llama/Llama-2-7b-hf", "num_key_value_heads": 4},
    "Llama-3.2-1B": _LLAMA
    | {"attention_bias": False, "attention_dropout": 0.0, "head_dim": 6, "mlp_bias": False}
    | {"rope_scaling": _ROPE3, "rope_theta": 500000.0, "tie_word_embeddings": True},
    "TinyLlama-1.1B": _LLAMA | {"attention_bias": False, "rope_theta": 10000.0},
    "SmolLM2-135M": _LLAMA
    | {"attention_bias": False, "attention_dropout": 0.0, "is_llama_config": True}
    | {"rope_interleaved": False, "rope_theta": 100000, "tie_word_embeddings": True}
    | {"mlp_bias": False, "transformers.js_config": {"kv_cache_dtype": {"fp16": "float16"}}},
    "Mistral-7B-v0.1": {name: value for name, value in _LLAMA.items() if name != "pretraining_tp"}
    | {"architectures": ["MistralForCausalLM"], "model_type": "mistral"}
    | {"rope_theta": 10000.0, "sliding_window": 32},
    "Qwen2.5-0.5B": _QWEN2 | {"use_mrope": False},
    "Qwen3-0.6B": _QWEN2
    | {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "sliding_window": None}
    | {"attention_bias": False, "head_dim": 6, "rope_scaling": None},
    "OLMo-2-0425-1B": {name: value for name, value in _LLAMA.items() if name != "pretraining_tp"}
    | {"architectures": ["Olmo2ForCausalLM"], "model_type": "olmo2", "pad_token_id": 3}
    | {"attention_bias": False, "attention_dropout": 0.0, "rope_theta": 500000},
    "vit-base-patch16-224": _VIT | _LABELS | {"_name_or_path": "google/vit-base-patch16-224-in21k"},
    "vit-base-patch16-224-in21k": _VIT
    | {"_name_or_path": "google/vit-base-patch16-224-in21k", "architectures": ["ViTModel"]},
    "vit-mae-base": _VIT
    | {
        "architectures": ["ViTMAEForPreTraining"],
        "decoder_hidden_size": 12,
        "decoder_intermediate_size": 16,
        "decoder_num_attention_heads": 2,
        "decoder_num_hidden_layers": 1,
        "mask_ratio": 0.75,
        "model_type": "vit_mae",
        "norm_pix_loss": False,
        "torch_dtype": "float32",
    },
    "xlm-roberta-base": _ROBERTA
    | {"architectures": ["XLMRobertaForMaskedLM"], "model_type": "xlm-roberta"}
    | {"output_past": True, "position_embedding_type": "absolute", "use_cache": True},
    "distilbert-base-uncased": {
        "activation": "gelu",
        "architectures": ["DistilBertForMaskedLM"],
        "attention_dropout": 0.1,
        "dim": 24,
        "dropout": 0.1,
        "hidden_dim": 40,
        "initializer_range": 0.02,
        "max_position_embeddings": 40,
        "model_type": "distilbert",
        "n_heads": 2,
        "n_layers": 2,
        "pad_token_id": 0,
        "qa_dropout": 0.1,
        "seq_classif_dropout": 0.2,
        "sinusoidal_pos_embds": False,
        "tie_weights_": True,
        "transformers_version": "4.10.0.dev0",
        "vocab_size": 61,
    },
    "electra-small-discriminator": _BERT
    | {"architectures": ["ElectraForPreTraining"], "model_type": "electra"}
    | {"embedding_size": 12, "summary_activation": "gelu", "summary_last_dropout": 0.1}
    | {"summary_type": "first", "summary_use_proj": True, "position_embedding_type": "absolute"},
    "electra-base-generator": _BERT
    | {"architectures": ["ElectraForMaskedLM"], "model_type": "electra", "embedding_size": 24}
    | {"summary_activation": "gelu", "summary_last_dropout": 0.1, "summary_type": "first"}
    | {"summary_use_proj": True},
    "ModernBERT-base": {
        "architectures": ["ModernBertForMaskedLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 1,
        "classifier_activation": "gelu",
        "classifier_bias": False,
        "classifier_dropout": 0.0,
        "classifier_pooling": "mean",
        "cls_token_id": 1,
        "decoder_bias": True,
        "deterministic_flash_attn": False,
        "embedding_dropout": 0.0,
        "eos_token_id": 2,
        "global_attn_every_n_layers": 3,
        "global_rope_theta": 160000.0,
        "gradient_checkpointing": False,
        "hidden_activation": "gelu",
        "hidden_size": 24,
        "initializer_cutoff_factor": 2.0,
        "initializer_range": 0.02,
        "intermediate_size": 40,
        "layer_norm_eps": 1e-05,
        "local_attention": 8,
        "local_rope_theta": 10000.0,
        "max_position_embeddings": 40,
        "mlp_bias": False,
        "mlp_dropout": 0.0,
        "model_type": "modernbert",
        "norm_bias": False,
        "norm_eps": 1e-05,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "pad_token_id": 3,
        "position_embedding_type": "absolute",
        "sep_token_id": 2,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "transformers_version": "4.47.0.dev0",
        "vocab_size": 61,
    },
    "gemma-2-2b": {name: value for name, value in _GEMMA.items() if name != "rope_scaling"}
    | {"architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", "pad_token_id": 0}
    | {"attn_logit_softcapping": 50.0, "cache_implementation": "hybrid"}
    | {"final_logit_softcapping": 30.0, "hidden_act": "gelu_pytorch_tanh"},
    "gemma-3-1b-pt": {name: value for name, value in _GEMMA.items() if name != "hidden_act"}
    | {"architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "pad_token_id": 0}
    | {"attn_logit_softcapping": None, "cache_implementation": "hybrid"}
    | {"final_logit_softcapping": None, "rope_local_base_freq": 10000, "sliding_window_pattern": 6},
    "Phi-3-mini-4k-instruct": _PLAIN
    | {"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "attention_dropout": 0.0}
    | {"embd_pdrop": 0.0, "original_max_position_embeddings": 40, "pad_token_id": 3}
    | {"resid_pdrop": 0.0, "rope_theta": 10000.0, "sliding_window": 32, "attention_bias": False},
    "Phi-4-mini-instruct": _PLAIN
    | {"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "attention_dropout": 0.0}
    | {"embd_pdrop": 0.0, "full_attn_mod": 1, "interpolate_factor": 1, "lm_head_bias": False}
    | {"mlp_bias": False, "original_max_position_embeddings": 40, "pad_token_id": 3}
    | {"partial_rotary_factor": 0.75, "hidden_size": 32, "resid_pdrop": 0.0, "rope_theta": 10000.0}
    | {"sliding_window": None, "tie_word_embeddings": True},
    "SmolLM3-3B-Base": _PLAIN
    | {"architectures": ["SmolLM3ForCausalLM"], "model_type": "smollm3", "pad_token_id": 3}
    | {"attention_bias": False, "attention_dropout": 0.0, "layer_types": ["full_attention"] * 2}
    | {"max_window_layers": 28, "mlp_bias": False, "no_rope_layer_interval": 4}
    | {"no_rope_layers": [1, 0], "rope_theta": 5000000.0, "sliding_window": None}
    | {"use_sliding_window": False},
    "Olmo-3-1025-7B": _PLAIN
    | {"architectures": ["Olmo3ForCausalLM"], "model_type": "olmo3", "pad_token_id": 3}
    | {"attention_bias": False, "attention_dropout": 0.0, "rope_theta": 500000}
    | {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 16},
    "granite-3.1-2b-base": _PLAIN
    | {"architectures": ["GraniteForCausalLM"], "model_type": "granite", "pad_token_id": 0}
    | {"attention_bias": False, "attention_dropout": 0.1, "attention_multiplier": 0.2}
    | {"embedding_multiplier": 12.0, "logits_scaling": 8.0, "mlp_bias": False}
    | {"residual_multiplier": 0.22, "rope_theta": 5000000.0, "tie_word_embeddings": True},
    "stablelm-2-1_6b": {name: v for name, v in _ROPE_FREE.items() if name != "rms_norm_eps"}
    | {"architectures": ["StableLmForCausalLM"], "model_type": "stablelm", "hidden_dropout": 0.0}
    | {"attention_dropout": 0.0, "layer_norm_eps": 1e-05, "partial_rotary_factor": 0.5}
    | {"hidden_size": 32, "num_key_value_heads": 4, "qk_layernorm": False, "rope_theta": 10000}
    | {"use_parallel_residual": False, "use_qkv_bias": True, "hidden_size": 32},
    "deit-base-distilled-patch16-224": _VIT
    | _LABELS
    | {"architectures": ["DeiTForImageClassificationWithTeacher"], "model_type": "deit"},
    "dinov2-base": {name: v for name, v in _VIT.items() if name != "intermediate_size"}
    | {"architectures": ["Dinov2Model"], "model_type": "dinov2", "apply_layernorm": True}
    | {"drop_path_rate": 0.0, "layerscale_value": 1.0, "mlp_ratio": 4, "out_features": ["stage2"]}
    | {"out_indices": [2], "reshape_hidden_states": True, "torch_dtype": "float32"}
    | {"stage_names": ["stem", "stage1", "stage2"], "use_swiglu_ffn": False},
    "Qwen3-30B-A3B": _QWEN2
    | {"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "attention_bias": False}
    | {"decoder_sparse_step": 1, "head_dim": 6, "mlp_only_layers": [], "moe_intermediate_size": 12}
    | {"norm_topk_prob": True, "num_experts": 4, "num_experts_per_tok": 2}
    | {"output_router_logits": False, "rope_scaling": None, "router_aux_loss_coef": 0.001}
    | {"sliding_window": None, "tie_word_embeddings": False},
    "Mixtral-8x7B-v0.1": _PLAIN
    | {"architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "attention_dropout": 0.0}
    | {"num_experts_per_tok": 2, "num_local_experts": 4, "output_router_logits": False}
    | {"rope_theta": 1000000.0, "router_aux_loss_coef": 0.02, "sliding_window": None},
    "OLMoE-1B-7B-0924": _PLAIN
    | {"architectures": ["OlmoeForCausalLM"], "model_type": "olmoe", "attention_bias": False}
    | {"attention_dropout": 0.0, "clip_qkv": None, "norm_topk_prob": False, "num_experts": 4}
    | {"num_experts_per_tok": 2, "output_router_logits": False, "pad_token_id": 1}
    | {"rope_theta": 10000.0, "router_aux_loss_coef": 0.01, "num_key_value_heads": 4},
    "gemma-2b": _PLAIN
    | {"architectures": ["GemmaForCausalLM"], "model_type": "gemma", "pad_token_id": 0}
    | {"attention_bias": False, "attention_dropout": 0.0, "head_dim": 8, "hidden_act": "gelu"}
    | {"hidden_activation": None, "num_key_value_heads": 1, "rope_theta": 10000.0}
    | {"tie_word_embeddings": True},
    "opt-125m": {
        "_remove_final_layer_norm": False,
        "activation_dropout": 0.0,
        "activation_function": "relu",
        "architectures": ["OPTForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": 2,
        "do_layer_norm_before": True,
        "dropout": 0.1,
        "eos_token_id": 2,
        "ffn_dim": 40,
        "hidden_size": 24,
        "init_std": 0.02,
        "layerdrop": 0.0,
        "max_position_embeddings": 40,
        "model_type": "opt",
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "pad_token_id": 1,
        "prefix": "</s>",
        "torch_dtype": "float16",
        "transformers_version": "4.21.0.dev0",
        "use_cache": True,
        "vocab_size": 61,
        "word_embed_proj_dim": 24,
    },
}
