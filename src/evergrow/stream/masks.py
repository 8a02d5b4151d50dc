"""Which tokens are hidden from a masked model: pure functions of a seed and a sample's number.

Axes: B windows, T tokens. No state is kept, so a resumed run hides what an uninterrupted one does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from blake3 import blake3

from evergrow.stream.batches import TokenBatch
from evergrow.stream.order import key_of, mix
from evergrow.stream.pieces import Pieces

MASKED, RANDOM = 0.8, 0.1  # of the chosen tokens; the rest stay (BERT, 1810.04805, section 3.1)
MEASURED = 0.15  # of a held-out document's tokens
_STEP = 0x9E3779B97F4A7C15  # splitmix64's, between two draws of one stream
_DRAWS = 3  # a token: whether it is chosen, what becomes of it, which token takes its place


@dataclass(frozen=True)
class MaskedBatch:
    """B windows of T tokens: what the model sees, what was there, and which tokens it must tell.

    inputs_BT and targets_BT are int64, chosen_BT bool; only chosen targets count.
    """

    inputs_BT: np.ndarray
    targets_BT: np.ndarray
    chosen_BT: np.ndarray

    @property
    def weight(self) -> float:
        """The number of targets that count."""
        return float(self.chosen_BT.sum())

    @property
    def passed(self) -> int:
        """Tokens read."""
        return self.inputs_BT.size

    def split(self, size: int) -> list[Self]:
        """Micro-batches of ``size`` windows."""
        return [
            type(self)(
                self.inputs_BT[i : i + size],
                self.targets_BT[i : i + size],
                self.chosen_BT[i : i + size],
            )
            for i in range(0, len(self.inputs_BT), size)
        ]


@dataclass(frozen=True)
class MaskRule:
    """How tokens are chosen: each, or each whole word, with probability ``fraction``."""

    fraction: float
    whole_words: bool
    mask_id: int
    pieces: Pieces
    seed: int


def masked_batch(batch: TokenBatch, samples: Sequence[int], rule: MaskRule) -> MaskedBatch:
    """Choose and hide tokens of the windows with global sample numbers ``samples``, [B].

    Of the chosen tokens 80 % become the mask token, 10 % a random ordinary token, 10 % stay. A
    word is chosen by the draw of its first token in the window, so each token is chosen with
    probability ``fraction`` either way. Special tokens and windows of weight 0 never are.
    """
    targets_BT = batch.inputs_BT
    keys_B = np.array([key_of("mask", rule.seed, n) for n in samples], np.uint64)
    chance_BT = _uniform(keys_B, 0, targets_BT.shape[1])
    if rule.whole_words:
        places_BT = np.where(rule.pieces.word_starts(targets_BT), np.arange(targets_BT.shape[1]), 0)
        places_BT = np.maximum.accumulate(places_BT, axis=1)
        chance_BT = np.take_along_axis(chance_BT, places_BT, axis=1)
    chosen_BT = (chance_BT < rule.fraction) & ~rule.pieces.special_V[targets_BT]
    chosen_BT &= batch.weights_BT > 0
    fate_BT = _uniform(keys_B, 1, targets_BT.shape[1])
    ordinary = np.flatnonzero(~rule.pieces.special_V)
    drawn_BT = (_uniform(keys_B, 2, targets_BT.shape[1]) * len(ordinary)).astype(np.int64)
    inputs_BT = np.where(chosen_BT & (fate_BT < MASKED), rule.mask_id, targets_BT)
    replaced_BT = chosen_BT & (fate_BT >= MASKED) & (fate_BT < MASKED + RANDOM)
    inputs_BT = np.where(replaced_BT, ordinary[drawn_BT], inputs_BT)
    return MaskedBatch(inputs_BT, targets_BT, chosen_BT)


def measured_tokens(tokens: np.ndarray, pieces: Pieces) -> np.ndarray:
    """Which tokens of a document a measurement hides, bool [T]: always the same ones.

    15 % of the tokens that are not special, rounded, at least one: those that a hash of the
    document and of their position ranks first.
    """
    key = key_of("measure", blake3(tokens.astype("<u4").tobytes()).hexdigest())
    chance = _uniform(np.array([key], np.uint64), 0, len(tokens))[0]
    ordinary = np.flatnonzero(~pieces.special_V[tokens])
    number = max(1, round(MEASURED * len(ordinary)))
    chosen = np.zeros(len(tokens), bool)
    chosen[ordinary[np.argsort(chance[ordinary], kind="stable")[:number]]] = True
    return chosen


def _uniform(keys_B: np.ndarray, draw: int, num_tokens: int) -> np.ndarray:
    """Numbers in [0, 1) of 53 bits, float64 [B, T]: splitmix64's streams, one for each key."""
    counters = (np.arange(num_tokens, dtype=np.uint64) * _DRAWS + draw + 1) * np.uint64(_STEP)
    bits_BT: np.ndarray = mix(keys_B[:, None] + counters)  # pyright: ignore  arrays wrap around
    return (bits_BT >> 11) * 2.0**-53
