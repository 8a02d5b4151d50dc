"""A text split into words once, for every signal, shingle and n-gram that is computed from it.

Text is Zipfian: a chunk between white space is taken apart when it is met first and looked up
after that, and so is what is known of a word.
"""

import threading
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import final

import numpy as np
from xxhash import xxh3_64_intdigest

from evergrow.corpus.languages import identify
from evergrow.corpus.punctuation import SENTENCE_ENDS
from evergrow.corpus.unspaced import UNSPACED, runs, split_run
from evergrow.corpus.word_rules import EXCEPTIONS, split_chunk

# Distinct words or chunks in a thread, about 400 bytes each. Four times as many are no faster
# (measured on 130 MB of code and its documentation).
MAX_REMEMBERED = 100_000
MAX_CHUNK = 128  # characters; longer chunks (base64, minified code) hardly ever come again
_ID, _WIDTH = np.dtype("<i4"), 4  # ids are joined as bytes: no object a word, and half the time
LETTER, LETTER_OR_DIGIT, SENTENCE_END, PUNCTUATION = 1, 2, 4, 8  # what a word has or is


@final
class Words:
    """The W words of one text, split when something about them is asked first.

    Arrays are computed once and must not be changed. Words belong to the thread that made them.
    """

    def __init__(self, text: str, chunks: "_Chunks", ids_W: np.ndarray | None = None) -> None:
        self.text = text
        self._chunks = chunks
        if ids_W is not None:
            self.ids_W = ids_W

    @cached_property
    def ids_W(self) -> np.ndarray:
        """int32: equal words have equal ids, others do not; good within these Words only."""
        return self._chunks.ids(self.text)

    @cached_property
    def words(self) -> list[str]:
        """The words as written, in order."""
        ids = self.ids_W.tolist()
        return list(map(self._chunks.vocabulary.looked_at().__getitem__, ids))

    @cached_property
    def hashes(self) -> np.ndarray:
        """uint64 [W], of each word lower-cased; the same in every process."""
        return self._chunks.vocabulary.hashes(self.ids_W)

    @cached_property
    def lengths(self) -> np.ndarray:
        """int32 [W], in characters."""
        return self._chunks.vocabulary.lengths(self.ids_W)

    @cached_property
    def kinds(self) -> np.ndarray:
        """uint8 [W], bits: has a letter, a letter or digit; ends a sentence, is punctuation."""
        return self._chunks.vocabulary.kinds(self.ids_W)

    @cached_property
    def language(self) -> tuple[str, float]:
        """ISO 639 code of the text's language, and its probability."""
        return identify(self.text)

    @property
    def symbol(self) -> np.ndarray:
        """bool [W]: the word has neither letter nor digit."""
        return (self.kinds & LETTER_OR_DIGIT) == 0

    @property
    def letters(self) -> np.ndarray:
        """bool [W]: the word has a letter."""
        return (self.kinds & LETTER) != 0

    def counts(self, strings: Iterable[str]) -> list[int]:
        """How many words are exactly this string, for every string."""
        ids_W, known = self.ids_W, self._chunks.vocabulary
        return [int(np.count_nonzero(ids_W == known.id_of(string))) for string in strings]

    def __len__(self) -> int:
        return len(self.ids_W)


def split_words(text: str) -> Words:
    """The words of a text, split as spaCy's English tokenizer splits; white space is no word.

    Scripts that put no spaces between words are split by ``unspaced.py``.
    """
    return Words(text, _remembered())


def words_of(text: str, words: Sequence[str]) -> Words:
    """A text with words that somebody else split."""
    chunks = _remembered()
    return Words(text, chunks, _ids(b"".join(map(chunks.vocabulary.__getitem__, words))))


def split_texts(texts: Sequence[str]) -> tuple[Words, np.ndarray]:
    """The words of texts in a row, and how many each of them has."""
    chunks = _remembered()
    packed = [b"".join(map(chunks.__getitem__, text.split())) for text in texts]
    counts = np.array([len(ids) // _WIDTH for ids in packed], np.int64)
    return Words("\n".join(texts), chunks, _ids(b"".join(packed))), counts


def _ids(packed: bytes) -> np.ndarray:
    return np.frombuffer(packed, _ID)


class Vocabulary(dict[str, bytes]):
    """Word to id, packed in four bytes, in the order of the ids; and what is known of the words."""

    def __init__(self) -> None:
        self._strings: list[str] = []
        self._lengths = np.empty(0, np.int32)
        self._kinds = np.empty(0, np.uint8)
        self._hashes = np.empty(0, np.uint64)
        self._num_hashed = 0

    def __missing__(self, word: str) -> bytes:
        packed = self[word] = len(self).to_bytes(_WIDTH, "little")
        return packed

    def id_of(self, word: str) -> int:
        """The word's id, or -1 for a word that never came."""
        packed = self.get(word)
        return -1 if packed is None else int.from_bytes(packed, "little")

    def looked_at(self) -> list[str]:
        """All words by id, after a look at the new ones."""
        known = len(self._strings)
        if len(self) > known:
            new = list(islice(reversed(self), len(self) - known))[::-1]
            self._strings += new
            self._lengths = _filled(self._lengths, known, list(map(len, new)))
            self._kinds = _filled(self._kinds, known, list(map(_kind, new)))
        return self._strings

    def lengths(self, ids_W: np.ndarray) -> np.ndarray:
        self.looked_at()
        return self._lengths[ids_W]

    def kinds(self, ids_W: np.ndarray) -> np.ndarray:
        self.looked_at()
        return self._kinds[ids_W]

    def hashes(self, ids_W: np.ndarray) -> np.ndarray:
        strings = self.looked_at()
        if self._num_hashed < len(strings):
            new = map(str.lower, strings[self._num_hashed :])
            found = [xxh3_64_intdigest(word.encode("utf-8", "surrogatepass")) for word in new]
            self._hashes = _filled(self._hashes, self._num_hashed, found)
            self._num_hashed = len(strings)
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


class _Chunks(dict[str, bytes]):
    """What stands between white space, to the packed ids of the words in it."""

    def __init__(self) -> None:
        self.vocabulary = Vocabulary()

    def ids(self, text: str) -> np.ndarray:
        """int32 [W]: the ids of a text's words."""
        return _ids(b"".join(map(self.__getitem__, text.split())))

    def __missing__(self, chunk: str) -> bytes:
        if not chunk.isascii() and UNSPACED.search(chunk):
            packed = b"".join(map(self.vocabulary.__getitem__, _unspaced_words(chunk)))
        elif chunk.isalpha() and chunk not in EXCEPTIONS:
            packed = self.vocabulary[chunk]
        else:
            packed = b"".join(map(self.vocabulary.__getitem__, split_chunk(chunk)))
        if len(chunk) <= MAX_CHUNK:
            self[chunk] = packed
        return packed


def _unspaced_words(chunk: str) -> Iterator[str]:
    """The words of a chunk in which some stand without spaces between them."""
    for run in runs(chunk):
        yield from split_run(run) if UNSPACED.match(run) else split_chunk(run)


def num_words(line: str) -> int:
    """What white space parts; of scripts without spaces the words themselves."""
    if line.isascii() or not UNSPACED.search(line):
        return len(line.split())
    return len(split_words(line))


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
