"""Where a text spells a value: whatever the script, the case, the marks, the normal form."""

import re
import unicodedata
from collections.abc import Container, Iterator
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+")
_TOKEN = re.compile(r"\d+|[^\W\d_]+")
_DAY = re.compile(r"((?:19|20)\d\d)[-./]?(\d\d)[-./]?(\d\d)")
_LONG = 4  # letters and digits of a value that is found also inside a longer word
_REMEMBERED = 4096  # values: sites, days and names come again with every picture
_RUN = 6  # words of a text that are looked up together
# Letters without a decomposition, as they are written where the keyboard has none.
_PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "\u0131": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})


class Folded:
    """Letters without case and marks, and where in the text each of them stands."""

    def __init__(self, text: str) -> None:
        self._text = text
        if text.isascii():
            self.letters, self._places = text.casefold(), None
            return
        letters: list[str] = []
        self._places: list[int] | None = []
        for place, letter in enumerate(text):
            for found in fold(letter):
                letters.append(found)
                self._places.append(place)
        self.letters = "".join(letters)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The place in the text of the letters from ``start`` to ``end``, with their marks."""
        places = self._places
        if places is None:
            return start, end
        last = places[end - 1]
        while end < len(places) and places[end] == last:  # one letter of the text gives several
            end += 1
        return places[start], places[end] if end < len(places) else len(self._text)

    def all_letters(self) -> str:
        """The letters and digits alone; a value that is not in them is not in the text."""
        return "".join(_WORD.findall(self.letters))

    def words(self) -> list[tuple[str, int, int]]:
        """Every word with its start and end among the letters."""
        return [(found[0], found.start(), found.end()) for found in _WORD.finditer(self.letters)]


def fold(text: str) -> str:
    """Small letters without marks and what cannot be seen (compatibility forms taken apart)."""
    apart = unicodedata.normalize("NFKD", text).casefold().translate(_PLAIN)
    parts = unicodedata.normalize("NFKD", apart)
    return "".join(c for c in parts if unicodedata.category(c)[0] != "M" and c.isprintable())


@lru_cache(_REMEMBERED)
def joined(value: str) -> str:
    """The letters and digits of a value alone, folded."""
    return "".join(_WORD.findall(fold(value)))


def length(letters: str) -> int:
    """How much a value says: two a letter of a script without small ones, whose names are short."""
    return sum(2 if c.isalpha() and c.upper() == c.lower() else 1 for c in letters)


def is_long(value: str) -> bool:
    """Whether a value is told apart from ordinary words without looking at what is around it."""
    return length(joined(value)) >= _LONG


@lru_cache(_REMEMBERED)
def spellings(value: str) -> tuple[str, ...]:
    """The value, as it is written where there are no umlauts, and a day in other orders."""
    found = [value]
    if day := _DAY.fullmatch(value):
        year, month, number = day.groups()
        found += [f"{year} {month} {number}", f"{number} {month} {year}"]
        found.append(f"{month} {number} {year}")
    small = unicodedata.normalize("NFC", value).casefold()
    if (written := small.translate(_UMLAUTS)) != small:
        found.append(written)
    return tuple(found)


def pattern_of(value: str) -> str | None:
    """An expression that finds the value among folded letters, whatever separates its words.

    One of fewer than four letters and digits must stand as a word of its own, or nothing would be
    left of a path. None for a value without letters and digits.
    """
    tokens = _TOKEN.findall(fold(value))
    if not tokens:
        return None
    pattern = r"[\W_]*".join(map(re.escape, tokens))
    if length("".join(tokens)) < _LONG:
        return rf"(?<![^\W_]){pattern}(?![^\W_])"
    return pattern


def spelt_known(text: Folded, known: Container[str]) -> Iterator[tuple[int, int, str]]:
    """Start, end and letters of every run of words that is ``known``, the longest runs first."""
    words = text.words()
    place = 0
    while place < len(words):
        for count in range(min(_RUN, len(words) - place), 0, -1):
            run = words[place : place + count]
            letters = "".join(word for word, *_ in run)
            if letters in known:
                yield run[0][1], run[-1][2], letters
                place += count - 1
                break
        place += 1
