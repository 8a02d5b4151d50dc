"""Which layers train, and at which share of the rate, as a pure function of progress.

One plan for language models, vision transformers and ResNets: the groups of the depth axis are
``embed``, the blocks from the bottom up, and ``head``. Frozen means frozen: no gradient, no decay,
no moment, and statistics of a batch norm do not move.
"""

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from evergrow.errors import InputError
from evergrow.models.describe import embedding_parameter_names
from evergrow.models.families import FAMILIES
from evergrow.train.config import DepthConfig

HEAD, EMBED = "head", "embed"


def depth_groups(groups: Collection[str]) -> list[str]:
    """The groups that occur, from the bottom up."""
    found = set(groups)
    blocks = sorted((g for g in found if g.isdecimal()), key=int)
    return [*([EMBED] if EMBED in found else []), *blocks, *([HEAD] if HEAD in found else [])]


def resolve(config: DepthConfig, groups: Sequence[str]) -> dict[str, "Window"]:
    """The window of training of every group.

    Groups are named as in ``depth_groups``, or counted from the top block: -1, -2 ... Raises
    InputError for a group that the model has not, and for one that is named twice.
    """
    blocks = [g for g in groups if g.isdecimal()]

    def named(table: Mapping[str, float], where: str) -> dict[str, float]:
        resolved = {}
        for name, value in table.items():
            counted = re.fullmatch(r"-(\d+)", name)
            place = len(blocks) - int(counted[1]) if counted else None
            group = name if place is None else (blocks[place] if 0 <= place < len(blocks) else "")
            if group not in groups:
                raise InputError(
                    f"depth.{where}: no group {name!r}; the model has {', '.join(groups)}, "
                    f"and -1 to -{len(blocks)} count blocks from the top"
                )
            if group in resolved:
                raise InputError(
                    f"depth.{where}: {name!r} is group {group!r}, which is named twice; "
                    "keep one of the two"
                )
            resolved[group] = value
        return resolved

    rates = _rates(config, groups, named(config.rates, "rates"))
    opened = named(config.unfreeze, "unfreeze")
    start = {g: (opened.get(g, 1.0) if config.unfreeze else 0.0) for g in groups}
    end = _ends(config, groups)
    return {g: Window(start[g], end[g], rates[g], config.clock == "since_opening") for g in groups}


def _rates(
    config: DepthConfig, groups: Sequence[str], table: Mapping[str, float]
) -> dict[str, float]:
    """Multiples of the rate: a geometric decay from the head down, then what the table says."""
    top = len(groups) - 1
    decayed = {g: config.decay ** (top - i) for i, g in enumerate(groups)}
    return {**decayed, **table}


def _ends(config: DepthConfig, groups: Sequence[str]) -> dict[str, float]:
    """FreezeOut (Brock et al. 2017): the bottom freezes at ``freeze``, the head at the end.

    Between them t_i = (t_0 + (1 - t_0) i / L)^p, p = 3 when cubic, as the paper scales t_0 first.
    """
    if config.freeze is None:
        return dict.fromkeys(groups, math.inf)
    power = 3 if config.freeze_shape == "cubic" else 1
    first = config.freeze ** (1 / power)
    last = max(1, len(groups) - 1)
    ends = {g: (first + (1 - first) * i / last) ** power for i, g in enumerate(groups)}
    return {**ends, groups[-1]: 1.0}  # exactly


class Window:
    """When a group trains, in shares of the stage, and at which multiple of the rate.

    A step goes from the share ``before`` it to the share ``after`` it; it trains the group when it
    reaches into the time from ``start`` to ``end`` (infinite for a group that does not freeze).
    """

    def __init__(self, start: float, end: float, rate: float, own_clock: bool) -> None:
        self.start, self.end, self.rate, self._own_clock = start, end, rate, own_clock

    def trains(self, before: float, after: float) -> bool:
        """Whether the step from share ``before`` to share ``after`` trains the group."""
        return self.rate > 0 and self.start < after and before < self.end

    def multiple(self, before: float, after: float) -> float:
        """The factor on the rate; of a freezing group (1 + cos(pi t / t_i)) / 2, t before the step.

        Brock et al. 2017, equation 1: beside a constant schedule that is all there is to the rate.
        """
        if not self.trains(before, after):
            return 0.0
        if self.end == math.inf:
            return self.rate
        return self.rate * 0.5 * (1 + math.cos(math.pi * before / self.end))

    def clock(self, progress: float) -> float:
        """The progress at which the schedule is read: the stage's, or the group's own."""
        if not self._own_clock or self.start >= 1:
            return progress
        return (progress - self.start) / (1 - self.start)


