"""Shares of masks within binomial bounds, whole words whole, and nothing but seed and sample."""

import math
from dataclasses import replace

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from evergrow.stream.batches import TokenBatch
from evergrow.stream.masks import MaskedBatch, MaskRule, masked_batch, measured_tokens
from evergrow.stream.order import key_of, mix
from evergrow.stream.pieces import Pieces, pieces_of
from evergrow.stream.tokenizer import encode_documents, train_tokenizer

LENGTH, WINDOWS = 64, 2000
WORDS = ["tree", "roots", "rooting", "leaf", "leaves", "stone", "moss", "hill", "hilly", "x,y;"]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer([" ".join(WORDS[:6])] * 3, 275, with_mask=True)


@pytest.fixture(scope="module")
def pieces(tokenizer: PreTrainedTokenizerFast) -> Pieces:
    return pieces_of(tokenizer)


@pytest.fixture(scope="module")
def batch(tokenizer: PreTrainedTokenizerFast) -> TokenBatch:
    """Windows of text with an EOS at some place of each; the last one does not count."""
    draw = np.random.default_rng(0)
    (ids,) = encode_documents(tokenizer, [" ".join(draw.choice(WORDS, WINDOWS * LENGTH))])
    windows = ids[: WINDOWS * LENGTH].reshape(WINDOWS, LENGTH).astype(np.int64)
    windows[np.arange(WINDOWS), draw.integers(0, LENGTH, WINDOWS)] = 0
    weights = np.ones((WINDOWS, LENGTH), np.float32)
    weights[-1] = 0
    return TokenBatch(windows, windows, weights, np.full(WINDOWS, LENGTH), None)


def rule_of(pieces: Pieces, whole_words: bool = False, seed: int = 0) -> MaskRule:
    return MaskRule(0.15, whole_words, mask_id=1, pieces=pieces, seed=seed)


def mask(batch: TokenBatch, rule: MaskRule, first: int = 0) -> MaskedBatch:
    return masked_batch(batch, range(first, first + len(batch.inputs_BT)), rule)


def within(count: int, total: int, share: float, effective: float = 1.0) -> bool:
    """Whether a count lies within five deviations of a binomial's mean."""
    return abs(count - share * total) < 5 * math.sqrt(share * (1 - share) * total * effective)


@pytest.mark.parametrize("whole_words", [False, True])
def test_fifteen_percent_are_chosen_and_most_of_them_hidden(
    whole_words: bool, batch: TokenBatch, pieces: Pieces
) -> None:
    masked = mask(batch, rule_of(pieces, whole_words))
    ordinary = ~pieces.special_V[batch.inputs_BT]
    ordinary[-1] = False
    chosen = masked.chosen_BT
    # Tokens of a word are chosen together: a word of n tokens has n times their variance.
    longest = 8 if whole_words else 1
    assert within(chosen.sum(), ordinary.sum(), 0.15, longest)
    hidden = masked.inputs_BT[chosen] == 1
    same = masked.inputs_BT[chosen] == masked.targets_BT[chosen]
    others = int((~pieces.special_V).sum())
    assert within(hidden.sum(), chosen.sum(), 0.8)
    assert within(same.sum(), chosen.sum(), 0.1 + 0.1 / others)
    assert within((~hidden & ~same).sum(), chosen.sum(), 0.1 - 0.1 / others)
    assert np.array_equal(masked.inputs_BT[~chosen], batch.inputs_BT[~chosen])
    assert np.array_equal(masked.targets_BT, batch.inputs_BT)


def test_special_tokens_are_neither_chosen_nor_drawn_and_all_others_are_drawn(
    batch: TokenBatch, pieces: Pieces
) -> None:
    masked = mask(batch, rule_of(pieces))
    assert not masked.chosen_BT[batch.inputs_BT == 0].any()
    assert not masked.chosen_BT[-1].any()
    replaced = masked.inputs_BT[masked.chosen_BT & (masked.inputs_BT != masked.targets_BT)]
    drawn = np.bincount(replaced, minlength=275)
    assert drawn[0] == 0
    assert (drawn[2:] > 0).sum() > 0.95 * 273
    every_place = masked.chosen_BT.mean(axis=0)
    assert every_place.min() > 0.1
    assert every_place.max() < 0.2


