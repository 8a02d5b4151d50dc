"""Text from a prompt, the same for the same seed, whatever else the process draws."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.errors import InputError
from evergrow.models.convention import first_id
from evergrow.models.describe import context_window
from evergrow.models.kind import forward_settings, kind_of
from evergrow.models.presets import token_id


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: str,
    num_tokens: int,
    temperature: float,
    seed: int,
) -> str:
    """The continuation of ``prompt``: at most ``num_tokens`` tokens, ended early by an EOS.

    The prompt follows what a document follows in training (models/convention.py). At
    ``temperature`` 0 the most likely token is taken. When the model's window is full, its older
    half is forgotten, of a recurrent model the oldest token. The model's mode and torch's random
    state are left as they were. Raises InputError for a negative temperature, an empty prompt
    without any start token, or a masked model.
    """
    if kind_of(model) == "masked":
        raise InputError(
            f"{type(model).__name__}: a masked language model fills gaps and cannot continue a "
            "prompt; sample from a causal one"
        )
    if temperature < 0:
        raise InputError(f"temperature: must be 0 or more, got {temperature}")
    generator = torch.Generator().manual_seed(seed)
    ids = _start(tokenizer, prompt)
    start = len(ids)
    stops = _stops(model, tokenizer)
    window = context_window(model) or start + num_tokens
    logits_after = next_logits(model, window)
    training = model.training
    model.eval()
    with torch.no_grad():
        for _ in range(num_tokens):
            token = _draw(logits_after(ids)[: len(tokenizer)], temperature, generator)
            if token in stops:
                break
            ids.append(token)
    model.train(training)
    return str(tokenizer.decode(ids[start:], skip_special_tokens=True))


def next_logits(model: PreTrainedModel, window: int) -> Callable[[list[int]], Tensor]:
    """What gives the logits [V] of the token after a text, which grows from call to call.

    Only what came since the last call is read; a recurrent model reads all of it every time, since
    transformers has a state of another kind in each of them.
    """
    keys = "past_key_values" in inspect.signature(model.forward).parameters
    return _cached(model, window) if keys and not model._is_stateful else _anew(model, window)


def _anew(model: PreTrainedModel, window: int) -> Callable[[list[int]], Tensor]:
    def logits_after(ids: list[int]) -> Tensor:
        tokens_BT = torch.tensor([ids[-window:]], device=model.device)
        return model(input_ids=tokens_BT, **forward_settings(model)).logits[0, -1]

    return logits_after


def _cached(model: PreTrainedModel, window: int) -> Callable[[list[int]], Tensor]:
    cache, num_cached, num_read = None, 0, 0

    def logits_after(ids: list[int]) -> Tensor:
        nonlocal cache, num_cached, num_read
        pending = ids[num_read:] if num_read else ids[-window:]
        if num_cached == window:
            pending, cache, num_cached = ids[-max(1, window // 2) :], None, 0
        tokens_BT = torch.tensor([pending], device=model.device)
        output = model(input_ids=tokens_BT, past_key_values=cache, use_cache=True)
        cache, num_cached, num_read = output.past_key_values, num_cached + len(pending), len(ids)
        return output.logits[0, -1]

    return logits_after


def _draw(logits_V: Tensor, temperature: float, generator: torch.Generator) -> int:
    logits_V = logits_V.float().cpu()
    if temperature == 0:
        return int(logits_V.argmax())
    probabilities_V = torch.softmax(logits_V / temperature, dim=-1)
    return int(torch.multinomial(probabilities_V, 1, generator=generator))


def _start(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    first = first_id(tokenizer)
    ids = tokenizer.encode(prompt, add_special_tokens=False)
    if first is None and not ids:
        raise InputError("prompt: is empty and the tokenizer has no BOS or EOS; give some text")
    return ids if first is None or ids[:1] == [first] else [first, *ids]  # chats may bring it


def _stops(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Every id that ends a text: the model's (chat models have several) and the tokenizer's."""
    stops = {token_id(tokenizer, "eos")}
    generation: Any = model.generation_config
    # Absent in a few architectures (RoCBert), so asked for gently.
    own = getattr(model.config.get_text_config(), "eos_token_id", None)
    for ends in (own, generation.eos_token_id):
        stops |= {*(ends if isinstance(ends, list) else [ends])}
    return {stop for stop in stops if stop is not None}
