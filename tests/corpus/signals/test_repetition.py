"""Repetition: against the definition, carried out n-gram by n-gram."""

import random
from collections import Counter

import numpy as np
import pytest

from evergrow.corpus.document import Document
from evergrow.corpus.signals.repetition import FEW, REPETITION, _sorted, ngram_shares
from evergrow.corpus.words import split_words, words_of


def by_definition(words: list[str], num_characters: int) -> list[float]:
    """Every share of the n-grams, by looking at each n-gram."""
    shares = []
    for n in range(2, 5):
        grams = Counter(" ".join(words[i : i + n]) for i in range(len(words) - n + 1))
        gram, times = grams.most_common(1)[0] if grams else ("", 0)
        shares.append(len(gram) * times / num_characters)
    for n in range(5, 11):
        seen, place, characters = set(), 0, 0
        while place + n <= len(words):
            gram = tuple(words[place : place + n])
            if gram in seen:
                characters += sum(map(len, gram))
                place += n
            else:
                seen.add(gram)
                place += 1
        shares.append(characters / num_characters)
    return shares


@pytest.mark.parametrize("seed", range(40))
def test_ngrams_as_defined(seed: int) -> None:
    draw = random.Random(seed)
    few = [draw.choice("abcdefgh") * draw.randint(1, 4) for _ in range(draw.choice([2, 4, 30]))]
    words = [draw.choice(few) for _ in range(draw.choice([1, 3, 9, 60, 300, 900]))]
    words += draw.choice([1, 3]) * words[: draw.randint(0, len(words))]
    text = " ".join(words)
    assert ngram_shares(words_of(text, words)) == pytest.approx(by_definition(words, len(text)))


@pytest.mark.parametrize("largest", [40, 1 << 60])
def test_keys_are_sorted_with_their_places(largest: int) -> None:
    keys = np.random.default_rng(0).integers(0, largest, 2 * FEW) // (largest // 40)
    order, in_order = _sorted(keys * (largest // 40))
    assert np.array_equal(in_order, np.sort(keys) * (largest // 40))
    assert np.array_equal(keys[order], np.sort(keys))
    assert np.array_equal(np.sort(order), np.arange(2 * FEW))


def repetition_of(text: str) -> dict[str, float]:
    values = REPETITION.compute(Document.of(text, "s", "p"), split_words(text))
    return dict(zip(REPETITION.fields, values, strict=True))


def test_lines_and_paragraphs_counted_by_hand() -> None:
    found = repetition_of("one\ntwo\n\n\none\nsix\n\none\ntwo")  # 26 characters
    assert found["lines"] == 3 / 6
    assert found["line_characters"] == 9 / 26
    assert found["paragraphs"] == 1 / 3
    assert found["paragraph_characters"] == 7 / 26


def test_a_newline_around_the_text_is_an_empty_line() -> None:
    assert repetition_of("\none\n")["lines"] == 1 / 3
    assert repetition_of("one\n")["lines"] == 0


def test_the_first_of_several_most_frequent_ngrams_counts() -> None:
    assert repetition_of("a b c d a b c d")["top_2_gram"] == 2 * 3 / 15
    assert repetition_of("aa b c d")["top_2_gram"] == 4 / 8
    assert repetition_of("aa")["top_2_gram"] == 0
