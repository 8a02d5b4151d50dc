"""Lengths, lines and shares of a text: what the Gopher quality rules look at."""

import math

import numpy as np
import pyarrow as pa

from evergrow.corpus.document import Document
from evergrow.corpus.languages import IDENTIFIER, NO_LANGUAGE
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.stop_words import STOP_WORDS
from evergrow.corpus.unspaced import SPLITTER
from evergrow.corpus.words import Words

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
    distinct, occurrences = stop_words(words)
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
        distinct,
        occurrences,
    )


def stop_words(words: Words) -> tuple[float, float]:
    """How many stop words of its language a text has, distinct and in all; NaN in a language
    without a list. A text that has more English ones counts these: short texts are mistaken."""
    language, _ = words.language
    if language not in STOP_WORDS and language not in NO_LANGUAGE:
        return math.nan, math.nan
    lists = {STOP_WORDS[code] for code in (language, "en") if code in STOP_WORDS}
    counts = [words.counts(listed) for listed in lists]
    return max((sum(n > 0 for n in found), sum(found)) for found in counts)


SHAPE = SignalGroup(
    name="shape",
    version=2,
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
        "distinct_stop_words": pa.float64(),  # of its language, in lower case
        "stop_words": pa.float64(),  # occurrences
    },
    compute=shape,
    parameters=IDENTIFIER | SPLITTER,
)
