"""Everything a Run has open while one of its stages is carried out."""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from evergrow.config import decode
from evergrow.errors import InputError
from evergrow.flow.architecture import architecture, lay_out, own_clock
from evergrow.flow.listener import Listener
from evergrow.flow.masking import mask_rule, objective_for
from evergrow.flow.measure import HeldOut, held_out
from evergrow.flow.versions import environment
from evergrow.models.describe import describe, embedding_parameter_names
from evergrow.models.load import empty_model, model_from_config
from evergrow.recipe import Recipe
from evergrow.run import Run, StageRecord
from evergrow.stream.batches import TokenBatch, token_batch
from evergrow.stream.masks import MaskedBatch, MaskRule, masked_batch
from evergrow.stream.plan import SampleStream
from evergrow.stream.shards import TokenSource
from evergrow.stream.tokenizer import load_tokenizer
from evergrow.train.background import BackgroundWriter
from evergrow.train.loop import Training, choose_device
from evergrow.train.objectives import Objective
from evergrow.train.optimizer import build_optimizer
from evergrow.train.own_clock import OwnClock
from evergrow.train.spikes import SpikeGuard


@dataclass
class Work:
    """An open Run: its recipe, data and model; ``index`` is the stage being carried out."""

    run: Run
    index: int
    recipe: Recipe
    root: Path
    tokenizer: Any
    sources: dict[str, TokenSource]
    held_out: dict[str, HeldOut]
    stream: SampleStream
    state: Training
    writer: BackgroundWriter
    listener: Listener
    clock: OwnClock | None
    masks: MaskRule | None

    @property
    def record(self) -> StageRecord:
        return self.run.manifest.stages[self.index]

    @property
    def model(self) -> nn.Module:
        return self.state.model

    @property
    def sequence_length(self) -> int:
        return self.recipe.train.sequence_length

    @cached_property
    def objective(self) -> Objective:
        """What the batches of ``batch_at`` are trained by."""
        return objective_for(self.masks, self.recipe.train.z_loss)

    def batch_at(self, step: int) -> TokenBatch | MaskedBatch:
        """The batch of optimiser step ``step``, counted from 1 since init."""
        train = self.recipe.train
        first = (step - 1) * train.batch_size
        numbers = range(first, first + train.batch_size)
        batch = token_batch(
            [self.stream.sample(n) for n in numbers],
            self.sources,
            train.sequence_length,
            train.mask_repeats,
            train.separate_documents,
        )
        return batch if self.masks is None else masked_batch(batch, numbers, self.masks)


def open_work(folder: Path, index: int, listener: Listener, fresh: bool) -> Work:
    """Open the Run in ``folder`` for its stage ``index``.

    The model has its first weights when ``fresh``, else meaningless ones that await a checkpoint.
    """
    run = Run(folder)
    manifest = run.manifest
    recipe = decode(Recipe, manifest.recipe, "manifest.recipe")
    root = root_of(run)
    set_up_process(recipe)
    tokenizer = load_tokenizer(root / "tokenizer")
    opened = {name: TokenSource.open(root / path) for name, path in manifest.data.items()}
    lay_out(run, recipe, index)
    device = choose_device(recipe.train)
    model: Any = (
        model_from_config(recipe.model, tokenizer, recipe.train.sequence_length, manifest.seed)
        if fresh
        else empty_model(architecture(folder, recipe, index))
    )
    masks = mask_rule(recipe, model, tokenizer, manifest.seed)
    model.to(device)
    if recipe.train.activation_checkpointing:
        model.gradient_checkpointing_enable()
    optimizer = build_optimizer(model, recipe.train.optimizer, embedding_parameter_names(model))
    guard = SpikeGuard(recipe.train.skip_sigma, device)
    by_folder = {Path(manifest.data[name]).name: source for name, source in opened.items()}
    sizes = {key: s.num_windows(recipe.train.sequence_length) for key, s in by_folder.items()}
    if fresh:
        model.config.save_pretrained(folder / "model")
        run.save(
            model={
                **asdict(describe(model, recipe.train.sequence_length)),
                "source": recipe.model.from_ or f"{recipe.model.preset}, from scratch",
            },
            environment=environment(torch.get_num_threads(), str(device)),
        )
    return Work(
        run=run,
        index=index,
        recipe=recipe,
        root=root,
        tokenizer=tokenizer,
        sources=by_folder,
        held_out={name: held_out(opened[name]) for name in recipe.measured},
        stream=SampleStream([s.ledger for s in manifest.stages[: index + 1]], sizes, manifest.seed),
        state=Training(model, optimizer, guard, device),
        writer=BackgroundWriter(),
        listener=listener,
        clock=own_clock(run, recipe, index, model),
        masks=masks,
    )


def root_of(run: Run) -> Path:
    """The recipe's folder above a Run; raises InputError when the Run was moved out of it."""
    for folder in (run.folder.parent, run.folder.parent.parent):
        if (folder / "data").is_dir() and (folder / "tokenizer").is_dir():
            return folder
    raise InputError(
        f"{run.folder}: the data and tokenizer folders it was trained with are not above it; "
        "move the whole recipe folder, not one run of it"
    )


def set_up_process(recipe: Recipe) -> None:
    """Threads, and denormal numbers flushed to zero: they slow a CPU down a hundredfold."""
    if recipe.train.threads:
        torch.set_num_threads(recipe.train.threads)
    torch.set_flush_denormal(True)
