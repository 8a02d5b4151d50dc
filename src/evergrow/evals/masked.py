"""What a masked model is measured by: bits per byte of hidden tokens of held-out documents.

Axes: W windows in a batch, T tokens in a window, N hidden tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from evergrow.evals.bits_per_byte import evaluation_mode
from evergrow.evals.nats import TokenNats
from evergrow.stream.masks import measured_tokens
from evergrow.stream.pieces import Pieces


class Marks(NamedTuple):
    """The ids that begin a window, end a document, and hide a token."""

    first: int
    eos: int
    mask: int


@dataclass(frozen=True, slots=True)
class _Window:
    document: int
    tokens: np.ndarray
    hidden: np.ndarray


def masked_document_nats(
    model: torch.nn.Module,
    documents: Sequence[np.ndarray],
    pieces: Pieces,
    marks: Marks,
    sequence_length: int,
    batch_size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Nats of each document's hidden tokens, and the bytes of these tokens; both [num_documents].

    Hidden are a fixed 15 % of a document's tokens (``measured_tokens``), all at once and all by the
    mask token, whatever masks a model was trained with: hiding every token in turn would cost as
    many passes as a window has tokens. A document, with the EOS that ends it, is cut into windows
    of ``sequence_length`` tokens that begin with ``marks.first``. One without tokens has no bytes.

    Nats over bytes is comparable between masked models, also of other tokenizers if both are
    byte-level. It is not comparable with a causal model's number: it sees both sides of a token,
    and 15 % of the text is all it has to tell.
    """
    windows = _cut(documents, pieces, marks.eos, sequence_length)
    order = sorted(range(len(windows)), key=lambda i: -len(windows[i].tokens))
    nats, num_bytes = np.zeros(len(documents)), np.zeros(len(documents), np.int64)
    found: list[Tensor] = []
    owners: list[np.ndarray] = []
    device = next(model.parameters()).device
    with evaluation_mode(model), torch.inference_mode():
        told = TokenNats(model)
        at_once = told.windows_at_once(batch_size, sequence_length)
        for start in range(0, len(order), at_once):
            batch = [windows[i] for i in order[start : start + at_once]]
            found.append(_hidden_nats(told, batch, marks, device))
            owners += [np.full(int(window.hidden.sum()), window.document) for window in batch]
    for window in windows:
        num_bytes[window.document] += pieces.num_bytes_V[window.tokens[window.hidden]].sum()
    if found:
        # The only wait for the device.
        np.add.at(nats, np.concatenate(owners), torch.cat(found).cpu().numpy().astype(np.float64))
    return nats, num_bytes


def _cut(
    documents: Sequence[np.ndarray], pieces: Pieces, eos_id: int, sequence_length: int
) -> list[_Window]:
    """Windows with something to tell; each holds one token less than there is room for."""
    windows = []
    for number, document in enumerate(documents):
        tokens = np.append(document.astype(np.int64), eos_id)
        hidden = np.append(measured_tokens(document, pieces), False)
        for start in range(0, len(tokens), sequence_length - 1):
            part = slice(start, start + sequence_length - 1)
            if hidden[part].any():
                windows.append(_Window(number, tokens[part], hidden[part]))
    return windows


def _hidden_nats(
    told: TokenNats, batch: list[_Window], marks: Marks, device: torch.device
) -> Tensor:
    """-log p of the hidden tokens of each window in turn, float32 [N]."""
    length = 1 + len(batch[0].tokens)  # the longest comes first
    inputs = np.full((len(batch), length), marks.eos, np.int64)
    inputs[:, 0] = marks.first
    hidden, there = np.zeros(inputs.shape, bool), np.ones(inputs.shape, np.int64)
    for row, window in enumerate(batch):
        end = 1 + len(window.tokens)
        inputs[row, 1:end] = np.where(window.hidden, marks.mask, window.tokens)
        hidden[row, 1:end] = window.hidden
        there[row, end:] = 0
    targets_N = torch.from_numpy(np.concatenate([w.tokens[w.hidden] for w in batch])).to(device)
    places_N = torch.from_numpy(np.flatnonzero(hidden)).to(device)
    settings = {"input_ids": torch.from_numpy(inputs).to(device)}
    if not there.all():  # attention is faster without
        settings["attention_mask"] = torch.from_numpy(there).to(device)
    return told(settings, targets_N, places_N)
