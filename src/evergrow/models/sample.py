"""Texts from prompts, the same for the same seed, whatever else is drawn beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.errors import InputError
from evergrow.models.convention import first_id
from evergrow.models.describe import context_window
from evergrow.models.kind import kind_of
from evergrow.models.presets import token_id
from evergrow.models.rows import next_logits, reads_rows_alike
from evergrow.models.sampling import Sampling

AT_ONCE = 32  # rows of a batch
PROBED = 8  # tokens of a model without a limit
SPARE_TOKENS = 4  # looked at beyond the longest stop string: special ones have no text


@dataclass(frozen=True)
class Written:
    """A continuation: its tokens, its text up to a stop string, and what ended it."""

    ids: list[int]
    text: str
    end: Literal["eos", "stop", "length"]


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: str,
    num_tokens: int,
    temperature: float,
    seed: int,
) -> str:
    """The continuation of ``prompt``: at most ``num_tokens`` tokens, ended early by an EOS.

    At ``temperature`` 0 the most likely token is taken. Raises InputError for a negative
    temperature, and what ``write`` refuses.
    """
    if temperature < 0:
        raise InputError(f"temperature: must be 0 or more, got {temperature}")
    sampling = Sampling(temperature=temperature, max_tokens=num_tokens)
    return write(model, tokenizer, [prompt], sampling, [seed])[0].text


def write(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    sampling: Sampling,
    seeds: Sequence[int],
    at_once: int = AT_ONCE,
) -> list[Written]:
    """A continuation of every prompt, drawn with its own seed: a row knows nothing of the others.

    So a text does not depend on the prompts beside it, as far as rounding goes: sums of a batch of
    another size may differ in the last bit. Prompts follow what a document follows in training
    (models/convention.py). When a row's window is full, its older half is forgotten, of a recurrent
    model the oldest token. The model's mode and torch's random state are left as they were. Raises
    InputError for an empty prompt without any start token, and for a masked model.
    """
    if kind_of(model) == "masked":
        raise InputError(
            f"{type(model).__name__}: a masked language model fills gaps and cannot continue a "
            "prompt; sample from a causal one"
        )
    rows = [
        _Row(start_ids(tokenizer, prompt), sampling, seed, tokenizer)
        for prompt, seed in zip(prompts, seeds, strict=True)
    ]
    stops = _stops(model, tokenizer)
    by_length = sorted(rows, key=lambda row: row.start)  # alike rows need little padding
    training = model.training
    model.eval()
    if len(rows) > 1 and not reads_rows_alike(model, context_window(model) or PROBED):
        at_once = 1
    with torch.no_grad():
        for first in range(0, len(rows), at_once):
            _fill(model, by_length[first : first + at_once], sampling, stops, len(tokenizer))
    model.train(training)
    return [row.written() for row in rows]


def start_ids(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """The tokens of ``prompt`` after the one that begins a document, which is there once."""
    first = first_id(tokenizer)
    ids = tokenizer.encode(prompt, add_special_tokens=False)
    if first is None and not ids:
        raise InputError("prompt: is empty and the tokenizer has no BOS or EOS; give some text")
    return ids if first is None or ids[:1] == [first] else [first, *ids]  # chats may bring it


@final
class _Row:
    """A text being written."""

    def __init__(
        self, ids: list[int], sampling: Sampling, seed: int, tokenizer: PreTrainedTokenizerBase
    ) -> None:
        self.ids, self.start = ids, len(ids)
        self.generator = torch.Generator().manual_seed(seed)
        self.end: Literal["eos", "stop", "length"] | None = None
        self._stop, self._tokenizer = sampling.stop, tokenizer
        # A token has a byte at least, a character four at most.
        self._tail = 4 * max(map(len, self._stop), default=0) + SPARE_TOKENS

    def add(self, token: int, stops: set[int]) -> None:
        if token in stops:
            self.end = "eos"
            return
        self.ids.append(token)
        if self._stop:
            tail = self._text(max(self.start, len(self.ids) - self._tail))
            self.end = "stop" if any(stop in tail for stop in self._stop) else None

    def written(self) -> Written:
        text = self._text(self.start)
        places = [place for stop in self._stop if (place := text.find(stop)) >= 0]
        cut = min(places, default=len(text))
        return Written(self.ids[self.start :], text[:cut], self.end or "length")

    def _text(self, first: int) -> str:
        return str(self._tokenizer.decode(self.ids[first:], skip_special_tokens=True))


def _fill(
    model: PreTrainedModel, rows: list[_Row], sampling: Sampling, stops: set[int], num_ids: int
) -> None:
    """Write on every row until it ends."""
    longest = max(row.start for row in rows) + sampling.max_tokens
    logits_after = next_logits(model, context_window(model) or longest)
    for _ in range(sampling.max_tokens):
        logits_RV = logits_after([row.ids for row in rows])[:, :num_ids].float().cpu()
        for row, logits_V in zip(rows, logits_RV, strict=True):
            row.add(_draw(logits_V, sampling, row.generator), stops)
        going = [place for place, row in enumerate(rows) if row.end is None]
        if not going:
            return
        if len(going) < len(rows):
            logits_after.keep(going)
            rows = [rows[place] for place in going]


def _draw(logits_V: Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    if sampling.temperature == 0:
        return int(logits_V.argmax())
    probabilities_V = torch.softmax(logits_V / sampling.temperature, dim=-1)
    if sampling.top_p < 1:
        probabilities_V = _nucleus(probabilities_V, sampling.top_p)
    return int(torch.multinomial(probabilities_V, 1, generator=generator))


def _nucleus(probabilities_V: Tensor, top_p: float) -> Tensor:
    """Without what lies beyond the fewest likeliest that sum to ``top_p`` (Holtzman 2020)."""
    sorted_V, places_V = probabilities_V.sort(descending=True, stable=True)
    beyond_V = sorted_V.cumsum(0) - sorted_V >= top_p
    return probabilities_V.index_fill(0, places_V[beyond_V], 0.0)


def _stops(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Every id that ends a text: the model's (chat models have several) and the tokenizer's."""
    stops = {token_id(tokenizer, "eos")}
    generation: Any = model.generation_config
    # Absent in a few architectures (RoCBert), so asked for gently.
    own = getattr(model.config.get_text_config(), "eos_token_id", None)
    for ends in (own, generation.eos_token_id):
        stops |= {*(ends if isinstance(ends, list) else [ends])}
    return {stop for stop in stops if stop is not None}
