"""What every character of a text is, as bits in an array: shares are counted at numpy's speed."""

from functools import lru_cache, reduce
from operator import or_
from string import ascii_letters, digits

import numpy as np

LETTER, DIGIT, LETTER_OR_DIGIT, UPPER, TOKEN, BASE64 = 1, 2, 4, 8, 16, 32
_TESTS = (  # in the order of the bits
    str.isalpha,
    str.isdigit,
    str.isalnum,
    str.isupper,
    frozenset(ascii_letters + digits + "_-").__contains__,
    frozenset(ascii_letters + digits + "+/=").__contains__,
)


_PLANES = 0x20000  # code points in the table; beyond lie rare ideographs, tags and private use


def kinds_of(text: str) -> np.ndarray:
    """uint8 [C]: the bits of every character.

    The first four are what str.isalpha and its sisters say; TOKEN and BASE64 are ASCII letters and
    digits with ``_-`` and with ``+/=``.
    """
    codes_C = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    rare = np.unique(codes_C[codes_C >= _PLANES])
    if not len(rare):
        return _table()[codes_C]
    kinds_C = _table()[np.minimum(codes_C, _PLANES - 1)]
    for code in rare.tolist():
        kinds_C[codes_C == code] = _kinds([chr(code)])[0]
    return kinds_C


def num_with(kinds: np.ndarray, bit: int) -> int:
    """How many characters have the bit."""
    return int(np.count_nonzero(kinds & bit))


def long_runs(kinds: np.ndarray, bit: int, at_least: int) -> list[tuple[int, int]]:
    """Start and end of every run of at least so many characters that all have the bit."""
    edges = np.flatnonzero(np.diff((kinds & bit) != 0, prepend=False, append=False))
    starts, ends = edges[::2], edges[1::2]
    long = np.flatnonzero(ends - starts >= at_least)
    return list(zip(starts[long].tolist(), ends[long].tolist(), strict=True))


@lru_cache(1)
def _table() -> np.ndarray:
    return _kinds(list(map(chr, range(_PLANES))))


def _kinds(characters: list[str]) -> np.ndarray:
    columns = [
        np.array(list(map(test, characters)), np.uint8) << b for b, test in enumerate(_TESTS)
    ]
    return reduce(or_, columns)
