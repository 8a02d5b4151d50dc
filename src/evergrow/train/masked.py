"""The masked objective: tell the hidden tokens of a window from both of their sides (BERT).

Shapes: B windows, T tokens, N chosen tokens, D width, V vocabulary.
"""

from typing import Any

import numpy as np
import torch
from torch import nn

from evergrow.models.parts import PartsOf
from evergrow.stream.masks import MaskedBatch
from evergrow.train.objectives import CHUNK_BYTES, CrossEntropy, Loss, in_pieces, to_device


class Masked:
    """Cross-entropy and z-loss of the chosen tokens of each window; others never reach the head."""

    def __init__(self, z_loss: float, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._z = z_loss
        self._chunk_bytes = chunk_bytes
        self._parts_of = PartsOf()

    def weight(self, batch: MaskedBatch) -> float:
        """The number of targets that count."""
        return float(batch.chosen_BT.sum())

    def split(self, batch: MaskedBatch, size: int) -> list[MaskedBatch]:
        """Micro-batches of ``size`` windows."""
        return [
            MaskedBatch(
                batch.inputs_BT[i : i + size],
                batch.targets_BT[i : i + size],
                batch.chosen_BT[i : i + size],
            )
            for i in range(0, len(batch.inputs_BT), size)
        ]

    def loss(self, model: nn.Module, batch: MaskedBatch, device: torch.device) -> Loss:
        """Summed loss of the chosen tokens; logits above 1 GiB are made, and made again, in pieces.

        A family whose head is not one module (DistilBERT) computes all logits.
        """
        inputs_BT = to_device(batch.inputs_BT, device)
        places = np.flatnonzero(batch.chosen_BT)
        targets_N = to_device(batch.targets_BT.reshape(-1)[places], device)
        places_N = to_device(places, device)
        weights_N = torch.ones(len(places), device=device)
        parts = self._parts_of(model)
        if parts is None:
            logits_NV = model(input_ids=inputs_BT).logits.flatten(0, 1)[places_N]
        else:
            hidden_ND = parts.backbone(input_ids=inputs_BT)[0].flatten(0, 1)[places_N]
            config: Any = model.config
            num_chunks = -(-len(places) * config.vocab_size * 4 // self._chunk_bytes)
            if num_chunks > 1:
                return in_pieces(parts.head, hidden_ND, targets_N, weights_N, self._z, num_chunks)
            logits_NV = parts.head(hidden_ND)
        sums = CrossEntropy.apply(logits_NV, targets_N, weights_N, self._z)
        return Loss(sums[0] + sums[1], *sums)