class DepthPlan:
    """The plan of one stage on one model: which groups a step trains, and at which rate.

    A pure function of the step, so a resumed stage goes on exactly, and a branch that anneals does
    what the trunk does at the same steps. A head tied to the embedding is the embedding's. Reported
    FLOPs (stage/flops.py) are those of the whole model: what is frozen saves time, and is counted
    all the same, but in MFU. To be made before anything of the model is frozen. Raises InputError
    for groups that the model has not, and for a plan under which some step trains none.
    """

    def __init__(
        self, model: nn.Module, config: DepthConfig, first_step: int, num_steps: int
    ) -> None:
        self._model, self._first_step, self._num_steps = model, first_step, num_steps
        self.group_of = grouping(model)
        names = [name for name, _ in model.named_parameters()]
        self._groups = {name: self.group_of(name) for name in names}
        self._norms = [
            (module, self.group_of(f"{name}.weight"))
            for name, module in model.named_modules()
            if isinstance(module, nn.modules.batchnorm._BatchNorm)
        ]
        self._parameters = [
            (p, self._groups[n]) for n, p in model.named_parameters() if p.requires_grad
        ]
        self._sizes = _sizes(model, self._groups)
        self.windows = resolve(config, depth_groups(list(self._groups.values())))
        self._refuse_idle_steps()

    def _refuse_idle_steps(self) -> None:
        """Raise InputError for a step that trains nothing: the first, or one after an end."""
        ends = [w.end * self._num_steps for w in self.windows.values() if w.end < 1]
        after = {math.floor(end) + more for end in ends for more in (1, 2)}
        for number in sorted(n for n in {1, *after} if n <= self._num_steps):
            if len(self.frozen(self._first_step + number)) == len(self.windows):
                raise InputError(
                    f"depth: step {number:,} of the stage's {self._num_steps:,} trains no group of "
                    f"layers ({', '.join(self.windows)}); let one be open with a rate above 0 at "
                    "every step"
                )

    def frozen(self, step: int) -> set[str]:
        """The groups that optimiser step ``step`` (from 1 since init) leaves alone."""
        during = self._progress(step - 1), self._progress(step)
        return {group for group, w in self.windows.items() if not w.trains(*during)}

    def computed(self, step: int) -> float:
        """The share of a whole step's operations that a step takes, by the weights of the groups.

        A third is the forward pass, a third the gradients of weights that train, and a third those
        that flow down to the lowest of them.
        """
        frozen, groups = self.frozen(step), list(self.windows)
        lowest = next(place for place, group in enumerate(groups) if group not in frozen)
        total = sum(self._sizes.values())
        trained = sum(self._sizes[group] for group in groups if group not in frozen)
        through = sum(self._sizes[group] for group in groups[lowest:])
        return (total + trained + through) / (3 * total)

    def changes(self, step: int) -> bool:
        """Whether other groups train in this step than in the one before it, in the same stage."""
        return step > self._first_step + 1 and self.frozen(step) != self.frozen(step - 1)

    def rates(self, step: int, rate_at: Callable[[int], float]) -> dict[str, float]:
        """The learning rate of every group in a step; ``rate_at`` is the stage's schedule."""
        before, progress = self._progress(step - 1), self._progress(step)
        found = {}
        for group, window in self.windows.items():
            own = self._first_step + math.ceil(window.clock(progress) * self._num_steps - 1e-9)
            at = step if window.clock(progress) == progress else max(own, self._first_step + 1)
            found[group] = window.multiple(before, progress) * rate_at(at)
        return found

    def _progress(self, step: int) -> float:
        """Share of the stage after the step; a branch beyond its end stays as the end was."""
        return min(1.0, (step - self._first_step) / self._num_steps)

    @contextmanager
    def during(
        self, optimizer: torch.optim.Optimizer, rate_at: Callable[[int], float], step: int
    ) -> Iterator[None]:
        """Around a step's gradients: what is frozen gets none, and its statistics do not move."""
        frozen, rates = self.frozen(step), self.rates(step, rate_at)
        for group in optimizer.param_groups:
            group["own_rate"] = rates[group["depth"]]
        for parameter, group in self._parameters:
            parameter.requires_grad_(group not in frozen)
        for module, group in self._norms:
            module.train(self._model.training and group not in frozen)
        try:
            yield
        finally:
            for parameter, _ in self._parameters:
                parameter.requires_grad_(True)
            for module, _ in self._norms:
                module.train(self._model.training)


def _sizes(model: nn.Module, groups: Mapping[str, str]) -> dict[str, int]:
    """The weights of each group that are multiplied by: those of a table are only looked up."""
    loaded: Any = model
    head = loaded.get_output_embeddings()
    tables = embedding_parameter_names(model)
    found = dict.fromkeys(groups.values(), 0)
    for name, parameter in model.named_parameters():
        if name not in tables or (head is not None and head.weight is parameter):
            found[groups[name]] += parameter.numel()
    return found


def grouping(model: nn.Module) -> Callable[[str], str]:
    """The group of each of the model's parameters: by its family's spec, for a ResNet by stages."""
    config: Any = model.config
    family = FAMILIES.get(config.model_type)
    if family is not None:
        return lambda name: str(family.depth_of(name))
    if config.model_type == "resnet":
        return resnet_group
    raise InputError(
        f"depth: no family describes {config.model_type}; known are {', '.join(FAMILIES)}, resnet"
    )


def resnet_group(name: str) -> str:
    """``embed`` for the stem, the stage's number, or ``head``."""
    found = re.search(r"(?:^|\.)encoder\.stages\.(\d+)\.", name)
    if found is not None:
        return found[1]
    return EMBED if ".embedder." in name else HEAD
