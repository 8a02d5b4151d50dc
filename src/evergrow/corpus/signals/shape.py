"""Lengths, lines and shares of a text: what the Gopher quality rules look at."""

import numpy as np
import pyarrow as pa

from evergrow.corpus.document import Document
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.words import Words

STOP_WORDS = frozenset(("the", "be", "to", "of", "and", "that", "have", "with"))  # Gopher, A1.1
BULLETS = ("•", "-")
ELLIPSES = ("...", "…")


def shape(document: Document, words: Words) -> tuple[float, ...]:
    """The values of SHAPE's fields; shares of nothing are NaN, which no rule calls wrong."""
    text = document.text
    num_words = len(words) or float("nan")
    real_lengths = words.lengths[~words.symbol]
    lines = text.splitlines()
    num_lines = len(lines) or float("nan")
    stop_words = [w for w in words.words if w in STOP_WORDS]
    return (
        len(text),
        len(words),
        len(real_lengths),
        float(real_lengths.mean()) if len(real_lengths) else float("nan"),
        text.count("#") / num_words,
        sum(map(text.count, ELLIPSES)) / num_words,
        sum(line.lstrip().startswith(BULLETS) for line in lines) / num_lines,
        sum(line.rstrip().endswith(ELLIPSES) for line in lines) / num_lines,
        int(np.count_nonzero(words.letters)) / num_words,
        len(set(stop_words)),
        len(stop_words),
    )


SHAPE = SignalGroup(
    name="shape",
    version=1,
    fields={
        "num_characters": pa.int64(),
        "num_words": pa.int64(),
        "num_real_words": pa.int64(),
        "mean_word_length": pa.float64(),
        "hashes_per_word": pa.float64(),
        "ellipses_per_word": pa.float64(),
        "bullet_lines": pa.float64(),
        "ellipsis_lines": pa.float64(),
        "alphabetic_words": pa.float64(),
        "stop_words": pa.int64(),
        "stop_word_occurrences": pa.int64(),
    },
    compute=shape,
)
