"""Everything a Run has open while one of its stages is carried out."""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from evergrow.config import decode
from evergrow.disk import checksum, new_folder
from evergrow.errors import InputError
from evergrow.listener import Listener
from evergrow.models.brought import adopt_generation, keep_brought, record_dtype, stored_dtype
from evergrow.models.describe import describe, undecayed_parameter_names
from evergrow.models.find import find_model
from evergrow.models.kind import KINDS, kind_of
from evergrow.models.load import empty_model
from evergrow.models.lora import Adapter, short_names
from evergrow.objectives.config import TrainConfig
from evergrow.objectives.objective import Objective
from evergrow.recipe import Recipe
from evergrow.run import Adapters, Counts, Run, StageRecord, root_of
from evergrow.scores.opening import Opened
from evergrow.stage.architecture import (
    architecture,
    lay_out,
    layers_by_depth,
    own_clock,
    refuse_changed,
)
from evergrow.stage.beginning import adapt, adapters_of, begun_at, first_model, load_beginning
from evergrow.stage.counts import count
from evergrow.stage.versions import environment
from evergrow.stream.plan import SampleStream
from evergrow.train.background import BackgroundWriter
from evergrow.train.depth import DepthPlan
from evergrow.train.loop import Training, choose_device
from evergrow.train.objective import Batch
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
    opened: Opened
    objective: Objective
    state: Training
    writer: BackgroundWriter
    listener: Listener
    clock: OwnClock | None
    depth: DepthPlan | None
    adapter: Adapter | None
    counts: Counts
    said_nothing_counts: bool = False

    @property
    def record(self) -> StageRecord:
        return self.run.manifest.stages[self.index]

    @property
    def model(self) -> nn.Module:
        return self.state.model

    @property
    def kept(self) -> Path:
        """What the Run keeps of its first model: configuration, and what else it brought."""
        return self.run.folder / "model"

    @cached_property
    def train(self) -> TrainConfig:
        """The settings of training of the stage."""
        return self.recipe.train_of(self.index)

    @property
    def adapters(self) -> Adapters | None:
        """What is said of the stage's adapters; None where it trains the weights."""
        lora = self.train.lora
        if self.adapter is None or lora is None:
            return None
        return Adapters(
            rank=lora.rank,
            alpha=lora.scaled_by,
            dropout=lora.dropout,
            targets=short_names(self.adapter.layers),
            num_trained=self.adapter.num_parameters,
            base=begun_at(self.run.manifest, self.index),
        )

    @cached_property
    def stream(self) -> SampleStream:
        """The samples on the way to the stage and in it."""
        manifest = self.run.manifest
        ledgers = [manifest.stages[place].ledger for place in self.record.path]
        return SampleStream(ledgers, manifest.seed)

    @cached_property
    def first_sample(self) -> int:
        """The samples that the stages before this one read."""
        stages = self.run.manifest.stages
        return sum(stages[place].ledger.num_samples for place in self.record.path[:-1])

    def batch_at(self, step: int) -> Batch:
        """The batch of optimiser step ``step``, counted from 1 since the start."""
        size = self.train.batch_size
        first = self.first_sample + (step - self.record.first_step - 1) * size
        numbers = range(first, first + size)
        batch = self.objective.batch([self.stream.sample(n) for n in numbers], numbers)
        if not batch.weight and not self.said_nothing_counts:
            self.said_nothing_counts = True
            self.listener.say(
                f"{self.record.name}: no target of step {step} counts, so it learns nothing and "
                "shows a loss of 0 (windows of only repeats count if train.mask_repeats is false); "
                "look at the data"
            )
        return batch


