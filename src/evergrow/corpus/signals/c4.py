"""C4's rules about lines (Raffel et al. 2020, section 2.2), as counts; edits cut the same lines."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa

from evergrow.corpus.document import Document
from evergrow.corpus.punctuation import SENTENCE_ENDS
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.unspaced import SPLITTER
from evergrow.corpus.words import PUNCTUATION, SENTENCE_END, Words, num_words, split_texts

CITATION = re.compile(r"\[(?:[0-9]*|edit|citation needed)\]")  # Wikipedia's
TERMINAL = (".", "?", "!", '"', "'")
CLOSING = ("”", "»", "」", "』")  # quotation marks of other languages
MAX_WORD = 1000  # characters
MIN_WORDS = 3  # in a line
Drop = Literal["lorem_ipsum", "brace"]
DROPS: tuple[Drop, ...] = get_args(Drop)
POLICIES = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
Verdict = Literal["kept", "long_word", "not_ended", "few_words", "javascript", "policy"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


class Line(NamedTuple):
    """A line without citations and the white space around it.

    verdict   the first rule that cuts it, or "kept"
    drops     what drops the whole page, for the lines that come so far
    """

    text: str
    verdict: Verdict
    drops: tuple[Drop, ...] = ()


def judged_lines(text: str) -> Iterator[Line]:
    """Every line of the text, judged."""
    for line in map(str.strip, text.splitlines()):
        words = line.split()
        if len(line) > MAX_WORD and max(map(len, words), default=0) > MAX_WORD:
            yield Line(line, "long_word")
        else:
            yield _judged(CITATION.sub("", line) if "[" in line else line, num_words(line))


def _judged(line: str, length: int) -> Line:
    if not _has_ended(line) or line.endswith("..."):
        return Line(line, "not_ended")
    if length < MIN_WORDS:
        return Line(line, "few_words")
    lower = line.lower()
    lorem: tuple[Drop, ...] = ("lorem_ipsum",) if "lorem ipsum" in lower else ()
    if "javascript" in lower:
        return Line(line, "javascript", lorem)
    drops = (*lorem, "brace") if "{" in line else lorem
    is_policy = any([phrase in lower for phrase in POLICIES])
    return Line(line, "policy" if is_policy else "kept", drops)


def _has_ended(line: str) -> bool:
    """As in C4, or with what ends a sentence in another script."""
    return line.endswith(TERMINAL) or line[-1:] in SENTENCE_ENDS or line.endswith(CLOSING)


def count_sentences(words: Words, counts_L: np.ndarray) -> int:
    """Sentences of L lines: after an end, the first word that is no punctuation begins another.

    ``counts_L`` says how many of the words each line has.
    """
    is_end = (words.kinds & SENTENCE_END) != 0
    matters = is_end | ((words.kinds & PUNCTUATION) == 0)
    line = np.repeat(np.arange(len(counts_L)), counts_L)[matters]
    is_end = is_end[matters]
    begins = is_end[:-1] & ~is_end[1:] & (line[:-1] == line[1:])
    return int(np.count_nonzero(counts_L) + np.count_nonzero(begins))


Split = Callable[[Sequence[str]], tuple[Words, np.ndarray]]


def c4(document: Document, words: Words) -> tuple[float, ...]:
    """The values of C4's fields."""
    return count_lines(document.text)


def count_lines(text: str, split: Split = split_texts) -> tuple[float, ...]:
    """Lines by verdict and by what drops the page; sentences of the kept lines.

    ``split`` finds the words of lines.
    """
    lines = list(judged_lines(text))
    kept = [line.text for line in lines if line.verdict == "kept"]
    verdicts = Counter([line.verdict for line in lines])
    drops = Counter([drop for line in lines for drop in line.drops])
    sentences = count_sentences(*split(kept)) if kept else 0
    return (*[verdicts[v] for v in VERDICTS], *[drops[d] for d in DROPS], sentences)


C4 = SignalGroup(
    name="c4",
    version=2,
    fields={
        **{f"{what}_lines": pa.int64() for what in (*VERDICTS, *DROPS)},
        "sentences": pa.int64(),  # of the kept lines
    },
    compute=c4,
    parameters=SPLITTER,
)
