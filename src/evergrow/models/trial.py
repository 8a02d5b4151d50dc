"""Whether a loaded model can be trained and released here, found out before anything is trained."""

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from evergrow.errors import InputError
from evergrow.models.kind import forward_settings, kind_of
from evergrow.models.parts import backbone_and_head
from evergrow.models.quiet import undisturbed
from evergrow.models.rows import FAILURES, next_logits

TOKENS = 64  # at most: what fails on a short text fails on a long one
AHEAD = 1e-3  # of a logit's spread: rounding stays a thousand times below


def refuse_untrainable(model: PreTrainedModel, source: str, sequence_length: int) -> None:
    """Raise InputError unless two short windows can be learnt from and a text be continued.

    A causal model must not see the token that it is to tell. Model and random state stay as they
    are; no gradient is left.
    """
    name, length = type(model).__name__, max(2, min(TOKENS, sequence_length))
    training = model.training
    try:
        with undisturbed():
            ahead = _step(model, length)
            backbone_and_head(model)
            if kind_of(model) == "causal":
                logits_after = next_logits(model.eval(), length)
                with torch.no_grad():
                    logits_after([[0, 0]])
                    logits_after([[0, 0, 0]])  # the second call reads what the first one kept
    except FAILURES as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise InputError(
            f"{source}: a {name} cannot be trained here, it failed on {length} tokens ({said}); "
            "give a model of another architecture"
        ) from error
    finally:
        model.zero_grad(set_to_none=True)
        model.train(training)
    if ahead:
        raise InputError(
            f"{source}: a {name} of this config.json sees the tokens that it is to tell, so there "
            "is nothing to learn; give a decoder (is_decoder: true), or a masked model"
        )


def _step(model: Any, length: int) -> bool:
    """Learn from two windows; whether the logits of a causal model change with what follows."""
    vocabulary = model.config.get_text_config().vocab_size
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(vocabulary, (2, length), generator=draw).to(model.device)
    settings = forward_settings(model)
    logits: Tensor = model.train()(input_ids=ids, **settings).logits
    if logits.shape != (2, length, vocabulary):
        raise ValueError(f"logits of {tuple(logits.shape)}, not (2, {length}, {vocabulary})")
    torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), ids.flatten()).backward()
    if kind_of(model) != "causal":
        return False
    with torch.no_grad():
        other = ids.clone()
        other[:, length // 2 :] = (other[:, length // 2 :] + 1) % vocabulary
        before, after = (model.eval()(input_ids=x, **settings).logits for x in (ids, other))
    moved = (before - after)[:, : length // 2].abs().max()
    return bool(moved > AHEAD * before.std())
