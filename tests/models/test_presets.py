"""The preset is OLMo 2, and its weights depend on the seed alone."""

import math
from typing import get_args

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.errors import InputError
from evergrow.models.config import ModelConfig, Preset
from evergrow.models.presets import PRESETS, from_scratch


def test_every_preset_of_the_recipe_has_a_builder() -> None:
    assert set(PRESETS) == set(get_args(Preset))


def test_olmo2_as_the_paper_has_it(model: PreTrainedModel) -> None:
    config = model.config
    assert config.model_type == "olmo2"
    assert config.rope_parameters == {"rope_type": "default", "rope_theta": 5e5}
    assert (config.rms_norm_eps, config.tie_word_embeddings) == (1e-6, False)
    assert (config.hidden_size, config.intermediate_size, config.num_hidden_layers) == (16, 64, 2)
    assert (config.num_attention_heads, config.num_key_value_heads) == (2, 2)
    assert (config.vocab_size, config.max_position_embeddings) == (270, 24)
    assert (config.eos_token_id, config.pad_token_id, config.bos_token_id) == (0, None, None)
    assert config._attn_implementation == "sdpa"
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert not model.training


def test_padding_with_eos_does_not_freeze_the_row_of_eos(
    config: ModelConfig, tokenizer: PreTrainedTokenizerFast
) -> None:
    padded = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, eos_token="<|end|>", pad_token="<|end|>"
    )
    model = from_scratch(config, padded, 24, seed=0)
    model(input_ids=torch.tensor([[0, 5]]), labels=torch.tensor([[0, 5]])).loss.backward()
    gradient = model.get_input_embeddings().weight.grad
    assert gradient[0].norm() > 0


def test_weights_are_a_cut_normal_without_depth_scaling(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    config = ModelConfig(preset="olmo2", hidden=64, layers=3)
    model = from_scratch(config, tokenizer, 24, seed=0)
    # The deviation of a normal cut at 3 is sqrt(1 - 6 phi(3) / (2 Phi(3) - 1)) = 0.98658.
    density = math.exp(-4.5) / math.sqrt(2 * math.pi)
    expected = 0.02 * math.sqrt(1 - 6 * density / math.erf(3 / math.sqrt(2)))
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            assert bool((parameter == 1).all()), name
        else:
            assert parameter.abs().max() <= 0.06, name
            assert parameter.std().item() == pytest.approx(expected, rel=0.06), name


def test_the_seed_alone_decides_and_the_global_state_stays(
    config: ModelConfig, tokenizer: PreTrainedTokenizerBase
) -> None:
    torch.manual_seed(1)
    first = from_scratch(config, tokenizer, 24, seed=5).state_dict()
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = from_scratch(config, tokenizer, 24, seed=5).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    other = from_scratch(config, tokenizer, 24, seed=6).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["lm_head.weight"], other["lm_head.weight"])


def test_tied_weights_are_one_tensor(tokenizer: PreTrainedTokenizerBase) -> None:
    config = ModelConfig(preset="olmo2", hidden=16, layers=1, tied=True)
    model = from_scratch(config, tokenizer, 24, seed=0)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_nothing_is_printed(
    config: ModelConfig,
    tokenizer: PreTrainedTokenizerBase,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from_scratch(config, tokenizer, 24, seed=0)
    assert capfd.readouterr() == ("", "")


def test_a_tokenizer_without_end_is_refused(
    config: ModelConfig, tokenizer: PreTrainedTokenizerFast
) -> None:
    endless = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)
    with pytest.raises(InputError, match="no end-of-text token"):
        from_scratch(config, endless, 24, seed=0)
