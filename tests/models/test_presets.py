"""Each preset is its family, and its weights depend on the seed alone."""

import math
from typing import get_args

import pytest
import torch
from transformers import (
    BertForMaskedLM,
    GPTNeoXForCausalLM,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.errors import InputError
from evergrow.models.config import RULES, ModelConfig, Preset
from evergrow.models.presets import PRESETS, from_scratch


def test_every_preset_of_the_recipe_has_a_builder() -> None:
    of_text = {preset for preset, rules in RULES.items() if rules.pictures is None}
    assert set(PRESETS) == of_text
    assert set(RULES) == set(get_args(Preset))


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


def build(preset: Preset, tokenizer: PreTrainedTokenizerBase, **sizes: int) -> PreTrainedModel:
    settings = {"hidden": 16, "layers": 2, "heads": 2, **sizes}
    return from_scratch(ModelConfig(preset=preset, **settings), tokenizer, 24, seed=3)


def test_llama_as_the_paper_has_it(tokenizer: PreTrainedTokenizerBase) -> None:
    model = build("llama", tokenizer, heads=4, kv_heads=2)
    config = model.config
    assert type(model) is LlamaForCausalLM
    assert config.rope_parameters == {"rope_type": "default", "rope_theta": 5e5}
    assert (config.rms_norm_eps, config.tie_word_embeddings, config.hidden_act) == (
        1e-5,
        False,
        "silu",
    )
    assert (config.num_attention_heads, config.num_key_value_heads, config.head_dim) == (4, 2, 4)
    assert model.model.layers[0].self_attn.k_proj.weight.shape == (8, 16)
    assert not any(name.endswith("bias") for name, _ in model.named_parameters())
    assert (config.eos_token_id, config.pad_token_id, config.bos_token_id) == (0, None, None)


def test_gpt_neox_as_the_paper_has_it(tokenizer: PreTrainedTokenizerBase) -> None:
    model = build("gpt_neox", tokenizer)
    config = model.config
    assert type(model) is GPTNeoXForCausalLM
    assert config.rope_parameters["partial_rotary_factor"] == 0.25
    assert (config.use_parallel_residual, config.layer_norm_eps) == (True, 1e-5)
    assert (config.intermediate_size, config.hidden_act) == (64, "gelu")
    assert (config.attention_dropout, config.hidden_dropout) == (0, 0)
    assert sum(name.endswith("bias") for name, _ in model.named_parameters()) == 2 * 6 + 1
    assert (config.eos_token_id, config.pad_token_id, config.bos_token_id) == (0, None, None)


def test_bert_as_the_paper_has_it(tokenizer: PreTrainedTokenizerBase) -> None:
    model = build("bert", tokenizer)
    config = model.config
    assert type(model) is BertForMaskedLM
    assert (config.intermediate_size, config.hidden_act, config.layer_norm_eps) == (
        64,
        "gelu",
        1e-12,
    )
    assert (config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (0, 0)
    tables = model.bert.embeddings
    assert tables.position_embeddings.weight.shape == (24, 16)
    assert tables.token_type_embeddings.weight.shape == (2, 16)
    assert model.cls.predictions.decoder.weight is tables.word_embeddings.weight
    assert tables.word_embeddings.padding_idx is None


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


@pytest.mark.parametrize("preset", ["llama", "gpt_neox", "bert"])
def test_each_family_is_drawn_as_its_authors_did(
    preset: Preset, tokenizer: PreTrainedTokenizerBase
) -> None:
    model = build(preset, tokenizer, hidden=64, layers=3, heads=2)
    # The deviation of a normal cut at 2 is sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)) = 0.87963.
    deviation, cut = {
        "llama": (0.02, math.inf),
        "gpt_neox": (math.sqrt(2 / (5 * 64)), math.inf),
        "bert": (0.02 * 0.87963, 0.04),
    }[preset]
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            assert bool((parameter == (0 if name.endswith("bias") else 1)).all()), name
            continue
        into_residual = name.endswith(("attention.dense.weight", "dense_4h_to_h.weight"))
        expected = 2 / (3 * 8) if into_residual and preset == "gpt_neox" else deviation
        # Five standard errors of a deviation.
        spread = 5 / math.sqrt(2 * parameter.numel())
        assert parameter.std().item() == pytest.approx(expected, rel=spread), name
        assert parameter.abs().max() <= cut, name


@pytest.mark.parametrize("preset", PRESETS)
def test_the_seed_alone_decides_and_the_global_state_stays(
    preset: Preset, tokenizer: PreTrainedTokenizerBase
) -> None:
    config = ModelConfig(preset=preset, hidden=16, layers=2, heads=2)
    torch.manual_seed(1)
    first = from_scratch(config, tokenizer, 24, seed=5).state_dict()
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = from_scratch(config, tokenizer, 24, seed=5).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    other = from_scratch(config, tokenizer, 24, seed=6).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any(torch.equal(first[n], other[n]) for n in first if first[n].std() > 0)


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
