"""Documents with planted edits, and how similar they truly are."""

import random
from collections.abc import Sequence

from evergrow.corpus.document import Document
from evergrow.corpus.duplicates.identifiers import identifiers
from evergrow.corpus.duplicates.ngrams import ngram_hashes

LENGTHS = (100, 1000)  # words of a document


def word_runs(texts: Sequence[str], num: int, seed: int) -> list[list[str]]:
    """Runs of 100 to 1000 words of the texts, as a text without white space would be split."""
    choose = random.Random(seed)
    long = [words for text in texts if len(words := text.split()) >= LENGTHS[1]]
    runs = []
    for _ in range(num):
        words = choose.choice(long)
        length = choose.randint(*LENGTHS)
        first = choose.randrange(len(words) - length + 1)
        runs.append(words[first : first + length])
    return runs


def edited(words: Sequence[str], share: float, strange: Sequence[str], seed: int) -> list[str]:
    """The words with a share of them replaced, deleted or doubled by a strange one, at random."""
    choose = random.Random(seed)
    out: list[str] = []
    for word in words:
        if choose.random() >= share:
            out.append(word)
            continue
        edit = choose.choice(("replace", "delete", "insert"))
        if edit == "insert":
            out.append(word)
        if edit != "delete":
            out.append(choose.choice(strange))
    return out


def document(words: Sequence[str], name: str) -> Document:
    return Document.of(" ".join(words), "planted", name)


def shingles(text: str, length: int = 5) -> set[int]:
    """The distinct shingles that a signature is made of."""
    hashes = identifiers(text)
    return set(ngram_hashes(hashes, min(length, max(len(hashes), 1))).tolist())


def jaccard(one: set[int], other: set[int]) -> float:
    """Shared over all; 0 for two empty sets."""
    union = len(one | other)
    return len(one & other) / union if union else 0.0


def caught(similarity: float, bands: int = 14, rows: int = 8) -> float:
    """The share of such pairs that meet in a band: 1 - (1 - s^r)^B."""
    return 1 - (1 - similarity**rows) ** bands


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """A 95 % interval of a share."""
    if not trials:
        return 0.0, 1.0
    z = 1.959964
    share, scale = hits / trials, 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    half = z / scale * (share * (1 - share) / trials + z * z / (4 * trials * trials)) ** 0.5
    return middle - half, middle + half
