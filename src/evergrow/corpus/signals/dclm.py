"""The line edits of DCLM-Baseline, after RefinedWeb (Li et al. 2024, Penedo et al. 2023, G.2).

The edits are counted, not made: a page that would lose more than a twentieth of its words is what
the rule drops. Words are what white space parts, as there.
"""

import math
import re

import numpy as np
import pyarrow as pa

from evergrow.corpus.document import Document
from evergrow.corpus.signals.characters import DIGIT, UPPER, kinds_of
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.unspaced import SPLITTER
from evergrow.corpus.words import Words, num_words

MAX_UPPERCASE = 0.5  # share of a line's characters
MIN_WORDS = 2  # in a line
SHORT_LINE = 10  # words; longer lines keep the phrases below
EDITS = ("uppercase", "numeric", "counters", "single_words", "phrases")
_COUNTED = "likes shares comments retweets reposts quotes bookmarks upvotes downvotes downloads "
_COUNTED += "views followers"
_COUNTER = re.compile(rf"\W*[0-9][0-9,.]*[kmb]?\s+(?:{'|'.join(_COUNTED.split())})\W*", re.I)
_PHRASES = re.compile(r"\s?items in cart|\s?Read more\.\.\.$|^Sign-in\s?", re.I)


def dclm(document: Document, words: Words) -> tuple[float, ...]:
    """The values of DCLM's fields."""
    lines = document.text.split("\n")
    upper_L, digits_L = _shares(document.text, lines)
    total, lost = 0, dict.fromkeys(EDITS, 0)
    for line, upper, digits in zip(lines, upper_L, digits_L, strict=True):
        length = num_words(line)
        total += length
        if upper > MAX_UPPERCASE:
            lost["uppercase"] += length
        elif digits == 1.0:
            lost["numeric"] += length
        elif length < MIN_WORDS:
            lost["single_words"] += length
        elif length <= SHORT_LINE:
            if _COUNTER.fullmatch(line):
                lost["counters"] += length
            elif _PHRASES.search(line):
                lost["phrases"] += length - num_words(_PHRASES.sub("", line))
    shares = [lost[edit] / (total or math.nan) for edit in EDITS]
    return (*shares, sum(lost.values()) / (total or math.nan))


def _shares(text: str, lines: list[str]) -> tuple[list[float], list[float]]:
    """Shares of upper-case letters and of digits in every line; 0 for an empty one."""
    kinds_C = kinds_of(text)
    lengths_L = np.array(list(map(len, lines)))
    ends_L = np.cumsum(lengths_L + 1) - 1
    shares = []
    for bit in (UPPER, DIGIT):
        before_C = np.concatenate(([0], np.cumsum((kinds_C & bit) != 0)))
        counts_L = before_C[ends_L] - before_C[ends_L - lengths_L]
        shares.append((counts_L / np.maximum(lengths_L, 1)).tolist())
    return shares[0], shares[1]


DCLM = SignalGroup(
    name="dclm",
    version=2,
    fields={
        **{edit: pa.float64() for edit in EDITS},  # shares of the words in lines so edited
        "removed_words": pa.float64(),
    },
    compute=dclm,
    parameters=SPLITTER,
)
