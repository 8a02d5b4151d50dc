"""A tokenizer of 270 ids and a model of 2 layers, width 16, for every test of this room."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.models.config import ModelConfig
from evergrow.models.presets import from_scratch

EOS = "<|end|>"


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerBase:
    """Byte-level BPE; EOS has id 0, there is neither BOS nor padding."""
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # pyright: ignore
    bare.decoder = decoders.ByteLevel()  # pyright: ignore
    trainer = trainers.BpeTrainer(
        vocab_size=270,
        special_tokens=[EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bare.train_from_iterator(["the sea and the land, the rain and the wind"] * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bare, eos_token=EOS)


@pytest.fixture
def config() -> ModelConfig:
    return ModelConfig(preset="olmo2", hidden=16, layers=2, heads=2)


@pytest.fixture
def model(config: ModelConfig, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    return from_scratch(config, tokenizer, sequence_length=24, seed=3)
