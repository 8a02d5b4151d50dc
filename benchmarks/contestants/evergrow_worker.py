"""evergrow: its training loop, objective, optimiser and window reader, at their defaults."""

import sys
from pathlib import Path

import numpy as np

from contestants.gate import Gate
from contestants.model import build_model
from contestants.shapes import LEARNING_RATE, SEED, WEIGHT_DECAY, Z_LOSS
from evergrow.disk import checksum
from evergrow.objectives.causal import Causal
from evergrow.objectives.config import TrainConfig
from evergrow.stream.batches import TokenBatch, token_batch
from evergrow.stream.plan import Sample
from evergrow.stream.shards import TokenSource
from evergrow.train.config import OptimizerConfig
from evergrow.train.loop import Leg, Record, Training, train_until
from evergrow.train.optimizer import build_optimizer
from evergrow.train.spikes import SpikeGuard


def open_source(path: Path) -> TokenSource:
    """The benchmark's token file as an evergrow source of one document."""
    num_tokens = path.stat().st_size // 2
    np.array([0, num_tokens], "<i8").tofile(path.with_suffix(".idx"))
    shard = {
        "file": path.name,
        "num_tokens": num_tokens,
        "num_documents": 1,
        "blake3": checksum(path),
    }
    manifest = {
        "source": "pseudo",
        "key": "pseudo",
        "eos": 0,
        "dtype": "uint16",
        "num_tokens": num_tokens,
        "num_documents": 1,
        "shards": [shard],
        "held_out": {"shards": []},
        "files": {},
    }
    return TokenSource(path.parent, manifest)


def main() -> None:
    gate = Gate()
    shape = gate.shape
    config = TrainConfig(
        sequence_length=shape.sequence_length,
        batch_size=shape.batch_size,
        optimizer=OptimizerConfig(weight_decay=WEIGHT_DECAY),
        z_loss=Z_LOSS,
        log_every=gate.block_steps,
    )
    source = open_source(gate.tokens.path)
    num_windows = source.num_windows(shape.sequence_length)
    model = build_model(shape).to(gate.device)
    undecayed = {name for name, _ in model.named_parameters() if "embed_tokens" in name}
    state = Training(
        model,
        build_optimizer(model, config.optimizer, undecayed),
        SpikeGuard(config.skip_sigma, gate.device),
        gate.device,
    )

    def batch_at(step: int) -> TokenBatch:
        gate.before_step()
        first = (step - 1) * shape.batch_size
        items = [index % num_windows for index in range(first, first + shape.batch_size)]
        return token_batch(
            [Sample("pseudo", item, 0) for item in items],
            {"pseudo": source},
            config.sequence_length,
            config.mask_repeats,
            config.separate_documents,
        )

    def report(records: list[Record], _: float) -> None:
        gate.loss.fill_(records[-1]["loss"])

    leg = Leg(Causal(config.z_loss), batch_at, lambda _: LEARNING_RATE, SEED)
    train_until(state, sys.maxsize, leg, config, report)


if __name__ == "__main__":
    main()
