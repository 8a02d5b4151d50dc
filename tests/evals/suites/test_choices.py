"""Choices are judged by the log-probability of whole continuations, each method by its own rule."""

import math
from typing import Any

import pytest
import torch
from models.conftest import config, model, tokenizer
from tokenizers import processors
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.errors import InputError
from evergrow.evals.suites import choices
from evergrow.evals.suites.choices import METHODS, choose, continuation_nats
from evergrow.evals.suites.items import Choice, Item
from evergrow.models.config import ModelConfig
from evergrow.models.presets import from_scratch

__all__ = ["config", "model", "tokenizer"]
PAIRS = [("the", " sea"), ("the land and", " the wind"), ("a", " a"), ("the sea", " rain rain")]


@torch.no_grad()
def whole_nats(model: Any, ids: list[int], num_told: int) -> float:
    logits = model(torch.tensor([ids])).logits[0].double()
    told = logits.log_softmax(-1)[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    return -float(told[-num_told:].sum())


def test_every_token_of_a_continuation_counts(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    expected = []
    for context, continuation in PAIRS:
        before = [0, *tokenizer.encode(context)]
        ids = [0, *tokenizer.encode(context + continuation)]
        assert ids[: len(before)] == before
        expected.append(whole_nats(model, ids, len(ids) - len(before)))
    assert continuation_nats(model, tokenizer, PAIRS) == pytest.approx(expected, rel=1e-5)
    assert len(tokenizer.encode(" rain rain")) > 3


def test_a_token_that_joins_the_two_is_part_of_the_continuation(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    # "th" + "e": the whole is one token, of which the context alone is another.
    joined, alone = [0, *tokenizer.encode("the")], tokenizer.encode("th")
    assert len(joined) == 2 != len(alone) + 2
    (nats,) = continuation_nats(model, tokenizer, [("th", "e")])
    assert nats == pytest.approx(whole_nats(model, joined, 1), rel=1e-5)


def with_bos(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerFast:
    bare = type(tokenizer.backend_tokenizer).from_str(tokenizer.backend_tokenizer.to_str())
    bare.add_special_tokens(["<s>"])
    place = bare.token_to_id("<s>")
    bare.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", place)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=bare, bos_token="<s>", eos_token="<|end|>")


@pytest.mark.parametrize("written", ["the", "<s>the"])
def test_exactly_one_bos_is_counted(
    tokenizer: PreTrainedTokenizerBase, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[list[int]] = []
    tell = choices._tell

    def noted(nats: Any, given: Any, device: Any) -> list[float]:
        rows.extend(ids for ids, _ in given)
        return tell(nats, given, device)

    monkeypatch.setattr(choices, "_tell", noted)
    bos = with_bos(tokenizer)
    model = from_scratch(ModelConfig(preset="olmo2", hidden=16, layers=1), bos, 24, seed=0)
    continuation_nats(model, bos, [(written, " sea")])
    assert rows[0].count(bos.bos_token_id) == 1
    assert rows[0][0] == bos.bos_token_id


def item(name: str, *answers: str) -> Item:
    return Item(name, name, f"where is the {name}", Choice(answers, 0))


def test_each_method_by_its_rule(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    items = [item("sea", "on the land", "é", "in the rain and the wind"), item("wind", "a", "bb")]
    told = choose(model, tokenizer, items, lambda prompt: f"{prompt}?")
    assert tuple(told) == METHODS
    for number, one in enumerate(items):
        assert isinstance(one.task, Choice)
        answers = one.task.choices
        asked = continuation_nats(model, tokenizer, [(f"{one.prompt}?", f" {a}") for a in answers])
        alone = continuation_nats(model, tokenizer, [("Answer:", f" {a}") for a in answers])
        lettered = list(zip("ABC", answers, strict=False))
        listed = "\n".join([one.prompt, *(f" {letter}. {a}" for letter, a in lettered)])
        pairs = [(f"{listed}?", f" {letter}") for letter, _ in lettered]
        letters = continuation_nats(model, tokenizer, pairs)
        costs = {
            "cloze": asked,
            "cloze, per character": [n / len(a) for n, a in zip(asked, answers, strict=False)],
            "cloze, per byte": [n / len(a.encode()) for n, a in zip(asked, answers, strict=False)],
            "cloze, PMI": [n - m for n, m in zip(asked, alone, strict=False)],
            "letters": letters,
        }
        chosen = {method: places[number] for method, places in told.items()}
        assert chosen == {method: own.index(min(own)) for method, own in costs.items()}
    assert len({tuple(places) for places in told.values()}) > 1


def test_a_long_context_loses_its_beginning_and_a_long_answer_is_refused(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    long = "the sea " * 40
    (nats,) = continuation_nats(model, tokenizer, [(long, " rain")])
    ids = tokenizer.encode(f"{long} rain")[-24:]
    num_told = len(tokenizer.encode(" rain"))
    assert nats == pytest.approx(whole_nats(model, ids, num_told), rel=1e-5)
    with pytest.raises(InputError, match="tokens and the model a window of 24; leave the item out"):
        continuation_nats(model, tokenizer, [("a", " rain" * 30)])


def test_a_masked_model_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    masked = from_scratch(
        ModelConfig(preset="bert", hidden=16, layers=1, heads=2), tokenizer, 24, seed=0
    )
    with pytest.raises(
        InputError, match="BertForMaskedLM: a masked language model gives a text no"
    ):
        choose(masked, tokenizer, [item("sea", "a", "b")], str)


def test_uniform_costs_are_tokens_times_log_of_the_vocabulary(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    with torch.no_grad():
        model.get_output_embeddings().weight.zero_()
    found = continuation_nats(model, tokenizer, PAIRS)
    rows = model.get_output_embeddings().weight.shape[0]
    sizes = [len(tokenizer.encode(answer)) for _, answer in PAIRS]
    assert found == pytest.approx([n * math.log(rows) for n in sizes], rel=1e-5)
