"""What FineWeb's own filter looks at (Penedo et al. 2024, section 3.6)."""

import math

import pyarrow as pa

from evergrow.corpus.document import Document
from evergrow.corpus.punctuation import SENTENCE_ENDS
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.signals.repetition import repeated
from evergrow.corpus.unspaced import SPLITTER
from evergrow.corpus.words import Words

SHORT_LINE = 30  # characters


def fineweb(document: Document, words: Words) -> tuple[float, ...]:
    """The values of FINEWEB's fields; blank lines do not count."""
    text = document.text
    lines = [line for line in text.split("\n") if line and not line.isspace()]
    num_lines = len(lines) or math.nan
    num_newlines = text.count("\n")
    return (
        len(lines),
        sum([line[-1] in SENTENCE_ENDS for line in lines]) / num_lines,
        sum([len(line) <= SHORT_LINE for line in lines]) / num_lines,
        repeated(lines, (len(text) - num_newlines) or 1)[1],
        num_newlines / (len(words) or math.nan),
    )


FINEWEB = SignalGroup(
    name="fineweb",
    version=2,
    fields={
        "num_lines": pa.int64(),  # that are not blank
        "ended_lines": pa.float64(),  # shares of these lines: with a sentence's end
        "short_lines": pa.float64(),  # of at most 30 characters
        "repeated_line_characters": pa.float64(),  # share of the characters but newlines
        "newlines_per_word": pa.float64(),
    },
    compute=fineweb,
    parameters=SPLITTER,
)
