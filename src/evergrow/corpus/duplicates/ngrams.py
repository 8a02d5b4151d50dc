"""Hashes of runs of n words, from the hashes of the words, without a string or a loop over words.

Letters in array names: W words, N n-grams.
"""

from collections.abc import Iterator

import numpy as np

CHUNK = 1 << 16  # words at a time: arrays that stay in the cache, and memory that stays bounded
_RATIO = 0x9FB21C651E98DF25  # odd, so that multiplying by it loses no bits


def ngram_hashes(hashes_W: np.ndarray, n: int) -> np.ndarray:
    """uint64 [max(W - n + 1, 0)]: of the words i to i + n - 1, order counts.

    The polynomial sum_j h_j r^(n-1-j) modulo 2^64, mixed so that every bit depends on every word.
    It is built by doubling (2, 4, 8 words, then the rest): log n multiplications and not n.
    """
    num = len(hashes_W) - n + 1
    if num <= 0:
        return np.empty(0, np.uint64)
    power, power_words = hashes_W, 1  # sums over runs of 1, 2, 4 ... words
    total: np.ndarray | None = None
    total_words = 0
    for bit in bin(n)[:1:-1]:
        if bit == "1":
            total = power if total is None else _joined(power, power_words, total, total_words)
            total_words += power_words
        if total_words < n:
            power = _joined(power, power_words, power, power_words)
            power_words *= 2
    assert total is not None and len(total) == num
    return mixed(total)


def _joined(first: np.ndarray, num_first: int, then: np.ndarray, num_then: int) -> np.ndarray:
    """The sums over the words of ``first`` and the words of ``then`` that follow them."""
    after = then[num_first:]
    ratio = np.uint64(pow(_RATIO, num_then, 1 << 64))
    return first[: len(after)] * ratio + after


def ngram_chunks(hashes_W: np.ndarray, n: int) -> Iterator[np.ndarray]:
    """The same hashes in order, at most CHUNK at a time."""
    for start in range(0, max(len(hashes_W) - n + 1, 0), CHUNK):
        yield ngram_hashes(hashes_W[start : start + CHUNK + n - 1], n)


def mixed(x: np.ndarray) -> np.ndarray:
    """A permutation of the 64-bit numbers that spreads every bit: splitmix64's last step."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def constants(number: int, seed: int) -> np.ndarray:
    """uint64 [number]: the first numbers of splitmix64, which need no generator's version."""
    with np.errstate(over="ignore"):
        steps = np.arange(1, number + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        return mixed(steps + np.uint64(seed))
