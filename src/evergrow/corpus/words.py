"""A text split into words once, for every signal, shingle and n-gram that is computed from it."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from xxhash import xxh3_64_intdigest

from evergrow.corpus.word_rules import split_chunk

MAX_WORDS = 500_000  # distinct words and chunks remembered by a thread; about 150 bytes each
MAX_CHUNK = 64  # characters; longer chunks (base64, minified code) hardly ever come again

LETTER, LETTER_OR_DIGIT = 1, 2


@dataclass(frozen=True)
class Words:
    """The W words of one text.

    text      the text itself
    ids_W     int32: the word's place in ``strings``; equal words have equal places
    hashes    uint64 [W], of each word lower-cased; the same in every process
    exact     uint64 [W], of each word as written
    lengths   int32 [W], in characters
    symbol    bool [W]: the word has neither letter nor digit
    letters   bool [W]: the word has a letter
    """

    text: str
    ids_W: np.ndarray
    hashes: np.ndarray
    exact: np.ndarray
    lengths: np.ndarray
    symbol: np.ndarray
    letters: np.ndarray
    strings: list[str]

    @cached_property
    def words(self) -> list[str]:
        """The words as written, in order."""
        return list(map(self.strings.__getitem__, self.ids_W.tolist()))

    def __len__(self) -> int:
        return len(self.ids_W)


def split_words(text: str) -> Words:
    """The words of a text, split as spaCy's English tokenizer splits; white space is no word."""
    chunks = _remembered()
    ids = chain.from_iterable(map(chunks.__getitem__, text.split()))
    return chunks.vocabulary.words(text, np.fromiter(ids, np.int32))


def words_of(text: str, words: Sequence[str]) -> Words:
    """A text with words that somebody else split."""
    vocabulary = _remembered().vocabulary
    return vocabulary.words(text, np.fromiter(map(vocabulary.__getitem__, words), np.int32))


def _remembered() -> "_Chunks":
    chunks = getattr(_memory, "chunks", None)
    if chunks is None or len(chunks) > MAX_WORDS or len(chunks.vocabulary) > MAX_WORDS:
        chunks = _memory.chunks = _Chunks()  # the old strings live on in the Words that need them
    return chunks


class _Vocabulary(dict[str, int]):
    """Word to id, and what is known of every word, computed when it is met first."""

    def __init__(self) -> None:
        self.strings: list[str] = []
        self.hashes = np.empty(1024, np.uint64)
        self.exact = np.empty(1024, np.uint64)
        self.lengths = np.empty(1024, np.int32)
        self.kinds = np.empty(1024, np.uint8)

    def __missing__(self, word: str) -> int:
        place = self[word] = len(self.strings)
        self.strings.append(word)
        if place == len(self.hashes):
            for name in ("hashes", "exact", "lengths", "kinds"):
                setattr(self, name, np.resize(getattr(self, name), 2 * place))
        lower = word.lower()
        self.exact[place] = exact = _hash(word)
        self.hashes[place] = exact if lower == word else _hash(lower)
        self.lengths[place] = len(word)
        self.kinds[place] = _kind(word)
        return place

    def words(self, text: str, ids_W: np.ndarray) -> Words:
        kinds = self.kinds[ids_W]
        return Words(
            text=text,
            ids_W=ids_W,
            hashes=self.hashes[ids_W],
            exact=self.exact[ids_W],
            lengths=self.lengths[ids_W],
            symbol=kinds == 0,
            letters=(kinds & LETTER).astype(bool),
            strings=self.strings,
        )


class _Chunks(dict[str, tuple[int, ...]]):
    """What white space parts, to the ids of the words in it."""

    def __init__(self) -> None:
        self.vocabulary = _Vocabulary()

    def __missing__(self, chunk: str) -> tuple[int, ...]:
        ids = tuple(map(self.vocabulary.__getitem__, split_chunk(chunk)))
        if len(chunk) <= MAX_CHUNK:
            self[chunk] = ids
        return ids


def _hash(word: str) -> int:
    return xxh3_64_intdigest(word.encode("utf-8", "surrogatepass"))


def _kind(word: str) -> int:
    if word.isalpha():
        return LETTER | LETTER_OR_DIGIT
    has_letter = any(map(str.isalpha, word))
    has_either = has_letter or any(map(str.isalnum, word))
    return has_letter * LETTER | has_either * LETTER_OR_DIGIT


_memory = threading.local()
