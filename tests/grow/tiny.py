"""A tiny random model of each family, in float64, whose norms are far from trivial."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Olmo2Config,
    Olmo2ForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    RobertaConfig,
    RobertaForMaskedLM,
    ViTConfig,
    ViTForImageClassification,
    ViTMAEConfig,
    ViTMAEForPreTraining,
)
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.mistral.modeling_mistral import MistralRMSNorm
from transformers.models.olmo2.modeling_olmo2 import Olmo2RMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

from evergrow.grow.config import GrowConfig
from evergrow.grow.expand import grow_state
from evergrow.grow.plan import GrowthPlan, plan_growth
from evergrow.models.quiet import undisturbed

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
    "vit": (ViTForImageClassification, ViTConfig(**_IMAGE, num_labels=7)),
    "vit_mae": (ViTMAEForPreTraining, ViTMAEConfig(**_IMAGE, **_DECODER, norm_pix_loss=True)),
}
_NORMS = (LlamaRMSNorm, MistralRMSNorm, Olmo2RMSNorm, Qwen2RMSNorm, Qwen3RMSNorm)


def _rms_norm(self: nn.Module, hidden_states: Tensor) -> Tensor:
    square = hidden_states.square().mean(-1, keepdim=True)
    return self.weight * (hidden_states * torch.rsqrt(square + self.variance_epsilon))


@contextmanager
def float64_norms() -> Iterator[None]:
    """RMSNorm of transformers always computes in float32; inside, it does as its input is."""
    before = [norm.forward for norm in _NORMS]
    for norm in _NORMS:
        norm.forward = _rms_norm
    try:
        yield
    finally:
        for norm, forward in zip(_NORMS, before, strict=True):
            norm.forward = forward


def build(kind: type[PreTrainedModel], config: PreTrainedConfig, seed: int = 0) -> PreTrainedModel:
    """A float64 model with N(0, .25) matrices and gains 1 + .3 N(0, 1), in evaluation mode."""
    with undisturbed():
        config._attn_implementation = "sdpa"
        model = kind(config).double().eval()
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
    with undisturbed():
        config = type(model.config).from_dict(plan.target)
        config._attn_implementation = "sdpa"
        larger = type(model)(config).double().eval()
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
    with torch.no_grad(), float64_norms():
        return model(**inputs(model)).logits
