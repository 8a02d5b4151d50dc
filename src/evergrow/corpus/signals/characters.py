"""What every character of a text is, as bits in an array: shares are counted at numpy's speed."""

from functools import lru_cache

import numpy as np

LETTER, DIGIT, LETTER_OR_DIGIT, UPPER = 1, 2, 4, 8


def kinds_of(text: str) -> np.ndarray:
    """uint8 [C]: the bits of every character, as str.isalpha and its sisters say."""
    codes_C = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    return _table(int(codes_C.max(initial=0)) > 0xFFFF)[codes_C]


def num_with(kinds: np.ndarray, bit: int) -> int:
    """How many characters have the bit."""
    return int(np.count_nonzero(kinds & bit))


@lru_cache
def _table(is_whole: bool) -> np.ndarray:
    """Bits by code point: of the basic plane, or of all (half a second, once, for an emoji)."""
    characters = list(map(chr, range(0x110000 if is_whole else 0x10000)))
    tests = (str.isalpha, str.isdigit, str.isalnum, str.isupper)
    columns = [np.array(list(map(test, characters)), np.uint8) << b for b, test in enumerate(tests)]
    return columns[0] | columns[1] | columns[2] | columns[3]
