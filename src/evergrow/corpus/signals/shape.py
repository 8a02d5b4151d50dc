"""Lengths, lines and shares of a text: what the Gopher quality rules look at."""

import math

import numpy as np
import pyarrow as pa

from evergrow.corpus.document import Document
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.words import Words

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")  # Gopher, appendix A.1
BULLETS = frozenset("•-")
ELLIPSES = ("...", "…")


def shape(document: Document, words: Words) -> tuple[float, ...]:
    """The values of SHAPE's fields; a share of nothing is NaN, which fails no rule."""
    text = document.text
    num_words = len(words) or math.nan
    real_lengths = words.lengths[~words.symbol]
    lines = list(map(str.strip, text.splitlines()))
    num_lines = len(lines) or math.nan
    num_ellipses = sum(map(text.count, ELLIPSES))
    stop_words = words.counts(STOP_WORDS)
    return (
        len(text),
        len(words),
        len(real_lengths),
        float(real_lengths.mean()) if len(real_lengths) else math.nan,
        text.count("#") / num_words,
        num_ellipses / num_words,
        sum([line[:1] in BULLETS for line in lines]) / num_lines,
        (sum([line.endswith(ELLIPSES) for line in lines]) if num_ellipses else 0) / num_lines,
        int(np.count_nonzero(words.letters)) / num_words,
        sum(count > 0 for count in stop_words),
        sum(stop_words),
    )


SHAPE = SignalGroup(
    name="shape",
    version=1,
    fields={
        "num_characters": pa.int64(),
        "num_words": pa.int64(),
        "num_real_words": pa.int64(),  # with a letter or a digit
        "mean_word_length": pa.float64(),  # characters, of the real words
        "hashes_per_word": pa.float64(),
        "ellipses_per_word": pa.float64(),
        "bullet_lines": pa.float64(),  # shares of all lines
        "ellipsis_lines": pa.float64(),
        "alphabetic_words": pa.float64(),  # share of the words with a letter
        "distinct_stop_words": pa.int64(),  # of the eight, in lower case
        "stop_words": pa.int64(),  # occurrences
    },
    compute=shape,
)
