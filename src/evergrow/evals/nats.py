"""What a language model pays for tokens, its logits never all in memory at once.

Axes: W windows, T tokens in a window, N tokens that are told, D width, V vocabulary.
"""

from typing import Any, final

import torch
from torch import Tensor

from evergrow.models.kind import forward_settings
from evergrow.models.parts import LOGIT_BYTES, backbone_and_head


@final
class TokenNats:
    """-log p of tokens under one model, whose logits are made in pieces of ``logit_bytes``.

    A family that cannot be taken apart (models/parts.py) makes all logits of a call: it is to be
    called with ``windows_at_once``.
    """

    def __init__(self, model: Any, logit_bytes: int = LOGIT_BYTES) -> None:
        self._model = model
        self._at_once = max(1, logit_bytes // (4 * model.config.get_text_config().vocab_size))
        self._parts = backbone_and_head(model)

    def windows_at_once(self, batch_size: int, length: int) -> int:
        """How many windows of ``length`` tokens a call may have, at most ``batch_size``."""
        if self._parts is not None:
            return batch_size
        return max(1, min(batch_size, self._at_once // length))

    def __call__(
        self, inputs: dict[str, Tensor], targets_N: Tensor, places_N: Tensor | None = None
    ) -> Tensor:
        """float32 [N]; the targets stand at ``places_N`` of the flattened windows, or everywhere.

        ``inputs`` are input_ids [W, T] and what else the model is to be called with.
        """
        settings = {**inputs, **forward_settings(self._model)}
        if self._parts is None:
            whole_NV = self._model(**settings).logits.flatten(0, 1)
            pieces_MV = [whole_NV if places_N is None else whole_NV[places_N]]
        else:
            hidden_ND = self._parts.backbone(**settings)[0].flatten(0, 1)
            hidden_ND = hidden_ND if places_N is None else hidden_ND[places_N]
            pieces_MV = map(self._parts.head, hidden_ND.split(self._at_once))
        rows, found, first = inputs["input_ids"].shape[1], [], 0
        for logits_MV in pieces_MV:
            found.append(_told(logits_MV, targets_N[first : first + len(logits_MV)], rows))
            first += len(logits_MV)
        return torch.cat(found)


def _told(logits_MV: Tensor, targets_M: Tensor, rows: int) -> Tensor:
    """-log p(target) in float32: mps has no float64."""
    picked_M = logits_MV.gather(-1, targets_M[:, None])[:, 0].float()
    # Some rows at a time: no float32 copy of all logits, and 2.6 times faster at V = 2048 on a CPU.
    normalisers = [torch.logsumexp(some.float(), dim=-1) for some in logits_MV.split(rows)]
    return torch.cat(normalisers) - picked_M
