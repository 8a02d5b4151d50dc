"""The token file that all contestants read, in the same order."""

from pathlib import Path

import numpy as np

from contestants.shapes import SEED, Shape

NUM_TOKENS = 1 << 21


def write_tokens(path: Path, vocab_size: int) -> None:
    """Pseudo text as uint16: Zipf-like, every other token settled by the one before."""
    random = np.random.default_rng(SEED)
    tokens = np.floor(vocab_size ** random.random(NUM_TOKENS)).astype(np.int64) - 1
    tokens[1::2] = (tokens[::2] * 31 + 7) % vocab_size
    tokens.astype("<u2").tofile(path)


class TokenFile:
    """Windows of T + 1 tokens, T apart; step k (from 0) reads B of them, then it starts again."""

    def __init__(self, path: Path, shape: Shape) -> None:
        self.path = path
        self._tokens = np.memmap(path, dtype="<u2", mode="r")
        self._shape = shape
        self._num_windows = (len(self._tokens) - 1) // shape.sequence_length

    def window(self, index: int) -> np.ndarray:
        """The window of that number, int64 [T + 1]."""
        length = self._shape.sequence_length
        start = index % self._num_windows * length
        return self._tokens[start : start + length + 1].astype(np.int64)

    def batch(self, step: int) -> np.ndarray:
        """The windows of a step, int64 [B, T + 1]."""
        size = self._shape.batch_size
        return np.stack([self.window(step * size + i) for i in range(size)])
