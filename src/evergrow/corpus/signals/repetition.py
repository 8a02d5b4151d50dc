"""How much of a text repeats itself: Gopher's repetition measures (Rae et al. 2021, table A1).

An n-gram is a sequence of n words as written. All n-grams that come twice are found by sorting:
pairs of words first, then only the places where the n-gram one word shorter came twice.
"""

import math

import numpy as np
import pyarrow as pa

from evergrow.corpus.document import Document
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.unspaced import SPLITTER
from evergrow.corpus.words import Words

TOP_SIZES = range(2, 5)
DUPLICATE_SIZES = range(5, 11)
FEW = 500  # keys; fewer are sorted faster by argsort


def repetition(document: Document, words: Words) -> tuple[float, ...]:
    """The values of REPETITION's fields, as shares of the text's pieces or characters."""
    text = document.text
    lines, paragraphs = _lines(text), _paragraphs(text)
    return (*repeated(lines, len(text)), *repeated(paragraphs, len(text)), *ngram_shares(words))


def _lines(text: str) -> list[str]:
    """What one or more newlines part; before a first and behind a last one stands an empty line."""
    around = [""] * (text.startswith("\n") + text.endswith("\n"))
    return [*filter(None, text.split("\n")), *around]


def _paragraphs(text: str) -> list[str]:
    """What two or more newlines part, without the white space around the text."""
    return [part.lstrip("\n") for part in text.strip().split("\n\n") if part]


def repeated(pieces: list[str], num_characters: int) -> tuple[float, float]:
    """Shares of the pieces, and of the characters, that lie in a piece that came before."""
    distinct = set(pieces)
    if len(distinct) == len(pieces):
        return 0.0, 0.0
    characters = sum(map(len, pieces)) - sum(map(len, distinct))
    return (len(pieces) - len(distinct)) / len(pieces), characters / num_characters


def ngram_shares(words: Words) -> list[float]:
    """Shares of the text's characters: in the most frequent n-gram, then in repeated ones.

    Of several most frequent n-grams the first counts, with a space between its words.
    """
    num_characters, ids_W = len(words.text) or math.nan, words.ids_W.astype(np.int64)
    ends = np.concatenate(([0], np.cumsum(words.lengths, dtype=np.int64)))
    places, groups = np.arange(len(ids_W)), ids_W  # of the repeated (n-1)-grams
    shares = []
    for size in range(2, DUPLICATE_SIZES.stop):
        if len(places) and places[-1] + size > len(ids_W):
            places, groups = places[:-1], groups[:-1]
        top = _first(size, ids_W)
        if len(places):
            groups, counts = _numbered((groups << 32) | ids_W[places + size - 1])
            times = counts[groups]
            most = int(times.argmax())
            if times[most] > 1:
                top = int(places[most]), int(times[most])
            again = np.flatnonzero(times > 1)
            places, groups = places[again], groups[again]
        if size in TOP_SIZES:
            start, count = top
            characters = count * (int(ends[start + size] - ends[start]) + size - 1) if count else 0
        else:
            starts = _met_again(places.tolist(), groups.tolist(), size)
            characters = int((ends[starts + size] - ends[starts]).sum()) if len(starts) else 0
        shares.append(characters / num_characters)
    return shares


def _first(size: int, ids_W: np.ndarray) -> tuple[int, int]:
    """Place and count of the first n-gram when none comes twice; the count is 0 without any."""
    return 0, int(len(ids_W) >= size)


def _numbered(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers from 0 for the keys, equal for equal keys; and how often each number stands there."""
    order, in_order = _sorted(keys)
    numbers = np.empty(len(keys), np.int64)
    new = np.zeros(len(keys), bool)
    np.not_equal(in_order[1:], in_order[:-1], out=new[1:])
    numbers[order] = new.cumsum()
    return numbers, np.bincount(numbers)


def _sorted(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The places of the keys in order, and the keys in order."""
    bits = len(keys).bit_length()
    if len(keys) < FEW or int(keys.max()).bit_length() + bits > 63:
        order = keys.argsort()
        return order, keys[order]
    packed = np.sort((keys << bits) | np.arange(len(keys)))  # 0.6 of the time of argsort
    return packed & ((1 << bits) - 1), packed >> bits


def _met_again(places: list[int], groups: list[int], size: int) -> np.ndarray:
    """Where, from left to right, an n-gram was met before; the next one starts behind it."""
    seen: set[int] = set()
    starts, free = [], 0
    for place, group in zip(places, groups, strict=True):
        if place < free:
            continue
        if group in seen:
            starts.append(place)
            free = place + size
        else:
            seen.add(group)
    return np.array(starts, np.int64)


REPETITION = SignalGroup(
    name="repetition",
    version=2,
    fields={
        "lines": pa.float64(),
        "line_characters": pa.float64(),
        "paragraphs": pa.float64(),
        "paragraph_characters": pa.float64(),
        **{f"top_{size}_gram": pa.float64() for size in TOP_SIZES},
        **{f"duplicate_{size}_grams": pa.float64() for size in DUPLICATE_SIZES},
    },
    compute=repetition,
    parameters=SPLITTER,
)
