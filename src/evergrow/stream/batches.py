"""From samples to arrays: windows of tokens, their targets, and which of them count."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evergrow.stream.plan import Sample
from evergrow.stream.shards import TokenSource

REPEAT_MAX_PERIOD = 13  # tokens; OLMo 2 configurations, instance_filter
REPEAT_MAX_COUNT = 32


@dataclass(frozen=True)
class TokenBatch:
    """B windows of T tokens: inputs_BT and targets_BT (int64), weights_B (1 counts, 0 is masked).

    positions_BT restarts at every document when documents must not see each other, else None.
    """

    inputs_BT: np.ndarray
    targets_BT: np.ndarray
    weights_B: np.ndarray
    positions_BT: np.ndarray | None


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
    weights = np.ones(len(samples), np.float32)
    if mask_repeats:
        weights[repeated(windows)] = 0
    return TokenBatch(windows[:, :-1], windows[:, 1:], weights, positions)


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
