"""A text's identifiers as hashes, read from its characters with arrays and no loop over words.

An identifier is a run of letters, marks, digits and underscores, lower-cased, such as
``has_close_elements``. White space, line breaks, quotes, brackets and operators do not count, nor
do underscores around it, so that reformatted code and reflowed or emphasised prose are the same;
nor does how Unicode spells a character (NFKC) or what it shows nothing of (soft hyphens, joiners).
A character of a script without spaces is one by itself.

The words that quality rules count (``corpus/words.py``) follow spaCy's rules and cost ten times as
much; they also part "don't" but not "DON'T", which is right for counting but not for comparing.
Letters in array names: C characters, N identifiers.
"""

import re
import unicodedata
from typing import NamedTuple

import numpy as np

from evergrow.corpus.duplicates.ngrams import mixed

IDENTIFIERS = 2  # version of what an identifier is and of its hash
MAX_CHARACTERS = 1 << 16  # of a run; a longer one is known by its beginning
SPAN = 1 << 16  # characters hashed at a time: 512 KiB an array, which stays in a core's cache
UNDERSCORE = ord("_")
# Of an acute accent alone NFKC makes a space and a mark.
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]|(?<= )[\u0300-\u036f]")
_SEED = np.uint64(0x6964656E746966)
_RATIO = 0x9FB21C651E98DF25  # odd, so it has an inverse
_UNKNOWN, _OUTSIDE, _INSIDE, _ALONE = 255, 0, 1, 2
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


class Said(NamedTuple):
    """What a text says: its identifiers' hashes (uint64 [N]) and how many characters they have."""

    hashes_N: np.ndarray
    num_characters: int


def identifiers(text: str) -> np.ndarray:
    """uint64 [N]: the hashes of the identifiers of a text, in order; the same on every machine."""
    return said(text).hashes_N


def said(text: str) -> Said:
    """The identifiers of a text and their length, however Unicode spells them."""
    if not text.isascii():
        text = _UNSEEN.sub("", unicodedata.normalize("NFKC", text))
    lower = text.lower()
    if lower.isascii():
        codes_C = np.frombuffer(lower.encode(), np.uint8)
    else:
        codes_C = np.frombuffer(lower.encode("utf-32-le", "surrogatepass"), "<u4")
    starts_N, ends_N = _trimmed(codes_C, *_bounds(_kinds(codes_C)))
    num_characters = int((ends_N - starts_N).sum())
    np.minimum(ends_N, starts_N + MAX_CHARACTERS, out=ends_N)
    parts = [np.empty(0, np.uint64)]
    first = 0
    while first < len(starts_N):
        start = starts_N[first]
        last = max(int(np.searchsorted(ends_N, start + SPAN, "right")), first + 1)
        codes = codes_C[start : ends_N[last - 1]]
        parts.append(_hashes(codes, starts_N[first:last] - start, ends_N[first:last] - start))
        first = last
    return Said(np.concatenate(parts), num_characters)


def _hashes(codes_C: np.ndarray, starts_N: np.ndarray, ends_N: np.ndarray) -> np.ndarray:
    """The polynomial sum_k v_k r^k of each run's characters, mixed: a difference of running sums,
    divided by r^start (multiplied by its inverse modulo 2^64)."""
    values_C = _VALUES[codes_C] if codes_C.dtype == np.uint8 else _values(codes_C)
    sums_C = np.empty(len(codes_C) + 1, np.uint64)
    sums_C[0] = 0
    np.cumsum(values_C * _POWERS[: len(codes_C)], out=sums_C[1:])
    return mixed((sums_C[ends_N] - sums_C[starts_N]) * _INVERSES[starts_N])


def _values(codes: np.ndarray) -> np.ndarray:
    return mixed(codes.astype(np.uint64) + _SEED)


def _powers(ratio: int) -> np.ndarray:
    powers = np.full(max(SPAN, MAX_CHARACTERS) + 1, ratio, np.uint64)
    powers[0] = 1
    return np.cumprod(powers)


def _bounds(kinds_C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the identifiers start and end."""
    inside = np.zeros(len(kinds_C) + 2, bool)
    inside[1:-1] = kinds_C != _OUTSIDE
    changes = np.flatnonzero(inside[1:] != inside[:-1])
    starts, ends = changes[::2], changes[1::2]
    alone = np.flatnonzero(kinds_C == _ALONE)
    if len(alone):
        edges = np.zeros(len(kinds_C) + 1, bool)
        edges[starts] = edges[ends] = edges[alone] = edges[alone + 1] = True
        places = np.flatnonzero(edges)
        runs = inside[places[:-1] + 1]
        starts, ends = places[:-1][runs], places[1:][runs]
    return starts.copy(), ends.copy()


def _trimmed(
    codes_C: np.ndarray, starts_N: np.ndarray, ends_N: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Without underscores at either end; what consists of them alone is none."""
    rimmed = np.flatnonzero((codes_C[starts_N] == UNDERSCORE) | (codes_C[ends_N - 1] == UNDERSCORE))
    if not len(rimmed):
        return starts_N, ends_N
    others = np.concatenate([[-1], np.flatnonzero(codes_C != UNDERSCORE), [len(codes_C)]])
    first = others[np.searchsorted(others, starts_N[rimmed])]
    starts_N[rimmed] = np.minimum(first, ends_N[rimmed])
    ends_N[rimmed] = others[np.searchsorted(others, ends_N[rimmed]) - 1] + 1
    real = starts_N < ends_N
    return starts_N[real], ends_N[real]


def _kinds(codes_C: np.ndarray) -> np.ndarray:
    """uint8 [C]; a character is looked up once in the life of the process."""
    kinds_C = _KINDS[codes_C]
    if codes_C.dtype != np.uint8 and np.any(unknown := kinds_C == _UNKNOWN):
        for code in np.unique(codes_C[unknown]).tolist():
            _KINDS[code] = _kind(code)
        kinds_C = _KINDS[codes_C]
    return kinds_C


def _kind(code: int) -> int:
    if any(low <= code <= high for low, high in _UNSPACED):
        return _ALONE if unicodedata.category(chr(code))[0] in "LMN" else _OUTSIDE
    inside = code == ord("_") or unicodedata.category(chr(code))[0] in "LMN"
    return _INSIDE if inside else _OUTSIDE


_KINDS = np.full(0x110000, _UNKNOWN, np.uint8)
_KINDS[:256] = [_kind(code) for code in range(256)]
_VALUES = _values(np.arange(256))
_POWERS, _INVERSES = _powers(_RATIO), _powers(pow(_RATIO, -1, 1 << 64))
