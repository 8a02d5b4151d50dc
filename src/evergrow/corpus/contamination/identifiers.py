"""A text's words as a test item is compared by: identifiers whole, no punctuation, no case.

White space, line breaks, quotes, brackets and operators do not count, so that reformatted code and
reflowed prose are still the same; ``has_close_elements`` is one word. Characters of scripts that
put no space between words are a word each.
"""

import re
import threading
from typing import final

import numpy as np
from xxhash import xxh3_64_intdigest

from evergrow.corpus.words import Words

_UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_IDENTIFIER = re.compile(rf"[^\W{_UNSPACED}]+|[{_UNSPACED}]")


def identifiers(words: Words) -> np.ndarray:
    """uint64 [N]: the hashes of the identifiers of a text, in order."""
    known: _Known | None = getattr(_memory, "known", None)
    if known is None or known.strings is not words.vocabulary.strings:
        known = _memory.known = _Known(words.vocabulary.strings)
    return known.expanded(words.ids_W)


@final
class _Known:
    """The identifiers in every distinct word, found once a word and not once an occurrence."""

    def __init__(self, strings: list[str]) -> None:
        self.strings = strings
        self.num_known = 0
        self.counts = np.empty(0, np.int64)
        self.starts = np.empty(0, np.int64)
        self.hashes = np.empty(0, np.uint64)

    def expanded(self, ids_W: np.ndarray) -> np.ndarray:
        if self.num_known < len(self.strings):
            self._learn()
        counts_W = self.counts[ids_W]
        ends_W = np.cumsum(counts_W)
        first_W = self.starts[ids_W] - (ends_W - counts_W)
        return self.hashes[np.repeat(first_W, counts_W) + np.arange(counts_W.sum())]

    def _learn(self) -> None:
        new = [_IDENTIFIER.findall(word.lower()) for word in self.strings[self.num_known :]]
        hashes = [xxh3_64_intdigest(name.encode()) for names in new for name in names]
        counts = np.array([len(names) for names in new], np.int64)
        starts = len(self.hashes) + np.cumsum(counts) - counts
        self.num_known = len(self.strings)
        self.counts = np.concatenate((self.counts, counts))
        self.starts = np.concatenate((self.starts, starts))
        self.hashes = np.concatenate((self.hashes, np.array(hashes, np.uint64)))


_memory = threading.local()
