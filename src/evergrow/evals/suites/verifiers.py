"""Whether a text is the right answer: shares from 0 to 1."""

import re
import string
from collections import Counter
from collections.abc import Callable
from decimal import Decimal

MARK = "####"  # stands before the answer in GSM8K
# A minus after a digit or a bracket subtracts.
_NUMBER = re.compile(r"(?:(?<![\w)])-)?\$?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def number(text: str, right: str) -> float:
    """1 where the answers are the same number: 1,000 is 1000.0.

    The first number after ####, where there is one, else the last of the text.
    """
    found, wanted = number_in(text), number_in(right)
    return float(found is not None and found == wanted)


def number_in(text: str) -> Decimal | None:
    """The number that a text answers; None where it has none."""
    before, mark, after = text.partition(MARK)
    found: list[str] = _NUMBER.findall(after if mark else before)
    if not found:
        return None
    return Decimal(re.sub("[,$]", "", found[0] if mark else found[-1]))


def exact(text: str, right: str) -> float:
    """1 where both are the same words: case, punctuation, articles and spaces do not count."""
    return float(words(text) == words(right))


def f1(text: str, right: str) -> float:
    """Harmonic mean of precision and recall over words (SQuAD, Rajpurkar et al. 2016)."""
    told, wanted = words(text), words(right)
    if not told or not wanted:
        return float(told == wanted)
    common = (Counter(told) & Counter(wanted)).total()
    return 2 * common / (len(told) + len(wanted))


def words(text: str) -> list[str]:
    """In small letters, without punctuation and the articles a, an, the."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


VERIFIERS: dict[str, Callable[[str, str], float]] = {"number": number, "exact": exact, "f1": f1}
