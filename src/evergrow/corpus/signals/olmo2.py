"""What OLMo 2 drops beside the usual rules (OLMo 2 2025, sections 2.1 and 3.1)."""

import math

import numpy as np
import pyarrow as pa

from evergrow.corpus.document import Document
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.unspaced import SPLITTER
from evergrow.corpus.words import Words

MAX_PERIOD = 13  # words


def olmo2(document: Document, words: Words) -> tuple[float, ...]:
    """The values of OLMO2's fields; words without letter and digit do not count for the shares."""
    times, period = most_repeats(words.ids_W)
    counts = np.bincount(np.unique(words.ids_W[~words.symbol], return_inverse=True)[1])
    counts = np.sort(counts)[::-1]
    num_words = int(counts.sum()) or math.nan
    return times, period, int(counts[:1].sum()) / num_words, int(counts[:2].sum()) / num_words


def most_repeats(ids_W: np.ndarray) -> tuple[int, int]:
    """How often an n-gram of 1 to 13 words stands in a row at most, and its n; 0, 0 for no words.

    A run in which every word equals the one n places on, L words long, holds L // n + 1 of them.
    """
    best = (min(len(ids_W), 1), min(len(ids_W), 1))
    for period in range(1, min(MAX_PERIOD, len(ids_W) - 1) + 1):
        differs = np.flatnonzero(ids_W[period:] != ids_W[:-period])
        if len(differs) == len(ids_W) - period:
            continue
        breaks = np.concatenate(([-1], differs, [len(ids_W) - period]))
        times = int(np.diff(breaks).max() - 1) // period + 1
        if times > best[0]:
            best = (times, period)
    return best


OLMO2 = SignalGroup(
    name="olmo2",
    version=2,
    fields={
        "most_repeats": pa.int64(),  # of an n-gram in a row
        "repeated_size": pa.int64(),  # n of that n-gram, in words
        "most_frequent_word": pa.float64(),  # share of the words
        "two_most_frequent_words": pa.float64(),
    },
    compute=olmo2,
    parameters=SPLITTER,
)
