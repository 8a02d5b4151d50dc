"""What every character of a text is, as bits in an array: shares are counted at numpy's speed."""

from functools import lru_cache

import numpy as np

LETTER, DIGIT, LETTER_OR_DIGIT, UPPER = 1, 2, 4, 8


_PLANES = 0x20000  # code points in the table; beyond lie rare ideographs, tags and private use


def kinds_of(text: str) -> np.ndarray:
    """uint8 [C]: the bits of every character, as str.isalpha and its sisters say."""
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


@lru_cache(1)
def _table() -> np.ndarray:
    return _kinds(list(map(chr, range(_PLANES))))


def _kinds(characters: list[str]) -> np.ndarray:
    tests = (str.isalpha, str.isdigit, str.isalnum, str.isupper)  # in the order of the bits
    columns = [np.array(list(map(test, characters)), np.uint8) << b for b, test in enumerate(tests)]
    return columns[0] | columns[1] | columns[2] | columns[3]
