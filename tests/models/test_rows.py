"""A text is the same alone and in a batch, whatever its neighbours are; what cannot, goes alone."""

from collections.abc import Callable

import pytest
import torch
from models.zoo import tiny_config
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.models.kind import KINDS
from evergrow.models.presets import Draws, draw_weights
from evergrow.models.quiet import undisturbed
from evergrow.models.rows import next_logits, reads_rows_alike
from evergrow.models.sample import start_ids, write
from evergrow.models.sampling import Sampling

PROMPTS = ("the sea", "a", "the rain and the wind and the land", "and", "the wind, the sea")
# Rotary, learned and no positions, attention to near tokens only, experts, and a recurrent one.
FAMILIES = ("llama", "gpt2", "bloom", "gemma2", "gpt_oss", "opt", "mpt", "mamba")


@pytest.fixture
def lively(model: PreTrainedModel) -> PreTrainedModel:
    """Weights large enough that the likeliest token depends on what came before."""
    draw_weights(model, seed=1, draws=Draws(0.5, 0.5, cut=3))
    return model


def tiny(family: str) -> PreTrainedModel:
    with undisturbed():
        torch.manual_seed(0)
        model = KINDS["causal"].auto_class.from_config(tiny_config(family, False)).eval()
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.data.normal_(0, 0.3)
    return model


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_alone_as_in_a_batch(
    family: str, temperature: float, tokenizer: PreTrainedTokenizerBase
) -> None:
    model, sampling = tiny(family), Sampling(temperature=temperature, max_tokens=12)
    assert reads_rows_alike(model, 32)
    seeds = [3, 1, 4, 1, 5]
    together = write(model, tokenizer, PROMPTS, sampling, seeds)
    alone = [
        write(model, tokenizer, [p], sampling, [s])[0] for p, s in zip(PROMPTS, seeds, strict=True)
    ]
    assert [row.ids for row in together] == [row.ids for row in alone]
    assert len({tuple(row.ids) for row in alone}) > 2
    assert write(model, tokenizer, PROMPTS, sampling, seeds, at_once=2) == together


def test_a_window_that_fills_up_in_one_row_changes_no_other(
    lively: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    # A window of 24: the third prompt fills it at once, the others one after another.
    prompts, sampling = (*PROMPTS, "the " * 40), Sampling(temperature=0.8, max_tokens=40)
    with torch.no_grad():
        lively.lm_head.weight[0] = 0.0
    together = write(lively, tokenizer, prompts, sampling, range(6))
    alone = [write(lively, tokenizer, [p], sampling, [s])[0] for s, p in enumerate(prompts)]
    assert together == alone
    assert max(len(row.ids) for row in together) == 40


@pytest.mark.parametrize("family", ["roberta", "bart"])
def test_who_cannot_be_padded_writes_row_by_row(
    family: str, tokenizer: PreTrainedTokenizerBase
) -> None:
    model, sampling = tiny(family), Sampling(max_tokens=6)
    assert not reads_rows_alike(model, 32)
    together = write(model, tokenizer, PROMPTS[:2], sampling, [0, 0])
    alone = [write(model, tokenizer, [p], sampling, [0])[0] for p in PROMPTS[:2]]
    assert together == alone


def test_finished_rows_leave_the_batch(
    lively: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    sizes = []

    def note(_: object, __: object, settings: dict[str, torch.Tensor]) -> None:
        sizes.append(settings["input_ids"].shape[0])

    lively.register_forward_pre_hook(note, with_kwargs=True)
    sampling = Sampling(temperature=2.0, max_tokens=16, stop=["e", "t"])
    rows = write(lively, tokenizer, PROMPTS * 4, sampling, range(20))
    assert {row.end for row in rows} >= {"stop"}
    batch = sizes[6:]  # without the probe's own
    assert batch[0] == 20
    assert batch == sorted(batch, reverse=True)
    assert batch[-1] < 20


def test_a_text_ends_before_the_first_stop_string(
    lively: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    (free,) = write(lively, tokenizer, ["the sea"], Sampling(max_tokens=12), [0])
    assert free.end == "length"
    stop = free.text[4:6]
    place = free.text.index(stop)
    sampling = Sampling(max_tokens=12, stop=["never said", stop])
    (cut,) = write(lively, tokenizer, ["the sea"], sampling, [0])
    assert (cut.text, cut.end) == (free.text[:place], "stop")
    assert len(cut.ids) < len(free.ids)


def only_three(model: PreTrainedModel, chances: tuple[float, ...]) -> None:
    """A head that knows three tokens, whatever came before."""
    with torch.no_grad():
        model.get_input_embeddings().weight.fill_(1.0)
        for layer in model.model.layers:
            layer.post_attention_layernorm.weight.zero_()
            layer.post_feedforward_layernorm.weight.zero_()
        model.lm_head.weight.fill_(-10.0)
        model.lm_head.weight[7:10] = 0.0
        model.lm_head.weight[7:10, 0] = torch.tensor(chances).log()


@pytest.mark.parametrize(
    ("top_p", "drawn"), [(0.4, {7}), (0.6, {7, 8}), (0.85, {7, 8, 9}), (1.0, {7, 8, 9})]
)
def test_top_p_draws_from_the_fewest_likeliest(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, top_p: float, drawn: set[int]
) -> None:
    only_three(model, (0.5, 0.3, 0.2))
    sampling = Sampling(temperature=1.0, top_p=top_p, max_tokens=20)
    rows = write(model, tokenizer, ["a"] * 10, sampling, range(10))
    assert {token for row in rows for token in row.ids} == drawn


def test_bos_stands_there_once(tokenizer: PreTrainedTokenizerBase) -> None:
    assert start_ids(tokenizer, "the") == [0, *tokenizer.encode("the")]
    assert start_ids(tokenizer, "<|end|>the") == start_ids(tokenizer, "the")


def test_logits_of_rows_are_those_of_whole_texts(lively: PreTrainedModel) -> None:
    logits_after: Callable = next_logits(lively, 24)
    texts = [[5, 9, 33, 7, 8], [6, 7]]
    for _ in range(3):
        with torch.no_grad():
            got = logits_after(texts)
            whole = torch.stack([lively(torch.tensor([ids])).logits[0, -1] for ids in texts])
        torch.testing.assert_close(got, whole, rtol=1e-4, atol=1e-5)
        texts = [[*ids, int(row.argmax())] for ids, row in zip(texts, got, strict=True)]
