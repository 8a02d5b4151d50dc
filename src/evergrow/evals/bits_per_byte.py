"""Bits per byte of held-out documents: the loss that two tokenizers can be compared by.

Axes: W windows in a batch, T targets in a window, N all of them.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from evergrow.errors import InputError
from evergrow.evals.nats import TokenNats
from evergrow.statistics import Interval, bootstrap_ratio


def document_nats(
    model: torch.nn.Module,
    documents: Sequence[np.ndarray],
    first_id: int,
    sequence_length: int,
    batch_size: int,
    special_ids: Collection[int] = (),
) -> np.ndarray:
    """Nats that ``model`` needs for each document of token ids; float64 [num_documents].

    A document is cut into windows of ``sequence_length`` targets. Every window stands alone and its
    input starts with ``first_id``, what begins a document (models/convention.py), so each token is
    predicted once, from its window only. Targets in ``special_ids`` weigh 0: no byte of the text
    stands behind them. An empty document costs 0.

    Windows of many documents share a batch of ``batch_size``, longest first to save padding, so a
    document's value does not depend on its neighbours beyond float rounding. The model is called in
    evaluation mode and returns to the mode it had.
    """
    windows = _cut(documents, sequence_length)
    order = sorted(range(len(windows)), key=lambda i: -len(windows[i].tokens))
    device = next(model.parameters()).device
    parts = []
    with evaluation_mode(model), torch.inference_mode():
        told = TokenNats(model)
        at_once = told.windows_at_once(batch_size, sequence_length)
        for start in range(0, len(order), at_once):
            batch = [windows[i].tokens for i in order[start : start + at_once]]
            inputs, targets, counted = _collate(batch, first_id, special_ids)
            paid_N = told({"input_ids": inputs.to(device)}, targets.to(device).flatten())
            paid_WT = paid_N.view(targets.shape)
            # What does not count may cost more than any number: 0 * inf would be no number.
            parts.append(paid_WT.masked_fill(~counted.to(device), 0.0).sum(dim=1))
    nats = np.zeros(len(windows))
    if parts:
        nats[order] = torch.cat(parts).cpu().numpy()  # the only wait for the device
    owners = np.array([window.document for window in windows], dtype=np.int64)
    return np.bincount(owners, weights=nats, minlength=len(documents)).astype(np.float64)


def bits_per_byte(nats: np.ndarray, num_bytes: np.ndarray) -> float:
    """sum(nats) / (ln 2 * sum(bytes)); bytes are those of the raw text in UTF-8.

    Both have one value a document. Raises InputError when there is no byte at all.
    """
    total = int(np.sum(num_bytes))
    if total == 0:
        raise InputError("bits per byte of no text are not defined; give held-out documents")
    return float(np.sum(nats)) / (math.log(2) * total)


def bits_per_byte_interval(
    nats: np.ndarray, num_bytes: np.ndarray, level: float = 0.95, seed: int = 0
) -> Interval:
    """Bootstrap over documents, empty ones left out; raises InputError for fewer than two."""
    filled = np.asarray(num_bytes) > 0
    bits = np.asarray(nats)[filled] / math.log(2)
    return bootstrap_ratio(bits, np.asarray(num_bytes)[filled], level, seed=seed)


@dataclass(frozen=True, slots=True)
class _Window:
    document: int
    tokens: np.ndarray


def _cut(documents: Sequence[np.ndarray], sequence_length: int) -> list[_Window]:
    return [
        _Window(number, tokens[start : start + sequence_length])
        for number, tokens in enumerate(documents)
        for start in range(0, len(tokens), sequence_length)
    ]


def _collate(
    batch: Sequence[np.ndarray], first_id: int, special_ids: Collection[int]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs, targets and which targets count [W, T], T of the longest window."""
    shape = (len(batch), max(len(tokens) for tokens in batch))
    inputs = np.full(shape, first_id, dtype=np.int64)  # padding lies right of all that counts
    targets = np.full(shape, first_id, dtype=np.int64)
    counted = np.zeros(shape, dtype=bool)
    special = np.array(sorted(special_ids), dtype=np.int64)
    for row, tokens in enumerate(batch):
        inputs[row, 1 : len(tokens)] = tokens[:-1]
        targets[row, : len(tokens)] = tokens
        counted[row, : len(tokens)] = ~np.isin(tokens, special)
    return torch.from_numpy(inputs), torch.from_numpy(targets), torch.from_numpy(counted)


@contextmanager
def evaluation_mode(model: torch.nn.Module) -> Iterator[None]:
    """Dropout off inside; afterwards each module is back in the mode that it alone had."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
