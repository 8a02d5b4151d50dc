"""What a checkpoint of Hugging Face's Trainer holds beside its model: moments, and the rate.

``optimizer.pt`` and ``scheduler.pt`` are pickles. They are read by torch's loader of tensors and
plain values, which runs nothing, and parsed at once.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import NamedTuple, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from evergrow.disk import checksum
from evergrow.errors import InputError
from evergrow.train.config import OptimizerConfig

STATE, OPTIMIZER, SCHEDULER = "trainer_state.json", "optimizer.pt", "scheduler.pt"
RUN_DOWN = 0.01  # of the peak: a rate below it is the end of a schedule, nothing to go on at
_BY_NAME = re.compile(r"bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)")


class _Kept(BaseModel):
    """A part of a file; what is not known of it is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)


KeptType = TypeVar("KeptType", bound=_Kept)


class _Logged(_Kept):
    learning_rate: float | None = None


class _State(_Kept):
    global_step: int
    log_history: list[_Logged] = []


class _Scheduler(_Kept):
    last: list[float] = Field(alias="_last_lr", min_length=1)
    peaks: list[float] = Field(alias="base_lrs", min_length=1)


class _Group(_Kept):
    params: list[int]
    betas: tuple[float, float]
    eps: float
    weight_decay: float


class _Moments(_Kept):
    exp_avg: Tensor
    exp_avg_sq: Tensor
    step: Tensor


class _Optimizer(_Kept):
    param_groups: tuple[_Group, _Group]
    state: dict[int, _Moments]


class Reached(NamedTuple):
    """How far a Trainer came: optimiser steps, the rate it would go on at, and the peak before."""

    step: int
    rate: float
    peak: float

    @property
    def has_run_down(self) -> bool:
        """Whether its schedule is at its end."""
        return self.rate < RUN_DOWN * self.peak


class Moments(NamedTuple):
    """AdamW's settings, and its state by ``<moment>.<parameter>`` (train/optimizer.py)."""

    settings: OptimizerConfig
    tensors: dict[str, Tensor]


def is_trainer_checkpoint(folder: Path) -> bool:
    """Whether a Trainer wrote this model folder to go on from it."""
    return (folder / STATE).is_file()


def optimizer_key(folder: Path) -> str:
    """A hash of the optimiser's file; raises InputError when there is none."""
    return checksum(_optimizer_file(folder))


def reached(folder: Path) -> Reached | None:
    """How far the Trainer of a checkpoint came; None when it wrote down no rate.

    Raises InputError for damaged files.
    """
    path = folder / STATE
    try:
        state = _State.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(f"{path}: damaged ({_first(error)}); copy it again or remove it") from None
    if (folder / SCHEDULER).exists():
        found = _loaded(folder / SCHEDULER, _Scheduler)
        return Reached(state.global_step, found.last[0], found.peaks[0])
    rates = [line.learning_rate for line in state.log_history if line.learning_rate is not None]
    return Reached(state.global_step, rates[-1], max(rates)) if rates else None


def trainer_moments(folder: Path, model: nn.Module) -> Moments:
    """AdamW's moments of a checkpoint, by the names that ``model``, loaded from it, has.

    The file numbers parameters: first those with weight decay, then those without, each in the
    model's order. Raises InputError unless one reading of that fits in number and every shape.
    """
    path = _optimizer_file(folder)
    found = _loaded(path, _Optimizer)
    names = [n for n, p in model.named_parameters() if p.requires_grad]
    rules = {frozenset(_undecayed_by_name(model)), frozenset(_undecayed_by_kind(model))}
    readings = [([n for n in names if n not in r], [n for n in names if n in r]) for r in rules]
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    fitting = [reading for reading in readings if _fits(found, reading, shapes)]
    if len(fitting) != 1:
        sizes = " and ".join(str(len(group.params)) for group in found.param_groups)
        many = "fit this model in more than one order" if fitting else "are not those of this model"
        raise InputError(f"{path}: its {sizes} parameters {many}, so its moments cannot be used")
    tensors: dict[str, Tensor] = {}
    for number, name in enumerate([*fitting[0][0], *fitting[0][1]]):
        if (one := found.state.get(number)) is not None:
            parts = {"exp_avg": one.exp_avg, "exp_avg_sq": one.exp_avg_sq, "step": one.step}
            tensors |= {f"{part}.{name}": tensor.float() for part, tensor in parts.items()}
    if bad := [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]:
        raise InputError(f"{path}: {bad[0]} is not finite, so its moments cannot be used")
    return Moments(_settings(found.param_groups[0]), tensors)


def _settings(group: _Group) -> OptimizerConfig:
    return OptimizerConfig(
        beta1=group.betas[0],
        beta2=group.betas[1],
        epsilon=group.eps,
        weight_decay=group.weight_decay,
    )


def _fits(
    found: _Optimizer, reading: tuple[list[str], list[str]], shapes: dict[str, torch.Size]
) -> bool:
    """Whether the parameters in this order have the numbers and the shapes of the file."""
    names = [*reading[0], *reading[1]]
    numbers = [number for group in found.param_groups for number in group.params]
    sizes = [len(group.params) for group in found.param_groups]
    if numbers != list(range(len(names))) or sizes != [len(part) for part in reading]:
        return False
    wanted = {number: shapes[name] for number, name in enumerate(names)}
    return bool(found.state) and all(
        wanted.get(number) == one.exp_avg.shape == one.exp_avg_sq.shape
        for number, one in found.state.items()
    )


def _undecayed_by_name(model: nn.Module) -> Iterator[str]:
    """What the Trainer of transformers 5 does not decay: by a parameter's name, and LayerNorms."""
    for prefix, module in model.named_modules():
        for part, _ in module.named_parameters(prefix, recurse=False):
            if isinstance(module, nn.LayerNorm) or _BY_NAME.search(part.lower()):
                yield part


def _undecayed_by_kind(model: nn.Module) -> Iterator[str]:
    """What that of transformers 4 did not: biases, and what stands in a norm of any name."""
    for prefix, module in model.named_modules():
        for part, _ in module.named_parameters(prefix, recurse=False):
            if "bias" in part or "Norm" in type(module).__name__:
                yield part


def _optimizer_file(folder: Path) -> Path:
    path = folder / OPTIMIZER
    if not path.is_file():
        raise InputError(f"{folder}: holds no {OPTIMIZER}, so there are no moments to use")
    return path


def _loaded(path: Path, kind: type[KeptType]) -> KeptType:
    """A file of tensors and plain values, as the record it must be; raises InputError if not."""
    try:
        return kind.model_validate(torch.load(path, "cpu", weights_only=True, mmap=True))
    except (UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        what = _first(error) if isinstance(error, ValidationError) else str(error).split("\n")[0]
        kinds = "AdamW's state with and without decay" if kind is _Optimizer else "a rate"
        raise InputError(f"{path}: is no file of {kinds} ({what[:120]})") from None


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
