"""Light paraphrases of a programming task, by fixed lists: the same item in other words.

Deterministic: a place is edited when the hash of the item and the place says so.
"""

import re

from blake3 import blake3

SYNONYMS = dict(
    pair.split(": ")
    for pair in """
a: one, all: every, also: too, and: as well as, any: some, array: list, begin: start, between:
among, bigger: larger, check: test, compute: work out, contains: holds, count: number, create:
make, different: distinct, each: every, element: entry, elements: entries, empty: blank, ensure:
make sure, even: divisible by two, example: instance, examples: samples, false: no, find:
determine, first: initial, following: next, for: given, from: out of, function: routine, get:
obtain, given: supplied, giving: with, greater: larger, if: when, in: inside, input: argument,
integer: whole number, integers: whole numbers, into: to, is: equals, largest: biggest, last:
final, length: size, letter: character, list: sequence, lists: sequences, maximum: largest,
minimum: smallest, must: has to, negative: below zero, note: remark, number: value, numbers:
values, of: from, only: just, or: or else, order: sequence, otherwise: else, positive: above
zero, return: give back, returns: gives back, should: ought to, smallest: least, string: text,
strings: texts, sum: total, takes: accepts, than: compared to, that: which, the: this, then:
next, to: up to, true: yes, two: a pair of, valid: correct, where: in which, which: that, with:
having, word: term, words: terms, write: implement, you: one, your: the
""".replace("\n", " ")
    .strip()
    .split(", ")
)
_WORD = re.compile(r"[A-Za-z]+")
_NAME = re.compile(r"\bdef (\w+)\(([^)]*)\)")


def with_synonyms(text: str, share: float) -> str:
    """About ``share`` of the words that have a synonym replaced, whatever they stand in."""

    def other(match: re.Match[str]) -> str:
        word = match[0]
        synonym = SYNONYMS.get(word.lower())
        if synonym is None or _draw(text, match.start()) >= share:
            return word
        return synonym.capitalize() if word[0].isupper() else synonym

    return _WORD.sub(other, text)


def renamed(prompt: str, text: str) -> str:
    """``text`` with the prompt's functions and their arguments called otherwise."""
    names: dict[str, str] = {}
    for function, arguments in _NAME.findall(prompt):
        names.setdefault(function, f"solve_{len(names)}")
        for argument in arguments.split(","):
            name = argument.partition(":")[0].partition("=")[0].strip()
            if name:
                names.setdefault(name, f"value_{len(names)}")
    if not names:
        return text
    return re.sub(r"\b(" + "|".join(map(re.escape, names)) + r")\b", lambda m: names[m[1]], text)


def reformatted(text: str) -> str:
    """Other quotes, no annotations, no imports, comments for docstrings, tabs, blank lines."""
    lines = [line for line in text.splitlines() if not re.match(r"(from|import) ", line)]
    joined = "\n\n".join(lines).replace("'", '"').replace('"""', "#").replace("    ", "\t")
    return re.sub(r": (List|Optional|Tuple|Dict)\[[^\]]*\]+|: (int|str|float|bool)\b", "", joined)


def _draw(text: str, place: int) -> float:
    digest = blake3(f"{place} {text}".encode()).digest(8)
    return int.from_bytes(digest, "little") / 2**64
