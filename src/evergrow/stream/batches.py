"""From samples to arrays: rows of tokens, their targets, and what each of them counts.

Axes: B rows, T tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from evergrow.stream.plan import Sample
from evergrow.stream.shards import TokenSource

REPEAT_MAX_PERIOD = 13  # tokens; OLMo 2 configurations, instance_filter
REPEAT_MAX_COUNT = 32


@dataclass(frozen=True)
class TokenBatch:
    """inputs_BT and targets_BT (int64), weights_BT (float32: what a target counts), lengths_B.

    lengths_B are the tokens of data in each row; what follows is padding, of weight 0.
    positions_BT restarts at every document when documents must not see each other, else None.
    """

    inputs_BT: np.ndarray
    targets_BT: np.ndarray
    weights_BT: np.ndarray
    lengths_B: np.ndarray
    positions_BT: np.ndarray | None

    @property
    def weight(self) -> float:
        """The sum of what its targets count."""
        return float(self.weights_BT.sum(dtype=np.float64))

    @property
    def passed(self) -> int:
        """Tokens of data."""
        return int(self.lengths_B.sum())

    def split(self, size: int) -> list[Self]:
        """Micro-batches of ``size`` rows."""
        return [
            type(self)(
                self.inputs_BT[i : i + size],
                self.targets_BT[i : i + size],
                self.weights_BT[i : i + size],
                self.lengths_B[i : i + size],
                None if self.positions_BT is None else self.positions_BT[i : i + size],
            )
            for i in range(0, len(self.inputs_BT), size)
        ]


class Row(NamedTuple):
    """A sequence of its own: inputs, targets, what each target counts, and positions; all [n]."""

    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    positions: np.ndarray


def token_batch(
    samples: Sequence[Sample],
    sources: Mapping[str, TokenSource],
    sequence_length: int,
    mask_repeats: bool,
    separate_documents: bool,
) -> TokenBatch:
    """Gather the windows of ``samples``; each holds T + 1 tokens, one more than it trains on."""
    windows = np.stack([sources[s.source].window(s.item, sequence_length) for s in samples])
    positions = None
    if separate_documents:
        documents = [sources[s.source].window_documents(s.item, sequence_length) for s in samples]
        positions = document_positions(np.stack(documents)[:, :-1])
    counts = np.ones(len(samples), np.float32)
    if mask_repeats:
        counts[repeated(windows)] = 0
    weights = np.broadcast_to(counts[:, None], (len(samples), sequence_length))
    lengths = np.full(len(samples), sequence_length)
    return TokenBatch(windows[:, :-1], windows[:, 1:], weights, lengths, positions)


def packed(rows: Sequence[Row], length: int) -> list[Row]:
    """Rows put behind one another into rows of at most ``length`` tokens, the longest first.

    Each goes into the first row that has room for it (first fit decreasing, ties in their order),
    with the positions that it has, so a model that goes by positions keeps them apart; no target
    crosses a joint. One that is longer than ``length`` stays alone.
    """
    order = sorted(range(len(rows)), key=lambda i: (-len(rows[i].weights), i))
    bins: list[list[Row]] = []
    free: list[int] = []
    for row in (rows[i] for i in order):
        size = len(row.weights)
        place = next((b for b, room in enumerate(free) if room >= size), None)
        if place is None:
            bins.append([row])
            free.append(length - size)
        else:
            bins[place].append(row)
            free[place] -= size
    return [_joined(found) for found in bins]


def _joined(rows: Sequence[Row]) -> Row:
    return Row(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def row_batch(rows: Sequence[Row], pack_to: int | None, padding: int) -> TokenBatch:
    """Rows of any length as one batch, packed into rows of ``pack_to`` tokens unless that is None.

    ``padding`` is the id that fills the rest of a row; nothing before it sees it.
    """
    found = rows if pack_to is None else packed(rows, pack_to)
    lengths = np.array([len(row.weights) for row in found])
    shape = (len(found), int(lengths.max()))
    inputs, targets = np.full(shape, padding, np.int64), np.full(shape, padding, np.int64)
    weights, positions = np.zeros(shape, np.float32), np.zeros(shape, np.int64)
    for i, row in enumerate(found):
        n = lengths[i]
        inputs[i, :n], targets[i, :n], weights[i, :n], positions[i, :n] = row
        positions[i, n:] = np.arange(shape[1] - n)  # the padding is a document of its own
    return TokenBatch(inputs, targets, weights, lengths, None if pack_to is None else positions)


def repeated(windows: np.ndarray) -> np.ndarray:
    """Which windows hold one n-gram of 1 to 13 tokens at least 32 times in a row, bool [B].

    OLMo 2 masks the loss of such instances (section 3.1; `instance_filter` in its configurations).
    """
    found = np.zeros(len(windows), bool)
    length = windows.shape[1]
    for period in range(1, min(REPEAT_MAX_PERIOD, length // REPEAT_MAX_COUNT) + 1):
        equal = windows[:, period:] == windows[:, :-period]
        # A run of r equal pairs is a stretch of r + period tokens of that period.
        needed = period * (REPEAT_MAX_COUNT - 1)
        counts = np.zeros((len(windows), equal.shape[1] + 1), np.int32)
        np.cumsum(equal, axis=1, out=counts[:, 1:])
        found |= (counts[:, needed:] - counts[:, :-needed] == needed).any(axis=1)
    return found


def document_positions(documents: np.ndarray) -> np.ndarray:
    """Positions from 0 in every document; ``documents`` numbers the one of each token, [B, T]."""
    places = np.arange(documents.shape[1])
    starts = np.zeros_like(documents)
    starts[:, 1:] = np.where(documents[:, 1:] != documents[:, :-1], places[1:], 0)
    return places - np.maximum.accumulate(starts, axis=1)
