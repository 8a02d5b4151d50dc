"""Models made from scratch: the architecture by name, the weights from a seed."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import nn
from transformers import AutoModelForCausalLM, Olmo2Config, PreTrainedConfig, PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.errors import InputError
from evergrow.models.config import ModelConfig, Sizes
from evergrow.models.quiet import undisturbed

INITIAL_DEVIATION = 0.02  # OLMo 2, arXiv 2501.00656 section 3.2: every matrix, whatever the depth


def token_id(tokenizer: PreTrainedTokenizerBase, role: Literal["bos", "eos", "pad"]) -> int | None:
    """The id of one special token, None without it."""
    found = {
        "bos": tokenizer.bos_token_id,
        "eos": tokenizer.eos_token_id,
        "pad": tokenizer.pad_token_id,
    }[role]
    assert found is None or isinstance(found, int)
    return found


def olmo2(
    sizes: Sizes, tokenizer: PreTrainedTokenizerBase, sequence_length: int
) -> PreTrainedConfig:
    """OLMo 2: norms on the outputs of blocks, QK-norm, SwiGLU, rotary base 5e5, no biases.

    The vocabulary is the tokenizer's own length: rounding it up to a multiple of 64 gained nothing
    on a CPU (hidden 96, 512 tokens a step: 2047, 2048, 2050, 2112 ids took 23.0, 23.5, 23.2, 24.4
    ms), the GPU compiler pads matrices itself, and no id without a text can be sampled.
    """
    eos, pad = token_id(tokenizer, "eos"), token_id(tokenizer, "pad")
    return Olmo2Config(
        vocab_size=len(tokenizer),
        hidden_size=sizes.hidden,
        intermediate_size=sizes.ffn,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.kv_heads,
        max_position_embeddings=sequence_length,
        initializer_range=INITIAL_DEVIATION,
        rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 5e5},
        tie_word_embeddings=sizes.tied,
        eos_token_id=eos,
        # torch never trains the padding row of an embedding: it must not be the one of EOS.
        pad_token_id=None if pad == eos else pad,
        bos_token_id=None,
    )


PRESETS: dict[str, Callable[[Sizes, PreTrainedTokenizerBase, int], PreTrainedConfig]] = {
    "olmo2": olmo2,
}


def draw_weights(model: nn.Module, seed: int, deviation: float = INITIAL_DEVIATION) -> None:
    """Set matrices to N(0, deviation) cut at 3 deviations, norm gains to 1; in place.

    The draw depends on the seed and on the model's shapes alone. Raises AssertionError for a
    vector that is no norm's gain: presets have no biases.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            assert name.endswith("norm.weight"), f"{name} is no norm's gain"
            nn.init.ones_(parameter)
            continue
        bound = 3 * deviation
        nn.init.trunc_normal_(parameter, 0.0, deviation, -bound, bound, generator)


def from_scratch(
    config: ModelConfig, tokenizer: PreTrainedTokenizerBase, sequence_length: int, seed: int
) -> PreTrainedModel:
    """A new fp32 model on the CPU, in evaluation mode, with positions up to ``sequence_length``.

    The same seed gives the same weights whatever was drawn before, and torch's random state stays
    as it was. Raises InputError when the tokenizer has no EOS.
    """
    assert config.preset is not None, "from_scratch is for presets; load_model is for `from`"
    if token_id(tokenizer, "eos") is None:
        raise InputError(
            "tokenizer: has no end-of-text token, which ends every document; "
            "set eos_token in its tokenizer_config.json"
        )
    architecture = PRESETS[config.preset](config.sizes(), tokenizer, sequence_length)
    with undisturbed():
        model = AutoModelForCausalLM.from_config(
            architecture, dtype=torch.float32, attn_implementation="sdpa"
        )
    draw_weights(model, seed)
    return model.eval()
