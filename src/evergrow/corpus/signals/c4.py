"""C4's rules about lines (Raffel et al. 2020, section 2.2), as counts; edits cut the same lines."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, get_args

import numpy as np
import pyarrow as pa

from evergrow.corpus.document import Document
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.words import PUNCTUATION, SENTENCE_END, Words, split_texts

CITATION = re.compile(r"\[(?:[0-9]*|edit|citation needed)\]")  # Wikipedia's
TERMINAL = (".", "?", "!", '"', "'")
MAX_WORD = 1000  # characters
MIN_WORDS = 3  # in a line
POLICIES = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
Verdict = Literal[
    "kept", "long_word", "not_ended", "few_words", "lorem_ipsum", "javascript", "brace", "policy"
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
CUT: tuple[Verdict, ...] = ("long_word", "not_ended", "few_words", "javascript", "policy")


def judged_lines(text: str) -> Iterator[tuple[str, Verdict]]:
    """Every line without citations and the white space around it, and the first rule it breaks."""
    for line in map(str.strip, text.splitlines()):
        words = line.split()
        if len(line) > MAX_WORD and max(map(len, words), default=0) > MAX_WORD:
            yield line, "long_word"
            continue
        bare = CITATION.sub("", line) if "[" in line else line
        yield bare, _verdict(bare, len(words))


def _verdict(line: str, num_words: int) -> Verdict:
    if not line.endswith(TERMINAL) or line.endswith("..."):
        return "not_ended"
    if num_words < MIN_WORDS:
        return "few_words"
    lower = line.lower()
    if "lorem ipsum" in lower:
        return "lorem_ipsum"
    if "javascript" in lower:
        return "javascript"
    if "{" in line:
        return "brace"
    return "policy" if any([phrase in lower for phrase in POLICIES]) else "kept"


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
    """Lines by verdict, and the sentences of those that are kept, whose words ``split`` finds."""
    kept: list[str] = []
    verdicts: list[Verdict] = []
    for line, verdict in judged_lines(text):
        verdicts.append(verdict)
        if verdict == "kept":
            kept.append(line)
    numbers = Counter(verdicts)
    return (*[numbers[v] for v in VERDICTS], count_sentences(*split(kept)) if kept else 0)


C4 = SignalGroup(
    name="c4",
    version=1,
    fields={**{f"{v}_lines": pa.int64() for v in VERDICTS}, "sentences": pa.int64()},
    compute=c4,
)
