"""A tiny random model of each family, in float64, whose norms are far from trivial."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import (
    BertConfig,
    BertForMaskedLM,
    DeiTConfig,
    DeiTForImageClassification,
    Dinov2Config,
    Dinov2ForImageClassification,
    DistilBertConfig,
    DistilBertForMaskedLM,
    ElectraConfig,
    ElectraForMaskedLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    Olmo2Config,
    Olmo2ForCausalLM,
    Olmo3Config,
    Olmo3ForCausalLM,
    OlmoeConfig,
    OlmoeForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
    RobertaConfig,
    RobertaForMaskedLM,
    SmolLM3Config,
    SmolLM3ForCausalLM,
    StableLmConfig,
    StableLmForCausalLM,
    ViTConfig,
    ViTForImageClassification,
    ViTMAEConfig,
    ViTMAEForPreTraining,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

from evergrow.grow.config import GrowConfig
from evergrow.grow.expand import grow_state
from evergrow.grow.plan import GrowthPlan, plan_growth
from evergrow.models.quiet import undisturbed
from evergrow.models.streamed import StaysWide

VOCAB = 101
_BODY = {
    "hidden_size": 48,
    "num_attention_heads": 4,
    "intermediate_size": 112,
    "num_hidden_layers": 3,
}
_TEXT = _BODY | {"vocab_size": VOCAB, "max_position_embeddings": 64}
_IDS = {"pad_token_id": None, "bos_token_id": None, "eos_token_id": None}
_ROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 5e3}}  # nobody's default
_GQA = _TEXT | _IDS | _ROPE | {"num_key_value_heads": 2}
_TIED = {"tie_word_embeddings": True}
_IMAGE = _BODY | {"image_size": 16, "patch_size": 4}
_DECODER = {
    "decoder_hidden_size": 24,
    "decoder_num_attention_heads": 2,
    "decoder_num_hidden_layers": 1,
    "decoder_intermediate_size": 32,
}
_GPT2 = {"n_embd": 48, "n_head": 4, "n_layer": 3, "n_inner": 112, "n_positions": 64}
_NEOX = _TEXT | {"rope_parameters": _ROPE["rope_parameters"] | {"partial_rotary_factor": 0.5}}

_DISTILBERT = {"dim": 48, "n_heads": 4, "n_layers": 3, "hidden_dim": 112, "vocab_size": VOCAB}
_DISTILBERT |= {"max_position_embeddings": 64}
_MODERN = {"local_attention": 8, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}
_MODERN |= {"cls_token_id": 0, "sep_token_id": 0, "norm_bias": True}
_BY_KIND = {
    "full_attention": _ROPE["rope_parameters"],
    "sliding_attention": {"rope_type": "default", "rope_theta": 7e2},
}
_GQA_BY_KIND = _GQA | {"rope_parameters": _BY_KIND}
_SLIDING = {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"] * 2}
_SLIDING["layer_types"] = _SLIDING["layer_types"][:3]
_GEMMA = (
    _SLIDING | _TIED | {"head_dim": 12, "query_pre_attn_scalar": 5, "attn_logit_softcapping": 9.0}
)
_MULTIPLIERS = {
    "embedding_multiplier": 3.0,
    "logits_scaling": 2.0,
    "residual_multiplier": 0.5,
    "attention_multiplier": 0.4,
}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 112}
_OPT = {"ffn_dim": 112, "word_embed_proj_dim": 48, "pad_token_id": 0}
_PARTIAL = _GQA | {"rope_parameters": _NEOX["rope_parameters"]}
_DINO = {name: size for name, size in _IMAGE.items() if name != "intermediate_size"}

TINY: dict[str, tuple[type[PreTrainedModel], PreTrainedConfig]] = {
    "bert": (BertForMaskedLM, BertConfig(**_TEXT)),
    "roberta": (RobertaForMaskedLM, RobertaConfig(**_TEXT, pad_token_id=0)),
    "gpt2": (GPT2LMHeadModel, GPT2Config(**_GPT2, vocab_size=VOCAB, **_IDS)),
    "gpt_neox": (GPTNeoXForCausalLM, GPTNeoXConfig(**(_NEOX | _IDS))),
    "llama": (LlamaForCausalLM, LlamaConfig(**_GQA)),
    "mistral": (MistralForCausalLM, MistralConfig(**_GQA)),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(**_GQA, **_TIED)),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(**_GQA, **_TIED, head_dim=12)),
    "olmo2": (Olmo2ForCausalLM, Olmo2Config(**_GQA)),
    "xlm-roberta": (XLMRobertaForMaskedLM, XLMRobertaConfig(**_TEXT, pad_token_id=0)),
    "distilbert": (DistilBertForMaskedLM, DistilBertConfig(**_DISTILBERT)),
    "electra": (ElectraForMaskedLM, ElectraConfig(**_TEXT, embedding_size=20)),
    "modernbert": (ModernBertForMaskedLM, ModernBertConfig(**_TEXT, **_MODERN)),
    "olmo3": (Olmo3ForCausalLM, Olmo3Config(**_GQA_BY_KIND, **_SLIDING)),
    "smollm3": (SmolLM3ForCausalLM, SmolLM3Config(**_GQA, no_rope_layer_interval=2)),
    "granite": (GraniteForCausalLM, GraniteConfig(**_GQA, **_MULTIPLIERS)),
    "phi3": (Phi3ForCausalLM, Phi3Config(**_GQA, sliding_window=8)),
    "stablelm": (StableLmForCausalLM, StableLmConfig(**_PARTIAL, use_qkv_bias=True)),
    "opt": (OPTForCausalLM, OPTConfig(**_TEXT | _IDS | _OPT)),
    "gemma": (GemmaForCausalLM, GemmaConfig(**_GQA, **_TIED, head_dim=12)),
    "gemma2": (Gemma2ForCausalLM, Gemma2Config(**_GQA, **_GEMMA)),
    "gemma3_text": (Gemma3ForCausalLM, Gemma3TextConfig(**_GQA_BY_KIND, **_GEMMA)),
    "qwen3_moe": (Qwen3MoeForCausalLM, Qwen3MoeConfig(**_GQA, **_EXPERTS, head_dim=12)),
    "mixtral": (MixtralForCausalLM, MixtralConfig(**_GQA, num_local_experts=4)),
    "olmoe": (OlmoeForCausalLM, OlmoeConfig(**_GQA, num_experts=4, num_experts_per_tok=2)),
    "deit": (DeiTForImageClassification, DeiTConfig(**_IMAGE, num_labels=7)),
    "dinov2": (Dinov2ForImageClassification, Dinov2Config(**_DINO, num_labels=7)),
    "vit": (ViTForImageClassification, ViTConfig(**_IMAGE, num_labels=7)),
    "vit_mae": (ViTMAEForPreTraining, ViTMAEConfig(**_IMAGE, **_DECODER, norm_pix_loss=True)),
}


def _double(kind: type[PreTrainedModel], config: PreTrainedConfig) -> PreTrainedModel:
    """In float64, and so is the constant that Gemma multiplies embeddings by."""
    with undisturbed():
        config._attn_implementation = None  # SDPA where the family has it
        config._experts_implementation = "eager"  # the others have no float64
        model = kind(config).double().eval()
    for module in model.modules():
        if "embed_scale" in dict(module.named_buffers(recurse=False)):
            module.embed_scale.fill_(module.scalar_embed_scale)
    return model


def build(kind: type[PreTrainedModel], config: PreTrainedConfig, seed: int = 0) -> PreTrainedModel:
    """A float64 model with N(0, .25) matrices and gains 1 + .3 N(0, 1), in evaluation mode."""
    model = _double(kind, config)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        is_gain = parameter.ndim == 1 and "norm" in name.lower().replace("ln_", "norm")
        gain = is_gain and name.endswith("weight")
        parameter.data.copy_(1 + 0.3 * drawn if gain else 0.25 * drawn)
    return model


def tiny(family: str, **changes: Any) -> PreTrainedModel:
    """The tiny model of ``family``, its configuration changed."""
    kind, config = TINY[family]
    return build(kind, type(config).from_dict(config.to_dict() | changes))


def described(model: PreTrainedModel) -> dict[str, Any]:
    """What config.json of the model would say."""
    return model.config.to_dict() | {"architectures": [type(model).__name__]}


def grown(model: PreTrainedModel, grow: GrowConfig) -> tuple[PreTrainedModel, GrowthPlan]:
    """The grown model and its plan."""
    plan = plan_growth(described(model), grow)
    state = grow_state(plan, model.state_dict())
    larger = _double(type(model), type(model.config).from_dict(plan.target))
    larger.load_state_dict(state)
    larger.tie_weights()
    return larger, plan


def inputs(model: PreTrainedModel) -> Mapping[str, Tensor]:
    """4 windows of 32 random ids, or 4 random images; the same for every model."""
    generator = torch.Generator().manual_seed(1)
    if model.main_input_name == "pixel_values":
        images = torch.randn(4, 3, 16, 16, generator=generator, dtype=torch.float64)
        masked = {"noise": torch.rand(4, 16, generator=generator, dtype=torch.float64)}
        return {"pixel_values": images} | (masked if "MAE" in type(model).__name__ else {})
    return {"input_ids": torch.randint(1, VOCAB, (4, 32), generator=generator)}


def logits(model: PreTrainedModel) -> Tensor:
    """What the model says about ``inputs``, gradients off."""
    with torch.no_grad(), StaysWide():
        return model(**inputs(model)).logits
