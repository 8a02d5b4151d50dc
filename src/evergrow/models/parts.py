"""A language model taken apart: tokens to hidden states, and hidden states to logits."""

from typing import Any, NamedTuple, final

import torch
from torch import nn

from evergrow.models.kind import forward_settings

LOGIT_BYTES = 1 << 28  # logits above this are made and dropped in pieces


class Parts(NamedTuple):
    """A language model in two; the head works on each hidden state by itself."""

    backbone: Any
    head: Any


@final
class PartsOf:
    """``backbone_and_head``, found once for as long as it is asked of the same model."""

    def __init__(self) -> None:
        self._known: tuple[nn.Module, Parts | None] | None = None

    def __call__(self, model: nn.Module) -> Parts | None:
        if self._known is None or self._known[0] is not model:
            self._known = (model, backbone_and_head(model))
        return self._known[1]


def backbone_and_head(model: Any) -> Parts | None:
    """The two parts of ``model``, the first compiled if the model is.

    None for a family that does more than apply the one to the other: Gemma 2 caps its logits,
    Granite and Cohere scale them, T5 scales the hidden states, the head of DistilBERT is in three
    pieces. One token is run to find out.
    """
    plain = getattr(model, "_orig_mod", model)  # torch.compile's name for what it wraps
    backbone = plain.base_model
    made: list[Any] = []
    calls: list[tuple[nn.Module, tuple[Any, ...], Any]] = []  # module, what it read, what it gave
    hooks = [backbone.register_forward_hook(lambda *call: made.append(call[2][0]))]
    hooks += [
        child.register_forward_hook(lambda *call: calls.append(call))
        for child in plain.children()
        if child is not backbone
    ]
    was_training = plain.training
    plain.eval()  # dropout would draw random numbers that a resumed run does not
    try:
        with torch.no_grad():
            device = next(plain.parameters()).device
            token = torch.zeros(1, 1, dtype=torch.long, device=device)
            logits = plain(input_ids=token, **forward_settings(plain)).logits
    finally:
        plain.train(was_training)
        for hook in hooks:
            hook.remove()
    if len(calls) != 1 or len(made) != 1:
        return None
    head, read, given = calls[0]
    same = [(read[0], made[0]), (given, logits)] if len(read) == 1 else []
    if not same or any(one.data_ptr() != other.data_ptr() for one, other in same):
        return None
    return Parts(backbone if plain is model else torch.compile(backbone), head)
