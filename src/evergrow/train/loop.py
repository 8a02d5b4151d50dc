"""The training loop: batch, loss, clip, skip or step; read top to bottom, nothing hidden."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from evergrow.errors import EvergrowError
from evergrow.stream.order import key_of
from evergrow.train.config import LoopConfig
from evergrow.train.objective import Batch, Learner
from evergrow.train.optimizer import clip_factor, load_optimizer_tensors, optimizer_tensors
from evergrow.train.speed import keep_freed_memory
from evergrow.train.spikes import MAX_IN_A_ROW, SpikeGuard


class Group(Protocol):
    """Named tensors that training changes beside model and optimiser, such as Fisher weights."""

    def tensors(self) -> dict[str, Tensor]: ...

    def load(self, tensors: dict[str, Tensor]) -> None: ...


@dataclass
class Training:
    """Everything that changes while training; ``step`` counts optimiser steps since init.

    ``passed`` is what the clock shows: tokens or pictures read since init. ``groups`` are saved
    and restored beside the model and its moments, each as a file of its own. A model's own
    weights are not where they are ``frozen``: adapters train, a group, and the base lies elsewhere.
    """

    model: nn.Module
    optimizer: torch.optim.AdamW
    guard: SpikeGuard
    device: torch.device
    step: int = 0
    passed: int = 0
    groups: dict[str, Group] = field(default_factory=dict)
    frozen: bool = False

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """A copy of the state on the CPU, ready to be written in the background."""
        groups = {
            **({} if self.frozen else {"model": weights(self.model)}),
            "optimizer": optimizer_tensors(self.model, self.optimizer),
            "guard": self.guard.tensors(),
            **{name: group.tensors() for name, group in self.groups.items()},
        }
        return {
            g: {n: t.detach().to("cpu", copy=True) for n, t in ts.items()}
            for g, ts in groups.items()
        }

    def load(self, tensors: dict[str, dict[str, Tensor]], step: int, passed: int) -> None:
        """Put back what ``tensors`` returned."""
        if not self.frozen:
            load_weights(self.model, tensors["model"])
        self.optimizer.state.clear()
        load_optimizer_tensors(self.model, self.optimizer, tensors["optimizer"])
        self.guard.load(tensors["guard"])
        for name, group in self.groups.items():
            group.load(tensors[name])
        self.step, self.passed = step, passed


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name; a tied tensor appears once."""
    kept = model.state_dict(keep_vars=True)
    buffers = {n: b for n, b in model.named_buffers() if n in kept}
    return {**dict(model.named_parameters()), **buffers}


