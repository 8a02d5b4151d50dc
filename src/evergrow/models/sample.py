"""Text from a prompt, the same for the same seed, whatever else the process draws."""

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.errors import InputError
from evergrow.models.describe import context_window
from evergrow.models.kind import kind_of
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

    The prompt follows BOS, or EOS where there is no BOS, as a document does in training. At
    ``temperature`` 0 the most likely token is taken. When the model's window is full, its older
    half is forgotten. The model's mode and torch's random state are left as they were. Raises
    InputError for a negative temperature, an empty prompt without any start token, or a masked
    model.
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
    pending, cache, num_cached = ids[-window:], None, 0
    training = model.training
    model.eval()
    with torch.no_grad():
        for _ in range(num_tokens):
            tokens_BT = torch.tensor([pending], device=model.device)
            output = model(input_ids=tokens_BT, past_key_values=cache, use_cache=True)
            token = _draw(output.logits[0, -1, : len(tokenizer)], temperature, generator)
            if token in stops:
                break
            ids.append(token)
            pending, cache, num_cached = [token], output.past_key_values, num_cached + len(pending)
            if num_cached == window:
                pending, cache, num_cached = ids[-max(1, window // 2) :], None, 0
    model.train(training)
    return str(tokenizer.decode(ids[start:], skip_special_tokens=True))


def _draw(logits_V: Tensor, temperature: float, generator: torch.Generator) -> int:
    logits_V = logits_V.float().cpu()
    if temperature == 0:
        return int(logits_V.argmax())
    probabilities_V = torch.softmax(logits_V / temperature, dim=-1)
    return int(torch.multinomial(probabilities_V, 1, generator=generator))


def _start(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    bos, eos = token_id(tokenizer, "bos"), token_id(tokenizer, "eos")
    first = eos if bos is None else bos
    ids = tokenizer.encode(prompt, add_special_tokens=False)
    if first is None and not ids:
        raise InputError("prompt: is empty and the tokenizer has no BOS or EOS; give some text")
    return ids if first is None else [first, *ids]


def _stops(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Every id that ends a text: the model's (chat models have several) and the tokenizer's."""
    ends = model.config.get_text_config().eos_token_id
    stops = {*(ends if isinstance(ends, list) else [ends]), token_id(tokenizer, "eos")}
    return {stop for stop in stops if stop is not None}
