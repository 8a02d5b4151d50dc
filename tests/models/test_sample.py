"""Text depends on the seed alone, ends at EOS and runs past the window."""

import pytest
import torch
from transformers import MambaConfig, MambaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.errors import InputError
from evergrow.models.config import ModelConfig
from evergrow.models.presets import Draws, draw_weights, from_scratch
from evergrow.models.sample import generate


@pytest.fixture
def lively(model: PreTrainedModel) -> PreTrainedModel:
    """Weights large enough that the likeliest token depends on what came before."""
    draw_weights(model, seed=1, draws=Draws(0.5, 0.5, cut=3))
    return model


def greedy_reference(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: str, num_tokens: int
) -> str:
    """Without a cache: the whole text through the model for each token."""
    ids = [0, *tokenizer.encode(prompt)]
    start = len(ids)
    for _ in range(num_tokens):
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == 0:
            break
    return str(tokenizer.decode(ids[start:], skip_special_tokens=True))


def test_greedy_equals_a_loop_without_cache(
    lively: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    text = generate(lively, tokenizer, "the sea", 12, temperature=0, seed=0)
    assert text == greedy_reference(lively, tokenizer, "the sea", 12)
    assert len(set(text)) > 3


def test_a_recurrent_model_reads_all_of_it_every_time(tokenizer: PreTrainedTokenizerBase) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "state_size": 4}
    config = MambaConfig(**sizes, vocab_size=len(tokenizer), tie_word_embeddings=False)
    model = MambaForCausalLM(config)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(0, 0.5)
    text = generate(model, tokenizer, "the sea", 12, temperature=0, seed=0)
    assert text == greedy_reference(model.eval(), tokenizer, "the sea", 12)
    assert len(set(text)) > 3


def test_the_seed_alone_decides(
    lively: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    lively.train()
    torch.manual_seed(1)
    first = generate(lively, tokenizer, "the", 20, 0.8, seed=2**64 - 1)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert generate(lively, tokenizer, "the", 20, 0.8, seed=2**64 - 1) == first
    assert torch.equal(torch.get_rng_state(), before)
    assert generate(lively, tokenizer, "the", 20, 0.8, seed=8) != first
    assert lively.training


def test_draws_follow_the_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    # A head that knows two tokens, 7 with logit log 3 over 8: 3 of 4 draws at temperature 1 are 7,
    # 9 of 10 at temperature 1/2.
    with torch.no_grad():
        model.get_input_embeddings().weight.fill_(1.0)
        for layer in model.model.layers:
            layer.post_attention_layernorm.weight.zero_()
            layer.post_feedforward_layernorm.weight.zero_()
        model.lm_head.weight.fill_(-10.0)
        model.lm_head.weight[7:9] = 0.0
        model.lm_head.weight[7, 0] = torch.log(torch.tensor(3.0))
    for temperature, share in ((1.0, 0.75), (0.5, 0.9)):
        text = generate(model, tokenizer, "", 600, temperature, seed=0)
        counts = text.count(tokenizer.decode([7])), text.count(tokenizer.decode([8]))
        assert sum(counts) == 600
        assert counts[0] / 600 == pytest.approx(share, abs=0.05)


def test_it_stops_at_eos(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    with torch.no_grad():
        model.get_input_embeddings().weight.fill_(1.0)
        model.lm_head.weight.zero_()
        model.lm_head.weight[0] = 9.0
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    assert generate(model, tokenizer, "the", 10, temperature=0, seed=0) == ""
    assert len(calls) == 1


def test_past_the_window_the_older_half_is_forgotten(
    lively: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    lengths = []

    def note(_: object, __: object, settings: dict[str, torch.Tensor]) -> None:
        lengths.append(settings["input_ids"].shape[1])

    lively.register_forward_pre_hook(note, with_kwargs=True)
    with torch.no_grad():
        lively.lm_head.weight[0] = 0.0
    generate(lively, tokenizer, "the " * 40, 40, temperature=0.8, seed=5)
    # The prompt fills the window of 24; then 12 are read again, 12 more fill it up, and so on.
    assert lengths[:15] == [24, 12, *[1] * 12, 12]


def test_ids_that_the_tokenizer_does_not_know_are_never_drawn(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    larger = ModelConfig(preset="olmo2", hidden=16, layers=1)
    model = from_scratch(larger, tokenizer, 24, seed=0)
    model.resize_token_embeddings(320, mean_resizing=False)
    with torch.no_grad():
        model.get_input_embeddings().weight.fill_(1.0)
        model.lm_head.weight.zero_()
        model.lm_head.weight[270:] = 9.0
        model.lm_head.weight[7] = 1.0
    assert generate(model, tokenizer, "a", 3, 0, seed=0) == 3 * tokenizer.decode([7])


def test_dropout_is_off_while_sampling(
    lively: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    for layer in lively.model.layers:
        layer.self_attn.attention_dropout = 0.9
    expected = generate(lively.eval(), tokenizer, "the sea", 12, temperature=0, seed=0)
    assert generate(lively.train(), tokenizer, "the sea", 12, temperature=0, seed=0) == expected


def test_refusals(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(InputError, match="temperature: must be 0 or more, got -1"):
        generate(model, tokenizer, "a", 3, -1, seed=0)
    endless = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)
    with pytest.raises(InputError, match="prompt: is empty and the tokenizer has no BOS or EOS"):
        generate(model, endless, "", 3, 1, seed=0)


def test_a_masked_model_cannot_continue_a_text(tokenizer: PreTrainedTokenizerBase) -> None:
    config = ModelConfig(preset="bert", hidden=16, layers=1, heads=2)
    model = from_scratch(config, tokenizer, 24, seed=0)
    with pytest.raises(InputError, match="BertForMaskedLM: a masked language model fills gaps"):
        generate(model, tokenizer, "the sea", 4, temperature=0, seed=0)