def open_work(folder: Path, index: int, listener: Listener, fresh: bool) -> Work:
    """Open the Run in ``folder`` for its stage ``index``.

    The model has its first weights when ``fresh``, else meaningless ones that await others; under
    adapters it has those that the stage begins with.
    """
    run = Run(folder)
    manifest = run.manifest
    recipe = decode(Recipe, manifest.recipe, "manifest.recipe")
    root, train = root_of(run), recipe.train_of(index)
    set_up_process(train)
    opened = Opened.at(recipe, root, manifest.data, manifest.start.kind, manifest.seed)
    objective = opened.objective_at(index)
    if not (folder / "model" / "config.json").exists():
        fresh = True  # a later stage that begins elsewhere still needs the architecture
    refuse_changed(run)
    lay_out(run, recipe, index)
    device = choose_device(train)
    model = _plain_model(run, recipe, index, opened, listener if fresh else None)
    model.to(device)
    if not (folder / "model" / "config.json").exists():
        _describe_first(run, recipe, model, train, device)
    adopt_generation(model, folder / "model")
    counts = count(recipe, index, model)
    adapter = adapt(run, recipe, index, model)
    depth = depth_plan(run, recipe, index, model)
    optimizer = build_optimizer(
        model,
        train.optimizer,
        undecayed_parameter_names(model),
        None if depth is None else depth.group_of,
    )
    return Work(
        run=run,
        index=index,
        recipe=recipe,
        root=root,
        opened=opened,
        objective=objective,
        state=Training(
            model,
            optimizer,
            SpikeGuard(train.skip_sigma, device),
            device,
            groups={} if adapter is None else {"adapter": adapter},
            frozen=adapter is not None,
        ),
        writer=BackgroundWriter(),
        listener=listener,
        clock=None if adapter is not None else own_clock(run, recipe, index, model),
        depth=depth,
        adapter=adapter,
        counts=counts,
    )


def _plain_model(
    run: Run, recipe: Recipe, index: int, opened: Opened, fresh: Listener | None
) -> Any:
    """The model of a stage: its first weights where ``fresh`` is to hear of them, else meaningless
    ones, or those that adapters go on."""
    train, begin = recipe.train_of(index), run.manifest.stages[index].begin
    adapts = adapters_of(run, recipe, index) is not None
    if fresh is not None:
        model: Any = opened.objective_at(index).first_model(fresh.say)
    elif adapts and begin.kind == "start":
        model = first_model(run, recipe, index, opened)
    else:
        model = empty_model(architecture(run.folder, recipe, index))
    if adapts and begin.kind != "start":
        load_beginning(run, recipe, index, opened, model)
    if train.activation_checkpointing:
        if not model.supports_gradient_checkpointing:
            raise InputError(
                f"train.activation_checkpointing: a {type(model).__name__} of transformers cannot; "
                "set it to false, and a smaller micro_batch_size saves memory too"
            )
        model.activation_checkpointing_enable()
    return model


def _describe_first(
    run: Run, recipe: Recipe, model: Any, train: TrainConfig, device: torch.device
) -> None:
    """Record what the Run starts from: what computes it, its architecture, and what it brought."""
    run.save(
        model={
            **asdict(describe(model, train.sequence_length)),
            "source": run.manifest.start.source,
            "loader": KINDS[kind_of(model)].auto_class.__name__,
        },
        environment=environment(torch.get_num_threads(), str(device)),
    )
    with new_folder(run.folder / "model") as unfinished:
        model.config.save_pretrained(unfinished)
        dtype, source = torch.float32, recipe.model.from_
        if source is not None and not source.endswith(".safetensors"):
            found = find_model(source)
            keep_brought(found, unfinished, own_tokenizer=recipe.tokenizer is None)
            dtype = stored_dtype(found)
        asked = recipe.model.release_dtype
        record_dtype(unfinished, getattr(torch, asked) if asked else dtype)
        kept = {file.name: checksum(file) for file in sorted(unfinished.iterdir())}
        run.save(kept=kept)


def depth_plan(run: Run, recipe: Recipe, index: int, model: nn.Module) -> DepthPlan | None:
    """Which layers train when in a stage; None when all do, all of the time, at one rate."""
    config, record = layers_by_depth(run, recipe, index), run.manifest.stages[index]
    return None if config is None else DepthPlan(model, config, record.first_step, record.num_steps)


def set_up_process(train: TrainConfig) -> None:
    """Threads, and denormal numbers flushed to zero: they slow a CPU down a hundredfold."""
    if train.threads:
        torch.set_num_threads(train.threads)
    torch.set_flush_denormal(True)