def test_a_batch_counts_its_targets_and_all_that_was_read(
    batch: TokenBatch, pieces: Pieces
) -> None:
    masked = mask(batch, rule_of(pieces))
    assert masked.weight == masked.chosen_BT.sum() > 0
    assert masked.passed == batch.passed == WINDOWS * LENGTH
    parts = masked.split(300)
    assert [len(part.chosen_BT) for part in parts] == [300] * 6 + [200]
    assert sum(part.weight for part in parts) == masked.weight
    for name in ("inputs_BT", "targets_BT", "chosen_BT"):
        whole = np.concatenate([getattr(part, name) for part in parts])
        assert np.array_equal(whole, getattr(masked, name))


def test_single_tokens_of_weight_0_are_not_chosen(batch: TokenBatch, pieces: Pieces) -> None:
    weights = batch.weights_BT.copy()
    weights[:, 10:20] = 0
    masked = mask(replace(batch, weights_BT=weights), rule_of(pieces))
    whole = mask(batch, rule_of(pieces))
    assert not masked.chosen_BT[:, 10:20].any()
    assert np.array_equal(masked.chosen_BT[:, 20:], whole.chosen_BT[:, 20:])


def test_words_are_chosen_whole(batch: TokenBatch, pieces: Pieces) -> None:
    masked = mask(batch, rule_of(pieces, whole_words=True))
    starts = pieces.word_starts(batch.inputs_BT)
    words = np.cumsum(starts.ravel()) - 1
    sizes = np.bincount(words)
    chosen = np.bincount(words, weights=masked.chosen_BT.ravel())
    assert (sizes > 1).sum() > 10_000
    assert set(np.unique(chosen / sizes)) == {0.0, 1.0}
    apart = mask(batch, rule_of(pieces)).chosen_BT.ravel()
    assert len(np.unique(np.bincount(words, weights=apart) / sizes)) > 2


def test_a_window_is_masked_by_its_number_alone(batch: TokenBatch, pieces: Pieces) -> None:
    rule = rule_of(pieces, whole_words=True)
    np.random.seed(1)
    whole = mask(batch, rule, first=7)
    state = np.random.get_state()[1].tolist()  # pyright: ignore
    inputs = batch.inputs_BT[3:5]
    part = TokenBatch(inputs, inputs, batch.weights_BT[3:5], batch.lengths_B[3:5], None)
    again = mask(part, rule, first=10)
    assert np.array_equal(again.inputs_BT, whole.inputs_BT[3:5])
    assert np.array_equal(again.chosen_BT, whole.chosen_BT[3:5])
    assert state == np.random.get_state()[1].tolist()  # pyright: ignore
    for other in (mask(part, rule, first=11), mask(part, rule_of(pieces, True, seed=1), first=10)):
        assert not np.array_equal(other.chosen_BT, again.chosen_BT)


def test_arrays_are_mixed_as_numbers_are() -> None:
    values = [0, 1, key_of("a"), 2**64 - 1]
    mixed = mix(np.array(values, np.uint64))  # pyright: ignore
    assert mixed.tolist() == [mix(value) for value in values]  # pyright: ignore


def test_a_measurement_hides_the_same_fifteen_percent_always(pieces: Pieces) -> None:
    tokens = np.random.default_rng(1).integers(2, 275, 1000).astype(np.uint32)
    tokens[::10] = 0
    chosen = measured_tokens(tokens, pieces)
    assert chosen.sum() == round(0.15 * 900)
    assert not chosen[::10].any()
    assert np.array_equal(measured_tokens(tokens.astype(np.int64), pieces), chosen)
    # Checked in: with other ones, old and new measurements would differ.
    assert np.flatnonzero(chosen)[:5].tolist() == [5, 18, 34, 35, 45]
    other = tokens.copy()
    other[5] += 1
    assert not np.array_equal(measured_tokens(other, pieces), chosen)
    assert measured_tokens(tokens[1:3], pieces).sum() == 1
    assert measured_tokens(tokens[:1], pieces).sum() == 0
