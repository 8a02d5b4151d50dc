"""Two sources of letters, a schedule and a leg, for the tests of the loop."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from evergrow.objectives.causal import Causal
from evergrow.run import Ledger
from evergrow.schedules import Segment, rate
from evergrow.stream.batches import TokenBatch, token_batch
from evergrow.stream.plan import SampleStream
from evergrow.train.config import LoopConfig
from evergrow.train.loop import (
    Leg,
    Record,
    Training,
    train_until,
)
from evergrow.train.optimizer import build_optimizer
from evergrow.train.spikes import SpikeGuard

CPU = torch.device("cpu")
LENGTH, BATCH = 16, 4
CONFIG = LoopConfig(batch_size=BATCH, log_every=4)
SCHEDULE = [
    Segment(start=0, end=320, from_lr=0.0, to_lr=0.02, shape="linear"),
    Segment(start=320, end=1280, from_lr=0.02, to_lr=0.002, shape="cosine"),
]
RIVER = (
    "The river rises in the hills and runs past the mill, the church and the seven small houses "
    "of the village. In spring it carries ice and branches; in summer children wade across it "
    "with their shoes in their hands. Nobody has counted the fish, but everybody has a number. "
    "The miller says four hundred, the priest says enough, and the children say one very big one."
)
RULES = (
    "def area(w, h): return w * h\ndef edge(w, h): return 2 * (w + h)\n"
    "for w in range(1, 9): print(w, area(w, 3), edge(w, 3))\n"
    "if area(4, 4) == edge(4, 4): print('a square of four is the only one')\n"
    "total = sum(area(w, h) for w in range(9) for h in range(w))\n"
)


class Letters:
    """A text whose tokens are its characters: 0 is the space, 95 the end of a line."""

    def __init__(self, text: str) -> None:
        self.tokens = np.array([95 if c == "\n" else ord(c) - 32 for c in text])

    def window(self, index: int, length: int) -> np.ndarray:
        return self.tokens[index * length : (index + 1) * length + 1].astype(np.int64)


SOURCES = {"river": Letters(RIVER), "rules": Letters(RULES)}


def ledger(source: str, replay_shares: tuple[int, int]) -> Ledger:
    return Ledger(
        shares={source: 1},
        replay_shares=replay_shares,
        replay_order="seen",
        num_samples=40,
        sizes={source: (len(SOURCES[source].tokens) - 1) // LENGTH},
        tokens_an_item={source: LENGTH},
    )


STREAM = SampleStream([ledger("river", (0, 1)), ledger("rules", (1, 3))], seed=0)


def batch_at(step: int) -> TokenBatch:
    samples = [STREAM.sample(n) for n in range((step - 1) * BATCH, step * BATCH)]
    return token_batch(samples, SOURCES, LENGTH, True, False)  # type: ignore


def rate_at(step: int) -> float:
    return rate(SCHEDULE, step * LENGTH * BATCH)


LEG = Leg(Causal(1e-5), batch_at, rate_at, seed=0)


def training_of(model: nn.Module) -> Training:
    optimizer = build_optimizer(model, CONFIG.optimizer, [])
    return Training(model, optimizer, SpikeGuard(6.0, CPU), CPU)


def train(
    state: Training, last_step: int, leg: Leg = LEG, config: LoopConfig = CONFIG
) -> list[Record]:
    records: list[Record] = []
    train_until(state, last_step, leg, config, lambda found, seconds: records.extend(found))
    return records


def same(first: Any, second: Any) -> bool:
    """Whether two states hold the same bits."""
    return all(
        first[group].keys() == second[group].keys()
        and all(torch.equal(first[group][name], second[group][name]) for name in first[group])
        for group in ("model", "optimizer", "guard")
    )


def masked_by(weight_at: Callable[[int], float]) -> Leg:
    """Batches whose windows weigh ``weight_at(step)``; one that is not finite spoils the loss."""

    def batch(step: int) -> TokenBatch:
        found = batch_at(step)
        return replace(found, weights_BT=found.weights_BT * np.float32(weight_at(step)))

    return Leg(LEG.loss, batch, rate_at, seed=0)
