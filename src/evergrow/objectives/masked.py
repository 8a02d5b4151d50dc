"""The masked objective: tell the hidden tokens of a window from both of their sides (BERT).

Shapes: B windows, T tokens, N chosen tokens, D width, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from evergrow.models.parts import LOGIT_BYTES, PartsOf
from evergrow.objectives.causal import (
    CrossEntropy,
    are_windows,
    in_pieces,
    to_device,
    token_loss,
)
from evergrow.objectives.objective import Given, Objective, nothing_probed
from evergrow.objectives.text import UNIT, Texts
from evergrow.stream.batches import token_batch
from evergrow.stream.masks import MaskedBatch, MaskRule, masked_batch
from evergrow.stream.pieces import pieces_of
from evergrow.stream.plan import Sample
from evergrow.stream.tokenizer import mask_id
from evergrow.train.objective import Loss


def masked(given: Given) -> Objective:
    """Windows of text, some of whose tokens are told from both of their sides.

    Raises InputError for a tokenizer without a mask token.
    """
    texts, train, config = Texts(given), given.train, given.config
    tokenizer = texts.tokenizer
    rule = MaskRule(
        fraction=config.fraction,
        whole_words=config.whole_words,
        mask_id=mask_id(tokenizer),
        pieces=pieces_of(tokenizer),
        seed=given.seed,
    )

    def batch(samples: Sequence[Sample], numbers: range) -> MaskedBatch:
        assert are_windows(given, samples), "the recipe refuses other lengths"
        length = train.sequence_length
        read = token_batch(samples, given.by_folder, length, train.mask_repeats, False)
        return masked_batch(read, numbers, rule)

    return Objective(
        unit=UNIT,
        counted="tokens",
        num_items=texts.num_windows,
        first_model=texts.first_model,
        refuse=texts.refuse,
        batch=batch,
        loss=Masked(train.z_loss),
        measure=texts.measure,
        show=texts.show,
        probe=nothing_probed,
        save=texts.save,
    )


class Masked:
    """Cross-entropy and z-loss of the chosen tokens of each window; others never reach the head."""

    def __init__(self, z_loss: float, logit_bytes: int = LOGIT_BYTES) -> None:
        self._z = z_loss
        self._logit_bytes = logit_bytes
        self._parts_of = PartsOf()

    def __call__(self, model: nn.Module, batch: MaskedBatch, device: torch.device) -> Loss:
        """Summed loss of the chosen tokens; logits above 256 MiB are made in pieces.

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
            num_chunks = -(-len(places) * config.vocab_size * 4 // self._logit_bytes)
            if num_chunks > 1:
                return in_pieces(parts.head, hidden_ND, targets_N, weights_N, self._z, num_chunks)
            logits_NV = parts.head(hidden_ND)
        sums = CrossEntropy.apply(logits_NV, targets_N, weights_N, self._z)
        return token_loss(*sums)
