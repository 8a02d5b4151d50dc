"""Words: split as spaCy splits English, remembered, hashed alike in every process."""

# ruff: noqa: RUF001 -- quotes of all kinds are the subject
import subprocess
import sys

import numpy as np
import pytest

from evergrow.corpus import words as module
from evergrow.corpus.word_rules import MAX_PEELED
from evergrow.corpus.words import split_texts, split_words, words_of

# What spacy.blank("en") answers (spaCy 3.8), words parted by |.
SPACY = {
    "Don't we'd it's cannot gonna dont": "Do|n't|we|'d|it|'s|can|not|gon|na|do|nt",
    "They’re Jane’s, shouldn't've": "They|’re|Jane|’s|,|should|n't|'ve",
    "the well-known 18-hole x-ray -- a---b": "the|well|-|known|18|-|hole|x|-|ray|--|a|---|b",
    "U.S. e.g. Ph.D. Mr. Smith's a.m. 10am": "U.S.|e.g.|Ph.D.|Mr.|Smith|'s|a.m.|10|am",
    "End. NASA. A. 2000. x...": "End|.|NASA|.|A.|2000|.|x|...",
    'He said, "Stop!" (twice).': 'He|said|,|"|Stop|!|"|(|twice|)|.',
    "wait...what word.Next a,b 1,000 3.14": "wait|...|what|word|.|Next|a|,|b|1,000|3.14",
    "$5.00 £3 5km 20% 10°C 3+4 +5": "$|5.00|£|3|5|km|20|%|10|°|C|3|+|4|+5",
    "https://a.org/b?c=d, me@example.com!": "https://a.org/b?c=d|,|me@example.com|!",
    "[text](https://a.org/b-c) #tag @name": "[|text](https://a.org|/|b|-|c|)|#|tag|@name",
    "either/or and/or key:value 10:30 w/o": "either|/|or|and/or|key|:|value|10:30|w/o",
    "🙂ok →x rock'n'roll 'quoted' ''": "🙂|ok|→x|rock'n'roll|'|quoted|'|''",
}


@pytest.mark.parametrize("text", SPACY)
def test_splits_as_spacy_does(text: str) -> None:
    assert split_words(text).words == SPACY[text].split("|")


def test_no_character_is_lost() -> None:
    text = "".join(map(chr, range(33, 0x3000))) + " a-b.C,d'e...f/g"
    assert "".join(split_words(text).words) == "".join(text.split())


def test_a_word_knows_its_hash_length_and_kind() -> None:
    words = split_words("The the 42 --")
    assert words.words == ["The", "the", "42", "--"]
    assert words.ids_W[0] != words.ids_W[1]
    assert words.hashes[0] == words.hashes[1] != words.hashes[2]
    assert words.lengths.tolist() == [3, 3, 2, 2]
    assert words.symbol.tolist() == [False, False, False, True]
    assert words.letters.tolist() == [True, True, False, False]
    assert words.counts(["the", "missing"]) == [1, 0]
    assert len(words) == 4


def test_hashes_are_the_same_in_every_process() -> None:
    code = "from evergrow.corpus.words import split_words as s; print(s('B evergrow').hashes[1])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == split_words("evergrow").hashes[0] == 13194502225146729313


def test_a_full_memory_is_left_and_old_words_stay_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 3)
    first = split_words("one two three four five")
    assert first.ids_W[-1] >= 3
    second = split_words("six seven")
    assert second.ids_W.tolist() == [0, 1]
    assert first.words == ["one", "two", "three", "four", "five"]
    assert np.array_equal(first.hashes, split_words("ONE two three four five").hashes)
    for words in (words_of("", list("abcdef")), split_texts(["a b c", "d e f"])[0]):
        assert words.words == list("abcdef")


def test_words_of_somebody_else_are_taken_as_they_are() -> None:
    words = words_of("a bc", ["a b", "c"])
    assert words.words == ["a b", "c"]
    assert words.lengths.tolist() == [3, 1]


def test_texts_in_a_row_say_how_many_words_each_has() -> None:
    words, counts = split_texts(["It's so.", "", "Yes"])
    assert words.words == ["It", "'s", "so", ".", "Yes"]
    assert counts.tolist() == [4, 0, 1]


def test_nothing_has_no_words() -> None:
    words = split_words(" \n\t")
    assert (words.words, words.hashes.dtype, len(words)) == ([], np.uint64, 0)


@pytest.mark.parametrize("piece", ["(", "a-", "a@b.", "'s", "1,", "http://", "....a"])
def test_no_chunk_takes_quadratic_time(piece: str) -> None:
    chunk = piece * (300_000 // len(piece))  # minutes, were it peeled mark by mark
    assert len(chunk) > MAX_PEELED
    assert sum(split_words(chunk).lengths) == len(chunk)
