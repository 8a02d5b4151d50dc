"""The masked measure against one call a window, and of a model whose loss is known."""

import math

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from evergrow.evals.bits_per_byte import bits_per_byte
from evergrow.evals.masked import Marks, masked_document_nats
from evergrow.stream.masks import measured_tokens
from evergrow.stream.pieces import Pieces

EOS, MASK, VOCABULARY, LENGTH = 0, 1, 40, 12
SPECIAL = np.arange(VOCABULARY) < 2
# Tokens of one, two and three bytes.
PIECES = Pieces(
    np.where(SPECIAL, 0, 1 + np.arange(VOCABULARY) % 3),
    SPECIAL,
    np.zeros(VOCABULARY, np.int8),
    np.zeros(VOCABULARY, np.int8),
)


def build(deviation: float) -> BertForMaskedLM:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=LENGTH,
        hidden_dropout_prob=0.5,
        pad_token_id=None,
    )
    model = BertForMaskedLM(config)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(0, deviation)
    return model.train()


@pytest.fixture(scope="module")
def documents() -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.integers(2, VOCABULARY, n).astype(np.uint16) for n in (5, 0, 11, 40, 23, 1, 22, 8)]


def measure(
    model: BertForMaskedLM, documents: list[np.ndarray], batch_size: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    return masked_document_nats(model, documents, PIECES, Marks(EOS, EOS, MASK), LENGTH, batch_size)


def by_hand(model: BertForMaskedLM, document: np.ndarray) -> float:
    """One call for each window of 11 tokens after EOS; the last one holds the closing EOS."""
    hidden = np.append(measured_tokens(document, PIECES), False)
    tokens = np.append(document.astype(np.int64), EOS)
    total = 0.0
    for start in range(0, len(tokens), LENGTH - 1):
        part, told = tokens[start : start + LENGTH - 1], hidden[start : start + LENGTH - 1]
        seen = torch.tensor([[EOS, *np.where(told, MASK, part)]])
        log_p = model(input_ids=seen).logits[0, 1:].log_softmax(-1)
        total -= sum(log_p[i, part[i]].item() for i in np.flatnonzero(told))
    return total


def test_it_is_the_sum_over_windows_measured_one_by_one(documents: list[np.ndarray]) -> None:
    model = build(0.5)
    nats, num_bytes = measure(model, documents)
    assert model.training
    model.eval()
    expected = [by_hand(model, document) for document in documents]
    assert nats == pytest.approx(expected, rel=1e-5)
    assert expected[3] > 20
    for document, count in zip(documents, num_bytes, strict=True):
        hidden = document[measured_tokens(document, PIECES)].astype(int)
        assert count == sum(1 + token % 3 for token in hidden)
    assert (nats[1], num_bytes[1]) == (0, 0)
    assert num_bytes[5] == 1 + int(documents[5][0]) % 3


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_neighbours_in_a_batch_change_nothing(batch_size: int, documents: list[np.ndarray]) -> None:
    model = build(0.5)
    assert measure(model, documents, batch_size)[0] == pytest.approx(
        measure(model, documents)[0], rel=1e-5
    )


def test_a_model_that_knows_nothing_pays_log2_of_the_vocabulary_for_each_hidden_token(
    documents: list[np.ndarray],
) -> None:
    nats, num_bytes = measure(build(0.0), documents)
    numbers = [measured_tokens(document, PIECES).sum() for document in documents]
    assert nats == pytest.approx(np.array(numbers) * math.log(VOCABULARY), rel=1e-6)
    expected = sum(numbers) * math.log2(VOCABULARY) / num_bytes.sum()
    assert bits_per_byte(nats, num_bytes) == pytest.approx(expected, rel=1e-6)
    assert measure(build(0.0), [])[0].tolist() == []
