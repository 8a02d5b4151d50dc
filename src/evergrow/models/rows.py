"""Logits of the token after several texts at once, each of which grows by a token a call.

Letters: R rows (texts), T tokens, V vocabulary.
"""

import inspect
from collections.abc import Sequence
from typing import Protocol, final

import torch
from torch import Tensor
from transformers import PreTrainedModel

from evergrow.models.kind import forward_settings

Texts = Sequence[list[int]]
PADDING = 0  # an id that every vocabulary has; nothing attends to it
APART = 1e-3  # of a logit's spread: rounding stays a thousand times below
# What the code of some two hundred architectures says when it cannot do what is asked.
FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)


class LogitsAfter(Protocol):
    """Gives the next token's logits [R, V] of texts, in their order from call to call."""

    def __call__(self, texts: Texts) -> Tensor:
        """Read what came since the last call; no row may have got more than one token."""
        ...

    def keep(self, places: Sequence[int]) -> None:
        """Forget all rows but those at ``places``: the next call has these alone."""
        ...


def next_logits(model: PreTrainedModel, window: int) -> LogitsAfter:
    """What reads texts for ``model``, which attends to ``window`` tokens at most.

    With a cache where the model keeps one of keys and values. A recurrent model reads all of every
    text every time, since transformers has a state of another kind in each of them.
    """
    keys = "past_key_values" in inspect.signature(model.forward).parameters
    return _Cached(model, window) if keys and not model._is_stateful else _Anew(model, window)


def reads_rows_alike(model: PreTrainedModel, window: int) -> bool:
    """Whether rows of different length can stand in one batch, each as if it were alone; tried out.

    False for decoders that count positions from the padding on (BART's and RoBERTa's kind), and
    for those that take no mask. Needs a window of 8 tokens.
    """
    if window < 8:
        return False
    try:
        with torch.no_grad():
            both, alone = next_logits(model, window), next_logits(model, window)
            apart = [_apart(both([[5, 6], [7, 8, 9, 5]])[:1], alone([[5, 6]]))]
            apart += [_apart(both([[5, 6, 7], [7, 8, 9, 5, 6]])[:1], alone([[5, 6, 7]]))]
            both.keep([0])
            apart += [_apart(both([[5, 6, 7, 8]]), alone([[5, 6, 7, 8]]))]
    except FAILURES:
        return False
    return max(apart) < APART


def _apart(first_1V: Tensor, second_1V: Tensor) -> float:
    return float((first_1V - second_1V).abs().max() / second_1V.std())


@final
class _Anew:
    def __init__(self, model: PreTrainedModel, window: int) -> None:
        self._model, self._window = model, window

    def __call__(self, texts: Texts) -> Tensor:
        return torch.stack([self._after(ids) for ids in texts])

    def keep(self, places: Sequence[int]) -> None:
        pass  # nothing was kept of any row

    def _after(self, ids: list[int]) -> Tensor:
        tokens_BT = torch.tensor([ids[-self._window :]], device=self._model.device)
        return self._model(input_ids=tokens_BT, **forward_settings(self._model)).logits[0, -1]


@final
class _Cached:
    """Rows of different length are padded on the left and count positions from their own start.

    Where a row's window is full its older half is forgotten, which depends on that row alone.
    """

    def __init__(self, model: PreTrainedModel, window: int) -> None:
        self._model, self._window = model, window
        self._known = set(inspect.signature(model.forward).parameters)
        self._cache = None
        self._starts: list[int] = []  # where in each text its context begins
        self._padding: list[int] = []  # before each context; empty when no row has any

    def __call__(self, texts: Texts) -> Tensor:
        if self._cache is None:
            self._starts = [max(0, len(ids) - self._window) for ids in texts]
            return self._read(texts)
        lengths = [len(ids) - start for ids, start in zip(texts, self._starts, strict=True)]
        if max(lengths) > self._window:
            half = max(1, self._window // 2)
            self._starts = [
                len(ids) - half if length > self._window else start
                for ids, length, start in zip(texts, lengths, self._starts, strict=True)
            ]
            return self._read(texts)
        return self._call([ids[-1:] for ids in texts], lengths)

    def keep(self, places: Sequence[int]) -> None:
        self._starts = [self._starts[place] for place in places]
        self._padding = [self._padding[place] for place in places if self._padding]
        if self._cache is not None:
            self._cache.batch_select_indices(torch.tensor(places, device=self._model.device))

    def _read(self, texts: Texts) -> Tensor:
        contexts = [ids[start:] for ids, start in zip(texts, self._starts, strict=True)]
        lengths = [len(ids) for ids in contexts]
        width = max(lengths)
        padding = [width - length for length in lengths]
        self._cache, self._padding = None, padding if any(padding) else []
        rows = zip(contexts, padding, strict=True)
        return self._call([[PADDING] * empty + ids for ids, empty in rows], lengths)

    def _call(self, new: Texts, lengths: Sequence[int]) -> Tensor:
        """Logits after ``new``, the last tokens [R, T] of contexts of these ``lengths``."""
        device = self._model.device
        inputs: dict[str, object] = {"use_cache": True, "past_key_values": self._cache}
        if "logits_to_keep" in self._known:
            inputs["logits_to_keep"] = 1
        if self._padding:
            empty_R1 = torch.tensor(self._padding, device=device)[:, None]
            places_T = torch.arange(int(empty_R1[0]) + lengths[0], device=device)
            inputs["attention_mask"] = (places_T >= empty_R1).long()
            if "position_ids" in self._known:
                positions_RT = (places_T - empty_R1).clamp(min=0)
                inputs["position_ids"] = positions_RT[:, -len(new[0]) :]
        output = self._model(input_ids=torch.tensor(new, device=device), **inputs)
        self._cache = output.past_key_values
        return output.logits[:, -1]
