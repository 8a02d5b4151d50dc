"""Words: split once, hashed alike in every process."""

import numpy as np

from evergrow.corpus.words import split_words, words_of


def test_a_word_knows_its_hash_length_and_kind() -> None:
    words = split_words("The the 42 --")
    assert words.words[:3] == ["The", "the", "42"]
    assert words.hashes[0] == words.hashes[1] != words.hashes[2]
    assert words.lengths[:3].tolist() == [3, 3, 2]
    assert words.symbol[:3].tolist() == [False, False, False]
    assert words.symbol[3:].all()
    assert words.letters[:3].tolist() == [True, True, False]


def test_hashes_are_the_same_in_every_process() -> None:
    assert split_words("evergrow").hashes.tolist() == [13194502225146729313]


def test_words_of_somebody_else_are_taken_as_they_are() -> None:
    words = words_of("a bc", ["a b", "c"])
    assert words.words == ["a b", "c"]
    assert np.array_equal(words.lengths, [3, 1])
