"""Hugging Face Trainer: its own loop, with the bare loop's loss and optimiser handed to it."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from contestants.gate import Gate
from contestants.model import build_model, build_optimizer, losses
from contestants.shapes import CLIP_NORM, LEARNING_RATE, SEED
from contestants.tokens import TokenFile

NUM_WINDOWS = 10_000_000  # never reached: the driver ends the worker


class Windows(Dataset[dict[str, Tensor]]):
    def __init__(self, tokens: TokenFile) -> None:
        self._tokens = tokens

    def __len__(self) -> int:
        return NUM_WINDOWS

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        window = torch.from_numpy(self._tokens.window(index))
        return {"input_ids": window[:-1], "labels": window[1:]}


class Pause(TrainerCallback):
    """The gate, asked before every step."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._gate.before_step()


def main() -> None:
    gate = Gate()
    model = build_model(gate.shape)

    def compute_loss(outputs: Any, labels: Tensor, **_: Any) -> Tensor:
        loss, cross_entropy = losses(outputs.logits, labels)
        gate.loss = cross_entropy.detach()
        return loss

    settings = TrainingArguments(
        output_dir=gate.folder,
        max_steps=NUM_WINDOWS // gate.shape.batch_size,
        per_device_train_batch_size=gate.shape.batch_size,
        train_sampling_strategy="sequential",
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        max_grad_norm=CLIP_NORM,
        logging_steps=gate.block_steps,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        use_cpu=True,
        seed=SEED,
    )
    trainer = Trainer(
        model=model,
        args=settings,
        train_dataset=Windows(gate.tokens),
        compute_loss_func=compute_loss,
        optimizers=(build_optimizer(model), None),
        callbacks=[Pause(gate)],
    )
    trainer.train()


if __name__ == "__main__":
    main()
