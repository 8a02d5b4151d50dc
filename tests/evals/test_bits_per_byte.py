"""Bits per byte of models whose losses are known in closed form, and of a tiny real one."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from evergrow.errors import InputError
from evergrow.evals.bits_per_byte import bits_per_byte, bits_per_byte_interval, document_nats

TEXTS = ["a small house by the river", "", "naïve café, 5 €", "x"]
EOS = 0
VOCABULARY = 300


class FixedLogits(torch.nn.Module):
    """Predicts the same distribution everywhere; keeps the inputs it was given."""

    def __init__(self, log_probabilities: torch.Tensor) -> None:
        super().__init__()
        self.log_probabilities = torch.nn.Parameter(log_probabilities)
        self.dropout = torch.nn.Dropout(0.5)
        self.base_model = self.dropout
        self.config = LlamaConfig(vocab_size=len(log_probabilities))
        self.seen: list[torch.Tensor] = []

    def forward(self, input_ids: torch.Tensor, use_cache: bool) -> SimpleNamespace:
        assert not use_cache
        assert not self.dropout.training
        assert torch.is_inference_mode_enabled()
        self.seen.append(input_ids)
        return SimpleNamespace(logits=self.log_probabilities.expand(*input_ids.shape, -1))


def single_bytes(text: str) -> np.ndarray:
    """Token 1 + byte value."""
    return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.uint16) + 1


def pairs(text: str) -> np.ndarray:
    """Token 257 for two bytes, whichever they are, and 258 for a last lonely one."""
    length = len(text.encode())
    return np.array([257] * (length // 2) + [258] * (length % 2), dtype=np.uint32)


def byte_uniform() -> FixedLogits:
    """log2 p(token) = -8 x its bytes; the rest of the mass lies on tokens no text has."""
    log_probabilities = torch.full((VOCABULARY,), -math.inf)
    log_probabilities[1:257] = math.log(1 / 256)
    return FixedLogits(log_probabilities)


def pair_uniform() -> FixedLogits:
    log_probabilities = torch.full((VOCABULARY,), -math.inf)
    log_probabilities[257] = -16 * math.log(2)
    log_probabilities[258] = -8 * math.log(2)
    log_probabilities[EOS] = math.log1p(-(2.0**-16) - 2.0**-8)
    return FixedLogits(log_probabilities)


@pytest.fixture(scope="module")
def tiny() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        initializer_range=0.5,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=EOS,
    )
    return LlamaForCausalLM(config)


def random_documents(num_documents: int = 9) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    lengths = generator.integers(0, 40, num_documents)
    return [generator.integers(1, VOCABULARY, n).astype(np.uint16) for n in lengths]


@pytest.mark.parametrize("special_ids", [(), (EOS,)])
@pytest.mark.parametrize(
    ("model", "tokenise"), [(byte_uniform(), single_bytes), (pair_uniform(), pairs)]
)
def test_a_model_uniform_over_bytes_has_8_bits_under_any_tokenizer(
    model: FixedLogits, tokenise, special_ids: tuple[int, ...]
) -> None:
    documents = [tokenise(text) for text in TEXTS]
    num_bytes = np.array([len(text.encode()) for text in TEXTS])
    nats = document_nats(model, documents, EOS, 7, 3, special_ids)
    assert nats / math.log(2) == pytest.approx(8.0 * num_bytes, rel=1e-6)
    assert bits_per_byte(nats, num_bytes) == pytest.approx(8.0, rel=1e-6)


def test_a_model_uniform_over_the_vocabulary_pays_log2_of_it_per_token() -> None:
    documents = [pairs(text) for text in TEXTS]
    num_bytes = np.array([len(text.encode()) for text in TEXTS])
    nats = document_nats(FixedLogits(torch.zeros(VOCABULARY)), documents, EOS, 7, 3)
    num_tokens = 13 + 0 + 10 + 1
    expected = num_tokens * math.log2(VOCABULARY) / (26 + 19 + 1)
    assert bits_per_byte(nats, num_bytes) == pytest.approx(expected, rel=1e-6)


def test_special_targets_weigh_nothing_even_when_they_are_impossible() -> None:
    document = np.append(single_bytes("abc"), EOS)
    assert document_nats(byte_uniform(), [document], EOS, 8, 2, (EOS,)) == pytest.approx(
        3 * 8 * math.log(2), rel=1e-6
    )
    assert math.isinf(document_nats(byte_uniform(), [document], EOS, 8, 2)[0])


def test_every_window_starts_with_eos_and_covers_the_document_once() -> None:
    model = FixedLogits(torch.zeros(VOCABULARY))
    documents = [np.array([11, 12]), np.array([1, 2, 3, 4, 5, 6, 7]), np.array([], dtype=np.int64)]
    nats = document_nats(model, documents, EOS, 3, 2)
    assert [batch.tolist() for batch in model.seen] == [
        [[0]],  # one token, to see whether the model can be taken apart
        [[0, 1, 2], [0, 4, 5]],
        [[0, 11], [0, 0]],  # the last token's window is padded to the width of its neighbour
    ]
    assert nats == pytest.approx(np.array([2, 7, 0]) * math.log(VOCABULARY))
    assert nats.dtype == np.float64


def test_agreement_with_the_models_own_loss(tiny: LlamaForCausalLM) -> None:
    documents = random_documents()
    expected = []
    for document in documents:
        total = 0.0
        for start in range(0, len(document), 16):
            chunk = document[start : start + 16].astype(np.int64)
            ids = torch.tensor([[EOS, *chunk]])
            with torch.no_grad():
                total += tiny(input_ids=ids, labels=ids).loss.item() * len(chunk)
        expected.append(total)
    assert document_nats(tiny, documents, EOS, 16, 4) == pytest.approx(np.array(expected), rel=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_neighbours_and_order_do_not_matter(tiny: LlamaForCausalLM, batch_size: int) -> None:
    documents = random_documents()
    together = document_nats(tiny, documents, EOS, 16, batch_size)
    alone = [document_nats(tiny, [document], EOS, 16, 1)[0] for document in documents]
    backwards = document_nats(tiny, documents[::-1], EOS, 16, batch_size)[::-1]
    assert together == pytest.approx(np.array(alone), rel=1e-5)
    assert together == pytest.approx(backwards, rel=1e-5)


def test_same_call_same_bits(tiny: LlamaForCausalLM) -> None:
    documents = random_documents()
    first = document_nats(tiny, documents, EOS, 16, 4)
    assert (document_nats(tiny, documents, EOS, 16, 4) == first).all()


def test_nothing_of_the_model_or_of_the_global_random_state_is_changed() -> None:
    model = byte_uniform()
    model.train()
    frozen = torch.nn.Dropout(0.5)
    model.add_module("frozen", frozen)
    frozen.eval()
    state = torch.get_rng_state()
    document_nats(model, [single_bytes("abc")], EOS, 8, 2)
    assert (model.training, model.dropout.training, frozen.training) == (True, True, False)
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(RuntimeError, match="out of bounds"):
        document_nats(model, [np.array([10**6])], EOS, 8, 2, ())
    assert model.training


def test_no_documents_cost_nothing() -> None:
    assert document_nats(byte_uniform(), [], EOS, 8, 2).shape == (0,)
    empty = np.array([], dtype=np.uint16)
    assert document_nats(byte_uniform(), [empty, empty], EOS, 8, 2).tolist() == [0.0, 0.0]


def test_bits_per_byte_on_hand_numbers() -> None:
    nats = np.array([2.0, 6.0]) * math.log(2)
    assert bits_per_byte(nats, np.array([1, 3])) == pytest.approx(2.0)
    with pytest.raises(InputError, match="bits per byte of no text"):
        bits_per_byte(np.array([0.0]), np.array([0]))


def test_the_interval_holds_the_value_and_ignores_empty_documents() -> None:
    generator = np.random.default_rng(0)
    num_bytes = generator.integers(100, 1000, 50)
    nats = num_bytes * generator.normal(1.5, 0.2, 50)
    interval = bits_per_byte_interval(nats, num_bytes)
    assert interval.low < bits_per_byte(nats, num_bytes) < interval.high
    assert interval.high - interval.low == pytest.approx(
        0.18, abs=0.05
    )  # 2 * 1.96 * .29 / sqrt(50)
    with_empty = bits_per_byte_interval(np.append(nats, 0.0), np.append(num_bytes, 0))
    assert with_empty == interval
    with pytest.raises(InputError, match="at least 2 of them, got 1"):
        bits_per_byte_interval(np.array([1.0, 0.0]), np.array([5, 0]))
