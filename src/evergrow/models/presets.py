"""Models made from scratch: the architecture by name, the weights from a seed."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import nn
from transformers import (
    BertConfig,
    GPTNeoXConfig,
    LlamaConfig,
    Olmo2Config,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.errors import InputError
from evergrow.models.config import ROTARY_SHARE, RULES, ModelConfig, Sizes
from evergrow.models.kind import KINDS
from evergrow.models.quiet import undisturbed


def token_id(tokenizer: PreTrainedTokenizerBase, role: Literal["bos", "eos", "pad"]) -> int | None:
    """The id of one special token, None without it."""
    found = {
        "bos": tokenizer.bos_token_id,
        "eos": tokenizer.eos_token_id,
        "pad": tokenizer.pad_token_id,
    }[role]
    assert found is None or isinstance(found, int)
    return found


class Draws(NamedTuple):
    """The normal distributions of a family's first matrices, embeddings included.

    ``into_residual`` is the deviation of those whose output is added to the residual stream;
    a draw beyond ``cut`` deviations is drawn again. Biases start at 0, the gains of norms at 1.
    """

    deviation: float
    into_residual: float
    cut: float


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
        initializer_range=0.02,
        rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 5e5},
        tie_word_embeddings=sizes.tied,
        eos_token_id=eos,
        # torch never trains the padding row of an embedding: it must not be the one of EOS.
        pad_token_id=None if pad == eos else pad,
        bos_token_id=None,
    )


def llama(
    sizes: Sizes, tokenizer: PreTrainedTokenizerBase, sequence_length: int
) -> PreTrainedConfig:
    """Llama 3: RMSNorm before each block, SwiGLU, grouped queries, rotary base 5e5, no biases."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=sizes.hidden,
        intermediate_size=sizes.ffn,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.kv_heads,
        max_position_embeddings=sequence_length,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 5e5},
        tie_word_embeddings=sizes.tied,
        eos_token_id=token_id(tokenizer, "eos"),
        pad_token_id=None,
        bos_token_id=None,
    )


def gpt_neox(
    sizes: Sizes, tokenizer: PreTrainedTokenizerBase, sequence_length: int
) -> PreTrainedConfig:
    """GPT-NeoX, as Pythia has it: attention and MLP side by side, LayerNorm, biases.

    A quarter of each head is rotated (arXiv 2204.06745, section 2.1; 2304.01373).
    """
    return GPTNeoXConfig(
        vocab_size=len(tokenizer),
        hidden_size=sizes.hidden,
        intermediate_size=sizes.ffn,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        max_position_embeddings=sequence_length,
        use_parallel_residual=True,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 1e4,
            "partial_rotary_factor": ROTARY_SHARE,
        },
        tie_word_embeddings=sizes.tied,
        eos_token_id=token_id(tokenizer, "eos"),
        pad_token_id=None,
        bos_token_id=None,
    )


def bert(
    sizes: Sizes, tokenizer: PreTrainedTokenizerBase, sequence_length: int
) -> PreTrainedConfig:
    """BERT: LayerNorm after each block, learned positions, two token types, no dropout.

    Dropout is 0 where BERT has 0.1: a run of a single epoch does not overfit.
    """
    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=sizes.hidden,
        intermediate_size=sizes.ffn,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        max_position_embeddings=sequence_length,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        tie_word_embeddings=sizes.tied,
        eos_token_id=token_id(tokenizer, "eos"),
        pad_token_id=None,
        bos_token_id=None,
    )


# arXiv 2501.00656 section 3.2: every matrix, whatever the depth.
OLMO2_DRAWS = Draws(0.02, 0.02, cut=3)


def _plain(sizes: Sizes) -> Draws:
    """Every matrix from N(0, 0.02), as the implementations of Llama start."""
    return Draws(0.02, 0.02, cut=math.inf)


def _small_and_wang(sizes: Sizes) -> Draws:
    """sqrt(2 / (5 d)), and 2 / (layers sqrt(d)) into the residual (2204.06745, section 2.1)."""
    small = math.sqrt(2 / (5 * sizes.hidden))
    return Draws(small, 2 / (sizes.layers * math.sqrt(sizes.hidden)), cut=math.inf)


def _cut_at_two(sizes: Sizes) -> Draws:
    """BERT's truncated_normal_initializer(0.02): cut at two deviations (1810.04805, its code)."""
    return Draws(0.02, 0.02, cut=2)


class Architecture(NamedTuple):
    """How a preset is made: its configuration, and its first weights."""

    configure: Callable[[Sizes, PreTrainedTokenizerBase, int], PreTrainedConfig]
    draws: Callable[[Sizes], Draws]


PRESETS: dict[str, Architecture] = {
    "olmo2": Architecture(olmo2, lambda sizes: OLMO2_DRAWS),
    "llama": Architecture(llama, _plain),
    "gpt_neox": Architecture(gpt_neox, _small_and_wang),
    "bert": Architecture(bert, _cut_at_two),
}

_INTO_RESIDUAL = (".attention.dense.", ".dense_4h_to_h.")  # of GPT-NeoX, which draws them apart


def draw_weights(model: nn.Module, seed: int, draws: Draws = OLMO2_DRAWS) -> None:
    """Set matrices to their normal draws, biases to 0 and norm gains to 1; in place.

    The draw depends on the seed and on the model's shapes alone. Raises AssertionError for a
    vector that is neither a bias nor a norm's gain.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            is_bias = name.endswith("bias")
            assert is_bias or name.lower().endswith("norm.weight"), f"{name} is no norm's gain"
            nn.init.constant_(parameter, 0.0 if is_bias else 1.0)
            continue
        writes = any(part in name for part in _INTO_RESIDUAL)
        deviation = draws.into_residual if writes else draws.deviation
        if math.isinf(draws.cut):
            nn.init.normal_(parameter, 0.0, deviation, generator)
        else:
            bound = draws.cut * deviation
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
    architecture, sizes = PRESETS[config.preset], config.sizes()
    auto_class = KINDS["masked" if RULES[config.preset].masked else "causal"].auto_class
    settings = architecture.configure(sizes, tokenizer, sequence_length)
    with undisturbed():
        model = auto_class.from_config(settings, dtype=torch.float32, attn_implementation="sdpa")
    model.config.architectures = [type(model).__name__]  # else only a release would say it
    draw_weights(model, seed, architecture.draws(sizes))
    return model.eval()
