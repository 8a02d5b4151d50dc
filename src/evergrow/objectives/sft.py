"""Supervised fine-tuning on chats: the loss is on what assistants say (OLMo 2, section 5)."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from evergrow.errors import InputError
from evergrow.evals.bits_per_byte import evaluation_mode
from evergrow.evals.nats import TokenNats
from evergrow.lineage import Measured
from evergrow.objectives.causal import Causal
from evergrow.objectives.lines import Shown
from evergrow.objectives.objective import Given, Objective, nothing_probed
from evergrow.objectives.text import UNIT, Texts, bits_measured, fitting_items, kept_apart
from evergrow.stream.batches import TokenBatch
from evergrow.stream.examples import ExampleSource
from evergrow.stream.plan import Sample


def sft(given: Given) -> Objective:
    """Chats, packed into rows with documents apart; windows of text may be replayed among them.

    An example longer than the sequence length is left out, and counted by ``num_items``.
    """
    texts, config, length = Texts(given), given.config, given.train.sequence_length
    chats = {name: s for name, s in given.stocks.items() if isinstance(s, ExampleSource)}

    def batch(samples: Sequence[Sample], numbers: range) -> TokenBatch:
        return texts.row_batch(samples, config.loss_on, config.pack)

    def measure(model: nn.Module, names: Collection[str], partial: bool) -> list[Measured]:
        part = given.part if partial else None
        return [_answers(model, name, chats[name], length, part) for name in names]

    def show(model: nn.Module, names: Collection[str], folder: Path) -> list[Shown]:
        if not given.sample_tokens:
            return []
        prompts = {name: chats[name].rows("held_out")["prompt"][0] for name in names}
        return [
            texts.continued(model, name, prompt, prompt[-400:], given.sample_tokens)
            for name, prompt in prompts.items()
        ]

    learn = Causal(given.train.z_loss)
    return Objective(
        unit=UNIT,
        counted="tokens",
        num_items=lambda name: len(fitting_items(chats[name], length)),
        first_model=texts.first_model,
        refuse=texts.refuse,
        batch=batch,
        loss=kept_apart(learn, "train.objective.pack") if config.pack else learn,
        measure=measure,
        show=show,
        probe=nothing_probed,
        save=texts.save,
    )


def _answers(
    model: nn.Module, name: str, source: ExampleSource, length: int, part: int | None
) -> Measured:
    """Bits per byte of what assistants say in held-out chats, each read from its beginning.

    A chat longer than ``length`` is read up to there; ``part`` are the tokens read at least.
    """
    rows = source.rows("held_out")
    ends = np.cumsum(source.lengths("held_out"))
    kept = (
        len(ends) if part is None else min(len(ends), max(2, int(np.searchsorted(ends, part)) + 1))
    )
    nats, shares = np.zeros(kept), np.zeros(kept)
    with evaluation_mode(model), torch.inference_mode():
        told, device = TokenNats(model), next(model.parameters()).device
        for i in range(kept):
            ids, marks = source.sequence(i, "held_out")
            shares[i] = (marks[: length + 1] > 0).sum() / max(1, (marks > 0).sum())
            nats[i] = _nats(told, ids[: length + 1], marks[: length + 1], device)
    num_bytes = np.round(np.array(rows["num_bytes"][:kept]) * shares).astype(np.int64)
    if not num_bytes.any():
        raise InputError(f"sources.{name}: no held-out chat has an answer within {length} tokens")
    counts = {"num_documents": kept, "num_bytes": int(num_bytes.sum())}
    return bits_measured(name, nats, num_bytes, counts)


def _nats(told: TokenNats, ids: np.ndarray, marks: np.ndarray, device: torch.device) -> float:
    """-log p of the marked tokens."""
    places = np.flatnonzero(marks[1:] > 0)
    if not len(places):
        return 0.0
    inputs = {"input_ids": torch.from_numpy(ids[None, :-1]).to(device)}
    targets = torch.from_numpy(ids[1:][places]).to(device)
    return float(told(inputs, targets, torch.from_numpy(places).to(device)).sum())
