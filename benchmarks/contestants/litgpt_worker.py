"""litgpt: `litgpt.pretrain.setup`, its own loop, model, loss and optimiser settings, untouched.

Its mathematics differs: no z-loss; cross-entropy in chunks of 128 tokens; weight decay on the
embedding table too; q, k and v in one product; AdamW not fused on a CPU; its own initial weights.
"""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import torch
from litgpt.args import EvalArgs, TrainArgs
from litgpt.config import Config
from litgpt.data import DataModule
from litgpt.pretrain import setup
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from contestants.gate import Gate
from contestants.shapes import (
    BETAS,
    CLIP_NORM,
    EPSILON,
    LEARNING_RATE,
    SEED,
    WEIGHT_DECAY,
    Shape,
)

NUM_STEPS = 1_000_000  # never reached: the driver ends the worker


class Windows(IterableDataset[Tensor]):
    """The windows in order; asks the gate before the first one of a batch, if there is a gate."""

    def __init__(self, gate: Gate, paused: bool) -> None:
        self._gate = gate
        self._paused = paused

    def __iter__(self) -> Iterator[Tensor]:
        for index in count():
            if self._paused and index % self._gate.shape.batch_size == 0:
                self._gate.before_step()
            yield torch.from_numpy(self._gate.tokens.window(index))


class TokenData(DataModule):
    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    def connect(self, *_: Any, **__: Any) -> None:
        """Batch and sequence length are known already."""

    def train_dataloader(self) -> DataLoader[Tensor]:
        return self._loader(paused=True)

    def val_dataloader(self) -> DataLoader[Tensor]:
        """litgpt validates on two batches before its first step."""
        return self._loader(paused=False)

    def _loader(self, paused: bool) -> DataLoader[Tensor]:
        return DataLoader(Windows(self._gate, paused), batch_size=self._gate.shape.batch_size)


def model_config(shape: Shape) -> Config:
    """litgpt's OLMo 2, shrunk."""
    return Config.from_name(
        "OLMo-2-1124-7B",
        n_embd=shape.width,
        n_layer=shape.num_layers,
        n_head=shape.num_heads,
        n_query_groups=shape.num_heads,
        intermediate_size=shape.ffn_width,
        vocab_size=shape.vocab_size,
        padded_vocab_size=shape.vocab_size,
        block_size=shape.sequence_length,
    )


def main() -> None:
    gate = Gate()
    shape = gate.shape
    adamw = {"lr": LEARNING_RATE, "betas": BETAS, "eps": EPSILON, "weight_decay": WEIGHT_DECAY}
    setup(
        model_name="OLMo-2-1124-7B",
        model_config=model_config(shape),
        out_dir=Path(gate.folder),
        precision="32-true",
        data=TokenData(gate),
        train=TrainArgs(
            save_interval=None,
            log_interval=gate.block_steps,
            global_batch_size=shape.batch_size,
            micro_batch_size=shape.batch_size,
            lr_warmup_steps=None,
            max_tokens=NUM_STEPS * shape.tokens_per_step,
            max_norm=CLIP_NORM,
            min_lr=LEARNING_RATE,
            tie_embeddings=shape.tied,
        ),
        eval=EvalArgs(interval=NUM_STEPS, max_iters=2, final_validation=False),
        optimizer={"class_path": "torch.optim.AdamW", "init_args": adamw},
        devices=1,
        logger_name="csv",
        seed=SEED,
    )


if __name__ == "__main__":
    main()
