"""The order in which a source is read: a keyed permutation, without memory or global state."""

import hashlib

_MASK = (1 << 64) - 1
_ROUNDS = 4


def key_of(*parts: object) -> int:
    """A 64-bit key from printable parts, the same on every machine and in every process."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def mix(value: int) -> int:
    """splitmix64's finaliser (Steele, Lea, Flood 2014): a bijection on 64-bit integers.

    Also takes arrays of uint64, element by element.
    """
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & _MASK
    return value ^ (value >> 31)


def permute(index: int, size: int, key: int) -> int:
    """Where position ``index`` of [0, size) goes under the permutation named by ``key``.

    A four-round Feistel network on the smallest even number of bits that holds ``size``, walked
    until it lands inside (Black and Rogaway 2002): O(1) memory, random access, no index to build.
    """
    assert 0 <= index < size, f"position {index} is outside [0, {size})"
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    low = (1 << half) - 1
    while True:
        left, right = index >> half, index & low
        for turn in range(_ROUNDS):
            left, right = (
                right,
                left ^ (mix(key + turn * 0x9E3779B97F4A7C15 + right & _MASK) & low),
            )
        index = left << half | right
        if index < size:
            return index
