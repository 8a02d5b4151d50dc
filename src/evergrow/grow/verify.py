"""A pair of folders checked against growth.json: the files, every tensor, and the function."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from evergrow.grow.check import check_growth
from evergrow.grow.cost import cost_of
from evergrow.grow.expand import expand, target_names
from evergrow.grow.folder import measured, plan_of
from evergrow.grow.passes import Batch
from evergrow.grow.plan import GrowthPlan
from evergrow.grow.record import Recorded, changed_files, cost_record, plan_record, read_record
from evergrow.grow.shrink import Keep, Pruning
from evergrow.grow.stored import Stored, open_folder
from evergrow.models.skeleton import skeleton

# Fields that say how weights are stored or by what, not what the model computes.
_BESIDE_THE_FUNCTION = {"transformers_version", "dtype", "torch_dtype", "_name_or_path"}


def verify_folders(
    source: Path,
    folder: Path,
    texts: Sequence[Batch] = (),
    tolerance: float | None = None,
    again: Sequence[Batch] = (),
) -> dict[str, Any]:
    """What ``check_growth`` measures, the plan's verdicts and costs, and ``problems``.

    With growth.json in ``folder`` the growth is planned again from the source: its files, every
    tensor of the grown model and its config.json must be what that gives, to the bit. Without it
    (another tool's work) the function must be kept. Raises InputError for folders that are no pair.
    """
    small, large = open_folder(source), open_folder(folder)
    record, plan, given = read_record(folder), None, small
    if record is not None:
        given, plan = plan_of(small, record.grow, folder, _as_recorded(record.pruning))
        texts = measured(texts, plan)
    checked = check_growth(small, large, plan, texts, tolerance, again, given)
    if record is None or plan is None:
        pair = {"verification": checked.record(), "problems": checked.problems}
        return {**_without_record(small, large), **pair}
    problems = _strangers(small, given, large, record, plan) + checked.problems
    costs = [cost_of(skeleton(s.config), s.bytes_per_weight) for s in (small, large)]
    return {
        **plan_record(plan, *costs),
        "optimizer": record.optimizer,
        "learning_rate": record.learning_rate,
        "verification": checked.record(),
        "problems": problems,
    }


def _as_recorded(pruning: Pruning | None) -> Keep | None:
    """What stays by growth.json: the text that chose need not be there any more."""
    return None if pruning is None else lambda *sizes: pruning


def _without_record(small: Stored, large: Stored) -> dict[str, Any]:
    fields = sorted(small.config.keys() | large.config.keys())
    pairs = {field: [small.config.get(field), large.config.get(field)] for field in fields}
    costs = [cost_of(skeleton(s.config), s.bytes_per_weight) for s in (small, large)]
    return {
        "config": {field: pair for field, pair in pairs.items() if pair[0] != pair[1]},
        "cost": cost_record(*costs),
    }


def _strangers(
    small: Stored, given: Stored, large: Stored, record: Recorded, plan: GrowthPlan
) -> list[str]:
    """A sentence for each kind of thing that is not what growth.json says."""
    problems = []
    if files := changed_files(small, record):
        problems.append(f"the source's {_some(files)} changed since the growth")
    fields = [
        field
        for field, value in plan.target.items()
        if field not in _BESIDE_THE_FUNCTION and large.config.get(field) != value
    ]
    if fields:
        problems.append(f"config.json differs from the plan in {_some(fields)}")
    if tensors := altered(given, large, plan):
        problems.append(f"weights are not what the source gives: {_some(tensors)}")
    return problems


def _some(names: Sequence[str]) -> str:
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + rest


def altered(source: Stored, grown: Stored, plan: GrowthPlan) -> list[str]:
    """Names of grown tensors that are not, to the bit, what the plan makes from the source.

    Missing tensors and those that the plan does not know count too.
    """
    expected = target_names(plan, source.slots)
    wrong = sorted(grown.slots.keys() ^ set(expected))
    for name in expected:
        if name in grown.slots:
            made, stored = expand(plan, name, source.read), grown.read(name)
            same = (made.dtype, made.shape) == (stored.dtype, stored.shape)
            if not same or not torch.equal(made, stored):
                wrong.append(name)
    return wrong
