"""A text split into words once, for every signal, shingle and n-gram that is computed from it.

Text is Zipfian: a chunk between white space is taken apart when it is met first and looked up
after that, and so is what is known of a word.
"""

import threading
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice

import numpy as np
from xxhash import xxh3_64_intdigest

from evergrow.corpus.punctuation import SENTENCE_ENDS
from evergrow.corpus.word_rules import split_chunk

MAX_REMEMBERED = 400_000  # distinct words or chunks in a thread; about 200 bytes each
MAX_CHUNK = 128  # characters; longer chunks (base64, minified code) hardly ever come again
LETTER, LETTER_OR_DIGIT, SENTENCE_END, PUNCTUATION = 1, 2, 4, 8  # what a word has or is


@dataclass(frozen=True)
class Words:
    """The W words of one text.

    text      the text itself
    ids_W     int32: equal words have equal ids, others do not; good within this Words only
    lengths   int32 [W], in characters
    kinds     uint8 [W], bits: has a letter, a letter or digit; ends a sentence, is punctuation
    """

    text: str
    ids_W: np.ndarray
    lengths: np.ndarray
    kinds: np.ndarray
    vocabulary: "Vocabulary"

    @cached_property
    def hashes(self) -> np.ndarray:
        """uint64 [W], of each word lower-cased; the same in every process."""
        return self.vocabulary.hashes(self.ids_W)

    @property
    def symbol(self) -> np.ndarray:
        """bool [W]: the word has neither letter nor digit."""
        return (self.kinds & LETTER_OR_DIGIT) == 0

    @property
    def letters(self) -> np.ndarray:
        """bool [W]: the word has a letter."""
        return (self.kinds & LETTER) != 0

    @cached_property
    def words(self) -> list[str]:
        """The words as written, in order."""
        return list(map(self.vocabulary.strings.__getitem__, self.ids_W.tolist()))

    def counts(self, strings: Iterable[str]) -> list[int]:
        """How many words are exactly this string, for every string."""
        ids = (self.vocabulary.get(string, -1) for string in strings)
        return [int(np.count_nonzero(self.ids_W == place)) for place in ids]

    def __len__(self) -> int:
        return len(self.ids_W)


def split_words(text: str) -> Words:
    """The words of a text, split as spaCy's English tokenizer splits; white space is no word."""
    chunks = _remembered()
    return chunks.vocabulary.words(text, chunks.ids(text.split()))


def split_texts(texts: Sequence[str]) -> tuple[Words, np.ndarray]:
    """The words of texts in a row, and how many each of them has."""
    chunks = _remembered()
    ids = [list(chain.from_iterable(map(chunks.__getitem__, text.split()))) for text in texts]
    ids_W = np.fromiter(chain.from_iterable(ids), np.int32)
    return chunks.vocabulary.words("\n".join(texts), ids_W), np.array(list(map(len, ids)), np.int64)


def words_of(text: str, words: Sequence[str]) -> Words:
    """A text with words that somebody else split."""
    vocabulary = _remembered().vocabulary
    ids = [vocabulary.setdefault(word, len(vocabulary)) for word in words]
    return vocabulary.words(text, np.array(ids, np.int32))


class Vocabulary(dict[str, int]):
    """Word to id, in the order of the ids, and what is known of every word."""

    def __init__(self) -> None:
        self.strings: list[str] = []
        self._lengths = np.empty(0, np.int32)
        self._kinds = np.empty(0, np.uint8)
        self._hashes = np.empty(0, np.uint64)
        self._num_hashed = 0

    def words(self, text: str, ids_W: np.ndarray) -> Words:
        """The words with these ids, each looked at."""
        known = len(self.strings)
        if len(self) > known:
            new = list(islice(reversed(self), len(self) - known))[::-1]
            self.strings += new
            self._lengths = _filled(self._lengths, known, list(map(len, new)))
            self._kinds = _filled(self._kinds, known, list(map(_kind, new)))
        return Words(text, ids_W, self._lengths[ids_W], self._kinds[ids_W], vocabulary=self)

    def hashes(self, ids_W: np.ndarray) -> np.ndarray:
        """uint64 [W]: the hashes of the words with these ids, which were looked at."""
        if self._num_hashed < len(self.strings):
            new = map(str.lower, self.strings[self._num_hashed :])
            found = [xxh3_64_intdigest(word.encode("utf-8", "surrogatepass")) for word in new]
            self._hashes = _filled(self._hashes, self._num_hashed, found)
            self._num_hashed = len(self.strings)
        return self._hashes[ids_W]


def _filled(column: np.ndarray, known: int, new: list[int]) -> np.ndarray:
    """The column with new values behind the known ones; room doubles when there is too little."""
    end = known + len(new)
    if end > len(column):
        column = (
            np.resize(column, max(2 * len(column), end)) if known else np.empty(end, column.dtype)
        )
    column[known:end] = new
    return column


class _Chunks(dict[str, tuple[int, ...]]):
    """What stands between white space, to the ids of the words in it."""

    def __init__(self) -> None:
        self.vocabulary = Vocabulary()

    def ids(self, chunks: list[str]) -> np.ndarray:
        return np.fromiter(chain.from_iterable(map(self.__getitem__, chunks)), np.int32)

    def __missing__(self, chunk: str) -> tuple[int, ...]:
        known = self.vocabulary
        words = split_chunk(chunk)
        if len(words) == 1:
            ids = (known.setdefault(chunk, len(known)),)
        else:
            ids = tuple([known.setdefault(word, len(known)) for word in words])
        if len(chunk) <= MAX_CHUNK:
            self[chunk] = ids
        return ids


def _remembered() -> _Chunks:
    """This thread's memory; a new one when it is full, the old one lives on in its Words."""
    chunks: _Chunks | None = getattr(_memory, "chunks", None)
    if chunks is None or max(len(chunks), len(chunks.vocabulary)) > MAX_REMEMBERED:
        chunks = _memory.chunks = _Chunks()
    return chunks


def _kind(word: str) -> int:
    if word.isalpha() or any(map(str.isalpha, word)):
        return LETTER | LETTER_OR_DIGIT
    if any(map(str.isalnum, word)):
        return LETTER_OR_DIGIT
    is_punctuation = all([unicodedata.category(c)[0] == "P" for c in word])
    return SENTENCE_END * (word in SENTENCE_ENDS) | PUNCTUATION * is_punctuation


_memory = threading.local()
