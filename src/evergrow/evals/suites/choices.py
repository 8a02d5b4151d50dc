"""Which of several answers a model finds likeliest, in both formulations of OLMES (2406.08446).

Cloze: the log-probability of each answer's text after the question, as it is, per character, per
byte, or less that of the same answer after no question (PMI). Letters: answers are listed, and the
log-probability is that of their letter.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.errors import InputError
from evergrow.evals.nats import TokenNats
from evergrow.evals.suites.items import LETTERS, Choice, Item
from evergrow.models.describe import context_window
from evergrow.models.kind import kind_of
from evergrow.models.sample import start_ids

AT_ONCE = 16
NO_QUESTION = "Answer:"
# The first is the suite's score, the others stand beside it.
METHODS = ("cloze, per character", "cloze", "cloze, per byte", "cloze, PMI", "letters")
Asks = Callable[[str], str]  # what a model reads of a prompt


def choose(
    model: Any, tokenizer: PreTrainedTokenizerBase, items: Sequence[Item], asks: Asks
) -> dict[str, list[int]]:
    """The place of the likeliest answer to each item by each of METHODS."""
    if kind_of(model) == "masked":
        raise InputError(
            f"{type(model).__name__}: a masked language model gives a text no probability; "
            "choose between answers with a causal one"
        )
    cloze = [(asks(item.prompt), f" {choice}") for item in items for choice in _choices(item)]
    alone = [(NO_QUESTION, answer) for _, answer in cloze]
    letters = [
        (asks(_listed(item)), f" {letter}")
        for item in items
        for letter in LETTERS[: len(_choices(item))]
    ]
    nats = continuation_nats(model, tokenizer, [*cloze, *alone, *letters])
    asked, unasked, by_letter = _thirds(nats)
    sizes = [(len(answer) - 1, len(answer.encode()) - 1) for _, answer in cloze]
    costs = {
        "cloze": asked,
        "cloze, per character": [n / size[0] for n, size in zip(asked, sizes, strict=True)],
        "cloze, per byte": [n / size[1] for n, size in zip(asked, sizes, strict=True)],
        "cloze, PMI": [n - m for n, m in zip(asked, unasked, strict=True)],
        "letters": by_letter,
    }
    return {method: _least(costs[method], items) for method in METHODS}


def _thirds(nats: list[float]) -> tuple[list[float], list[float], list[float]]:
    third = len(nats) // 3
    return nats[:third], nats[third : 2 * third], nats[2 * third :]


def _choices(item: Item) -> tuple[str, ...]:
    assert isinstance(item.task, Choice)
    return item.task.choices


def _listed(item: Item) -> str:
    lines = [
        f" {letter}. {choice}" for letter, choice in zip(LETTERS, _choices(item), strict=False)
    ]
    return "\n".join([item.prompt, *lines])


def _least(costs: list[float], items: Sequence[Item]) -> list[int]:
    """The place of the cheapest answer of each item."""
    found, first = [], 0
    for item in items:
        own = costs[first : first + len(_choices(item))]
        found.append(own.index(min(own)))
        first += len(own)
    return found


def continuation_nats(
    model: Any, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[tuple[str, str]]
) -> list[float]:
    """-log p of each continuation, all its tokens, after its context.

    Context and continuation are tokenised as one text; what follows their common beginning with the
    context's own tokens is the continuation. Of a text longer than the model's window the beginning
    is left out. Raises InputError for a continuation that fills the window alone.
    """
    window = context_window(model)
    rows = [_row(tokenizer, context, continuation, window) for context, continuation in pairs]
    order = sorted(range(len(rows)), key=lambda n: len(rows[n][0]))
    tell, found = TokenNats(model), [0.0] * len(rows)
    training = model.training
    model.eval()
    with torch.no_grad():
        while order:
            size = tell.windows_at_once(AT_ONCE, len(rows[order[-1]][0]))
            order, some = order[:-size], order[-size:]  # the longest first
            told = _tell(tell, [rows[n] for n in some], model.device)
            for place, nats in zip(some, told, strict=True):
                found[place] = nats
    model.train(training)
    return found


Row = tuple[list[int], int]  # tokens, and how many of the last ones are told


def _row(
    tokenizer: PreTrainedTokenizerBase, context: str, continuation: str, window: int | None
) -> Row:
    before, whole = start_ids(tokenizer, context), start_ids(tokenizer, context + continuation)
    alike = 0
    while alike < min(len(before), len(whole) - 1) and before[alike] == whole[alike]:
        alike += 1
    num_told = len(whole) - max(1, alike)
    if window is not None and num_told >= window:
        raise InputError(
            f"the answer {continuation[:40]!r} has {num_told} tokens and the model a window of "
            f"{window}; leave the item out"
        )
    return (whole if window is None else whole[-window:]), num_told


def _tell(tell: TokenNats, rows: Sequence[Row], device: torch.device) -> list[float]:
    """Nats of each row's end; rows are filled up on the right, which no token before sees."""
    width = max(len(ids) for ids, _ in rows) - 1
    tokens = [ids[:-1] + [0] * (width + 1 - len(ids)) for ids, _ in rows]
    places, targets = [], []
    for number, (ids, num_told) in enumerate(rows):
        last = number * width + len(ids) - 1
        places += range(last - num_told, last)
        targets += ids[-num_told:]
    inputs = {"input_ids": torch.tensor(tokens, device=device)}
    at = torch.tensor(places, device=device)
    nats_N = tell(inputs, torch.tensor(targets, device=device), at).double().cpu()
    return [float(part.sum()) for part in nats_N.split([num_told for _, num_told in rows])]