def load_weights(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy ``tensors`` into the model; raises EvergrowError unless names and shapes agree."""
    own = weights(model)
    if own.keys() != tensors.keys():
        strangers = sorted(own.keys() ^ tensors.keys())
        raise EvergrowError(f"weights {strangers[0]}: in the model or the checkpoint, not in both")
    with torch.no_grad():
        for name, tensor in tensors.items():
            if own[name].shape != tensor.shape:
                raise EvergrowError(
                    f"weights {name}: shape {tuple(tensor.shape)} in the checkpoint, "
                    f"{tuple(own[name].shape)} in the model"
                )
            own[name].copy_(tensor)


def everything(step: int) -> AbstractContextManager[None]:
    """Every step trains the whole model, all of it at the rate of the leg."""
    return nullcontext()


@dataclass(frozen=True)
class Leg:
    """A straight piece of training: what step n (from 1) reads, and at which rate."""

    loss: Learner
    batch_at: Callable[[int], Batch]
    rate_at: Callable[[int], float]
    seed: int
    # Around a step's gradients: the part of the model that it trains (train/two_stage.py).
    part_at: Callable[[int], AbstractContextManager[None]] = everything
    # Around a step's update: new parameters on their own clock (train/own_clock.py).
    update_at: Callable[[int], AbstractContextManager[None]] = everything
    # What is added to a step's mean loss: the distance to earlier weights, weighted (continual/).
    penalty: Callable[[nn.Module], Tensor] | None = None


Record = dict[str, Any]
Report = Callable[[list[Record], float], None]


def train_until(
    state: Training,
    last_step: int,
    leg: Leg,
    config: LoopConfig,
    report: Report,
    stop_requested: Callable[[], bool] = lambda: False,
) -> None:
    """Train up to and including ``last_step``; stops early, between two steps, when asked to.

    ``report`` gets a record a step, ``config.log_every`` at a time, and the seconds they took: only
    then does the loop wait for the device (transformers' models, unless compiled, also do so in
    every forward pass). Raises EvergrowError after ten skipped steps in a row.
    """
    keep_freed_memory()
    model, optimizer, device = state.model, state.optimizer, state.device
    parameters: list[Tensor] = [p for p in model.parameters() if p.requires_grad]
    compute: Any = torch.compile(model) if wants_compile(config, device) else model
    precision = autocast(config, device)
    micro_batch_size = config.micro_batch_size or config.batch_size
    pending: list[_Pending] = []
    started = time.perf_counter()
    model.train()
    while state.step < last_step and not stop_requested():
        step = state.step + 1
        # Dropout draws from the global generator: keyed by step, so that resuming changes nothing.
        _seed(device, key_of("step", leg.seed, step))
        batch, rate = leg.batch_at(step), leg.rate_at(step)
        with leg.part_at(step):
            sums = _backward(leg, compute, batch, micro_batch_size, precision, device)
            if leg.penalty is not None:
                sums["penalty"] = leg.penalty(model)
                sums["penalty"].backward()
        loss = next(iter(sums.values()))

        norm, divisor = clip_factor(parameters, config.clip_norm)
        skipped = state.guard.check(loss, norm)
        for group in optimizer.param_groups:
            group["lr"] = group.get("own_rate", rate)  # train/depth.py
        # The fused kernel divides by grad_scale and leaves the weights alone when found_inf is set:
        # clipping and skipping cost no pass over the weights and no wait for the device.
        optimizer.grad_scale, optimizer.found_inf = divisor, skipped  # pyright: ignore
        with leg.update_at(step):
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        state.step = step
        state.passed += batch.passed

        measured = (norm, skipped, state.guard.in_a_row.float())
        values = torch.stack([part.detach().float() for part in (*sums.values(), *measured)])
        pending.append(_Pending(step, state.passed, rate, tuple(sums), values))
        if len(pending) == config.log_every or step == last_step:
            started = _flush(pending, report, started)
    if pending:
        _flush(pending, report, started)


def _backward(
    leg: Leg,
    compute: nn.Module,
    batch: Batch,
    micro_batch_size: int,
    precision: AbstractContextManager[Any],
    device: torch.device,
) -> dict[str, Tensor]:
    """Add the gradient of the batch's mean loss, a micro-batch at a time; its parts by name."""
    weight = max(batch.weight, 1.0)
    sums: dict[str, Tensor] = {}
    for micro_batch in batch.split(micro_batch_size):
        with precision:
            total, parts = leg.loss(compute, micro_batch, device)
        (total / weight).backward()
        for name, part in parts.items():
            part = part.detach() / weight
            sums[name] = sums[name] + part if name in sums else part
    return sums


def _seed(device: torch.device, key: int) -> None:
    """Seed the global generator of the host and of the device that computes.

    ``torch.manual_seed`` seeds those of all kinds of device, and notes the stack for each that is
    not there: 0.12 ms a step (measured).
    """
    torch.default_generator.manual_seed(key)
    if device.type == "cuda":
        torch.cuda.manual_seed(key)
    elif device.type == "mps":
        torch.mps.manual_seed(key)


class _Pending(NamedTuple):
    """A step whose values may still be on their way: its parts by name, norm, skipped, in a row."""

    step: int
    passed: int
    rate: float
    names: tuple[str, ...]
    values: Tensor


def _flush(pending: list[_Pending], report: Report, started: float) -> float:
    """Bring the pending steps' values to the host, report them, and return the time of day."""
    rows = [values.tolist() for values in _on_host([p.values for p in pending])]
    now = time.perf_counter()
    report([_record(p, row) for p, row in zip(pending, rows, strict=True)], now - started)
    for step, row in zip((p.step for p in pending), rows, strict=True):
        *_, norm, _, in_a_row = row
        if in_a_row >= MAX_IN_A_ROW:
            raise EvergrowError(
                f"step {step}: {MAX_IN_A_ROW} steps in a row were skipped because the loss or the "
                f"gradient spiked or was not finite (last loss {row[0]:.4g}, gradient norm "
                f"{norm:.4g}); lower peak_lr or look at the data"
            )
    pending.clear()
    return time.perf_counter()


def _on_host(values: list[Tensor]) -> Sequence[Tensor]:
    """One copy for all where they are of one length, which they nearly always are."""
    if len({len(one) for one in values}) == 1:
        return list(torch.stack(values).cpu())
    return [one.cpu() for one in values]


def _record(pending: _Pending, row: list[float]) -> Record:
    """A line of metrics.jsonl without its place: the first part is the loss, others have names."""
    *parts, norm, skipped, _ = row
    others = zip(pending.names[1:], parts[1:], strict=True)
    return {
        "step": pending.step,
        "tokens": pending.passed,
        "lr": pending.rate,
        "loss": finite(parts[0]),
        **{name: finite(value) for name, value in others},
        "grad_norm": finite(norm),
        "skipped": bool(skipped),
    }


def finite(value: float) -> float | None:
    """The value, or None where JSON has no number for it."""
    return value if value - value == 0 else None


def choose_device(config: LoopConfig) -> torch.device:
    """The device asked for; raises as ``device_called``."""
    return device_called(config.device)


def device_called(name: str) -> torch.device:
    """A device by its name; ``auto`` takes a GPU when there is one.

    Raises EvergrowError when torch has no such device here.
    """
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next((n for n, available in found.items() if available), "cpu")
    elif not found.get(name, True):
        raise EvergrowError(
            f"train.device: torch {torch.__version__} finds no {name} device here; use auto or cpu"
        )
    return torch.device(name)


def wants_compile(config: LoopConfig, device: torch.device) -> bool:
    """Compiling pays on a GPU; on a CPU it costs 45 s and gains nothing (measured)."""
    return device.type == "cuda" if config.compile is None else config.compile


def computed_in(config: LoopConfig, device: torch.device) -> torch.dtype:
    """What most products are computed in: bf16 where it is asked for or usual."""
    wanted = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
    return torch.bfloat16 if wanted else torch.float32


def autocast(config: LoopConfig, device: torch.device) -> AbstractContextManager[Any]:
    """bf16 autocast where it is asked for or usual.

    Raises EvergrowError on a CPU without bf16 instructions, where it is 13 times slower (measured).
    """
    if computed_in(config, device) == torch.float32:
        return nullcontext()
    if device.type == "cpu" and not torch.cpu._is_avx512_bf16_supported():
        raise EvergrowError(
            "train.precision: bf16 needs a processor with bf16 instructions, this one has none and "
            "would run about 13 times slower; use fp32"
        )
    return torch.autocast(device.type, torch.bfloat16)
