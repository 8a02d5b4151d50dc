"""What a grown model's loss costs in operations, beside a model from scratch of the same seed.

A reading is the mean of three measurements in a row: one alone jumps by as much as operators
differ. Every loss is the trunk's, never an annealed one against one that is not.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from evergrow.models.families import FAMILIES
from evergrow.run import Run
from evergrow.schedules import Segment
from evergrow.stage.flops import stage_flops, step_costs
from evergrow.stage.records import Evaluation, read_lines

SCRATCH = "scratch"  # the arm that the others are measured by
SOURCE = "text"
IN_A_ROW = 3
TARGET_AT = 0.6  # of the operations from scratch

Curve = list[tuple[float, float]]  # operations, bits per byte


def curve_of(run: Run) -> Curve:
    """Readings against operations since the last growth, or since the start."""
    stages = run.manifest.stages
    first = len(stages) - 1 if stages[-1].grow is not None else 0
    places = {stage.name: index for index, stage in enumerate(stages)}
    before = [_operations(run, first, index) for index in range(len(stages))]
    found: dict[float, float] = {}  # the end of a stage is measured again as the next begins
    for look in read_lines(run.folder / "evals.jsonl", Evaluation):
        index = places[look.stage]
        if index >= first and (look.leg, look.source) == ("trunk", SOURCE):
            costs = step_costs(run.manifest, index)
            here = costs.between(stages[index].first_step, look.step)
            found[before[index] + here] = look.loss
    return in_a_row(list(found.items()))


def _operations(run: Run, first: int, last: int) -> float:
    """Of the trunk of stages ``first`` up to and without ``last``."""
    return sum(stage_flops(run.manifest, index)[0] for index in range(first, last))


def in_a_row(curve: Curve) -> Curve:
    """Each loss as the mean of itself and the two before it, as far as there are any."""
    losses = [loss for _, loss in curve]
    means = [
        sum(some) / len(some)
        for some in (losses[max(0, i + 1 - IN_A_ROW) : i + 1] for i in range(len(losses)))
    ]
    return [(cost, mean) for (cost, _), mean in zip(curve, means, strict=True)]


def first_reached(curve: Curve, target: float) -> float:
    """Operations at which the loss first is at or below ``target``; infinity when it never is.

    Straight lines between readings; 0 when the curve begins there.
    """
    if curve[0][1] <= target:
        return curve[0][0]
    for (cost, loss), (next_cost, next_loss) in pairwise(curve):
        if next_loss <= target:
            return cost + (next_cost - cost) * (loss - target) / (loss - next_loss)
    return math.inf


def loss_at(curve: Curve, operations: float) -> float:
    """The loss at ``operations``, which lie on the curve, on straight lines."""
    for (cost, loss), (next_cost, next_loss) in pairwise(curve):
        if cost <= operations <= next_cost:
            return loss + (next_loss - loss) * (operations - cost) / (next_cost - cost)
    raise AssertionError(f"{operations} lie beyond the curve, which ends at {curve[-1][0]}")


@dataclass(frozen=True)
class Scratch:
    """The Run from scratch: its curve, the ``target`` that all are to reach, and its cost there."""

    curve: Curve
    target: float
    operations: float

    @classmethod
    def of(cls, curve: Curve) -> "Scratch":
        """The target is the loss at three fifths, so that there is a way on to lower ends."""
        target = loss_at(curve, TARGET_AT * curve[-1][0])
        return cls(curve, target, first_reached(curve, target))


def cost_to_target(counted: bool) -> Callable[[Run], float | None]:
    """Operations to the target over scratch's; infinite: never there."""

    def read(run: Run) -> float | None:
        scratch = _scratch(run)
        if scratch is None:
            return None
        reached = first_reached(curve_of(run), scratch.target)
        return (reached + _source(run, counted)) / scratch.operations

    return read


def spent(counted: bool) -> Callable[[Run], float | None]:
    """All operations of the arm over scratch's to the target."""

    def read(run: Run) -> float | None:
        scratch = _scratch(run)
        if scratch is None:
            return None
        return (curve_of(run)[-1][0] + _source(run, counted)) / scratch.operations

    return read


def scratch_needs(run: Run) -> float | None:
    """Scratch's operations to the arm's own end over those to the target; infinite: never there."""
    scratch = _scratch(run)
    if scratch is None:
        return None
    return first_reached(scratch.curve, at_the_end(run)) / scratch.operations


def _source(run: Run, counted: bool) -> float:
    """Operations of the source, the stages before the last growth; 0 where they are sunk."""
    stages = run.manifest.stages
    return _operations(run, 0, len(stages) - 1) if counted and stages[-1].grow else 0.0


def _scratch(run: Run) -> Scratch | None:
    """The Run from scratch of the same seed, once it is finished."""
    folder = run.folder.parent.parent / SCRATCH / run.folder.name
    if not (folder / "manifest.json").exists():
        return None
    found = Run(folder)
    return Scratch.of(curve_of(found)) if found.manifest.status == "done" else None


def at_the_end(run: Run) -> float:
    """Bits per byte where the trunk ends."""
    return curve_of(run)[-1][1]


def birth(run: Run) -> float | None:
    """The rise of the loss by the growth itself, in bits per byte; None without growth."""
    stage = run.manifest.stages[-1]
    if stage.grow is None:
        return None
    from evergrow.stage.architecture import read_growth

    loss = read_growth(run, stage.name)["loss"][SOURCE]
    return loss["after"] - loss["before"]


def free_share(run: Run) -> float:
    """The lowest share of units of a kind of matrix that are free to differ, at the trunk's end.

    As ``evergrow grow`` counts: a unit is locked to another where all that gives or reads it is
    the same and moves the same.
    """
    import torch

    from evergrow.grow.freedom import Watched
    from evergrow.grow.passes import Weighed, random_batch
    from evergrow.grow.passes import run as run_once
    from evergrow.grow.stored import open_folder

    stored = open_folder(run.folder / "releases" / run.manifest.stages[-1].name)
    weighed = Weighed.of(stored.config, stored.slots, stored.read)
    shapes = {name: slot.shape for name, slot in stored.slots.items()}
    watched = Watched(shapes, FAMILIES[stored.config["model_type"]].axes_of, stored.read)
    batch = random_batch(weighed.model)
    run_once(weighed, batch, torch.float32, backward=True, watch=watched)
    return min(
        1 - locked / units
        for found in watched.locked()
        for locked, units in zip(
            (found.locked_rows, found.locked_columns), found.shape, strict=True
        )
    )


def rate_share(run: Run) -> float:
    """The rate of the last stage over that of the first."""
    ends = [Segment.model_validate(stage.schedule[-1]).to_lr for stage in run.manifest.stages]
    return ends[-1] / ends[0]
