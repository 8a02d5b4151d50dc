"""Models of 2 layers and width 16, and batches of bytes, for the tests of train and objectives."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPT2Config,
    GraniteConfig,
    LlamaConfig,
    Olmo2Config,
    PreTrainedConfig,
    PreTrainedModel,
)

from evergrow.models.vision import TABLES
from evergrow.stream.batches import TokenBatch

VOCABULARY = 96
LENGTH = 16
COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": LENGTH,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": 0,
}
CONFIGS: dict[str, Callable[[], PreTrainedConfig]] = {
    "olmo2": lambda: Olmo2Config(**COMMON),
    "llama": lambda: LlamaConfig(**COMMON, tie_word_embeddings=False),
    "gpt2": lambda: GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=LENGTH,
        bos_token_id=None,
        eos_token_id=0,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    ),
    "gpt2 with dropout": lambda: GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=LENGTH,
        bos_token_id=None,
        eos_token_id=0,
        resid_pdrop=0.1,
        embd_pdrop=0.1,
        attn_pdrop=0.1,
    ),
    "gemma2": lambda: Gemma2Config(**COMMON, head_dim=8),
    "granite": lambda: GraniteConfig(**COMMON, logits_scaling=4.0),
}
BuildModel = Callable[[str], PreTrainedModel]
BuildBatch = Callable[[int], TokenBatch]


@pytest.fixture
def build_model() -> BuildModel:
    """A model by its name in CONFIGS; the same weights every time, some of them far from 0."""

    def build(name: str) -> PreTrainedModel:
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(CONFIGS[name]())
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.data.normal_(0, 0.1)
        return model

    return build


@pytest.fixture
def build_batch() -> BuildBatch:
    """Six windows of random tokens by seed; the third does not count."""

    def build(seed: int) -> TokenBatch:
        windows = np.random.default_rng(seed).integers(0, VOCABULARY, (6, LENGTH + 1))
        return token_batch_of(windows, np.array([1, 1, 0, 1, 1, 1]))

    return build


def token_batch_of(
    windows: np.ndarray, counts_B: np.ndarray, positions_BT: np.ndarray | None = None
) -> TokenBatch:
    """Whole windows of T + 1 tokens, each of which counts as ``counts_B`` says."""
    num_windows, length = windows.shape[0], windows.shape[1] - 1
    weights = np.repeat(counts_B[:, None], length, axis=1).astype(np.float32)
    lengths = np.full(num_windows, length)
    return TokenBatch(windows[:, :-1], windows[:, 1:], weights, lengths, positions_BT)


def assert_rows_differ(model: nn.Module) -> None:
    """No position table has two equal rows: with them a model cannot tell where a patch lies."""
    for name, parameter in model.named_parameters():
        if name.endswith(TABLES):
            rows = len(torch.unique(parameter[0], dim=0))
            assert rows == parameter.shape[1], f"{name}: {rows} of {parameter.shape[1]} rows differ"
