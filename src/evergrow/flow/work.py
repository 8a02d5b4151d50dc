"""Everything a Run has open while one of its stages is carried out."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from evergrow.config import decode
from evergrow.errors import InputError
from evergrow.flow.architecture import architecture, lay_out, own_clock
from evergrow.flow.listener import Listener
from evergrow.flow.modality import Modality
from evergrow.flow.open_data import open_modality
from evergrow.flow.versions import environment
from evergrow.models.card import UNITS
from evergrow.models.describe import describe, embedding_parameter_names
from evergrow.models.kind import kind_of
from evergrow.models.load import empty_model
from evergrow.recipe import Recipe
from evergrow.run import Run, StageRecord
from evergrow.stream.plan import SampleStream
from evergrow.train.background import BackgroundWriter
from evergrow.train.depth import DepthPlan
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
    data: Modality
    stream: SampleStream
    objective: Objective
    state: Training
    writer: BackgroundWriter
    listener: Listener
    clock: OwnClock | None
    depth: DepthPlan | None

    @property
    def record(self) -> StageRecord:
        return self.run.manifest.stages[self.index]

    @property
    def model(self) -> nn.Module:
        return self.state.model

    def batch_at(self, step: int) -> Any:
        """The batch of optimiser step ``step``, counted from 1 since init."""
        size = self.recipe.train.batch_size
        numbers = range((step - 1) * size, step * size)
        return self.data.batch([self.stream.sample(n) for n in numbers], numbers)


def open_work(folder: Path, index: int, listener: Listener, fresh: bool) -> Work:
    """Open the Run in ``folder`` for its stage ``index``.

    The model has its first weights when ``fresh``, else meaningless ones that await a checkpoint.
    """
    run = Run(folder)
    manifest = run.manifest
    recipe = decode(Recipe, manifest.recipe, "manifest.recipe")
    root = root_of(run)
    set_up_process(recipe)
    data = open_modality(recipe, root, manifest)
    lay_out(run, recipe, index)
    device = choose_device(recipe.train)
    model: Any = (
        data.first_model(listener.say)
        if fresh
        else empty_model(architecture(folder, recipe, index))
    )
    objective = data.objective(model)
    model.to(device)
    if recipe.train.activation_checkpointing:
        model.gradient_checkpointing_enable()
    depth = depth_plan(recipe, index, manifest.stages[index], model)
    optimizer = build_optimizer(
        model,
        recipe.train.optimizer,
        embedding_parameter_names(model),
        None if depth is None else depth.group_of,
    )
    if fresh:
        model.config.save_pretrained(folder / "model")
        run.save(
            model={
                **asdict(describe(model, recipe.train.sequence_length)),
                "unit": UNITS[kind_of(model)],
                "counted": "pictures" if recipe.of_pictures else "tokens",
                "source": recipe.model.from_ or f"{recipe.model.preset}, from scratch",
            },
            environment=environment(torch.get_num_threads(), str(device)),
        )
    ledgers = [s.ledger for s in manifest.stages[: index + 1]]
    return Work(
        run=run,
        index=index,
        recipe=recipe,
        root=root,
        data=data,
        stream=SampleStream(ledgers, data.sizes, manifest.seed),
        objective=objective,
        state=Training(model, optimizer, SpikeGuard(recipe.train.skip_sigma, device), device),
        writer=BackgroundWriter(),
        listener=listener,
        clock=own_clock(run, recipe, index, model),
        depth=depth,
    )


def depth_plan(
    recipe: Recipe, index: int, record: StageRecord, model: nn.Module
) -> DepthPlan | None:
    """Which layers train when in a stage; None when all do, all of the time, at one rate."""
    config = recipe.stages[index].depth
    return None if config is None else DepthPlan(model, config, record.first_step, record.num_steps)


def root_of(run: Run) -> Path:
    """The recipe's folder above a Run; raises InputError when the Run was moved out of it."""
    for folder in (run.folder.parent, run.folder.parent.parent):
        if (folder / "data").is_dir():
            return folder
    raise InputError(
        f"{run.folder}: the data folder it was trained with is not above it; "
        "move the whole recipe folder, not one run of it"
    )


def set_up_process(recipe: Recipe) -> None:
    """Threads, and denormal numbers flushed to zero: they slow a CPU down a hundredfold."""
    if recipe.train.threads:
        torch.set_num_threads(recipe.train.threads)
    torch.set_flush_denormal(True)
