"""Adam's moments carried into a grown model, by name: `exp_avg.<parameter>` and so on.

A copy's gradient is the source's times what the other side does with it: the rows of a producer
get R's weights, the columns of a consumer M's scales, a gain its readers' weight times the scale
it reads. Moments follow their gradient, squares its square. Exact where copies are read in equal
parts and nothing is noise; elsewhere a norm's derivative mixes the parts, and this is the rule of
their mean.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
from torch import Tensor

from evergrow.errors import InputError
from evergrow.grow.axes import AxisMap
from evergrow.grow.expand import new_parameters, source_of, target_names
from evergrow.grow.layout import Line, line_of
from evergrow.grow.plan import GrowthPlan
from evergrow.grow.widen import widen

Policy = Literal["asymmetric", "copy", "drop"]
_POWERS = {"exp_avg": 1, "exp_avg_sq": 2}


def grow_moments(
    plan: GrowthPlan, moments: Mapping[str, Tensor], policy: Policy
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The grown model's moments and, by parameter, what happened to them.

    asymmetric  kept for old elements, 0 for new ones (SPARKLING 2602.02472: copying or dropping
                both halves alike keeps copies alike, under any optimiser); steps are kept
    copy        kept for old elements and for their copies; steps are kept
    drop        nothing is returned: every parameter starts afresh

    Raises InputError for the state of another model.
    """
    names = sorted({name.partition(".")[2] for name in moments})
    _check_known(plan, names)
    targets = target_names(plan, names) if names else []
    if policy == "drop":
        return {}, {name: "dropped: it starts afresh" for name in targets}
    grown, report = {}, {}
    for name in targets:
        line = line_of(plan, name)
        for part, power in _POWERS.items():
            grown[f"{part}.{name}"] = _grown(plan, line, moments, part, name, power)
        shape = tuple(grown[f"exp_avg.{name}"].shape)
        grown[f"step.{name}"] = _moment(moments, "step", source_of(plan, name)).clone()
        report[name] = "kept, and copied to new elements"
        if policy == "asymmetric":
            new = new_parameters(plan, name, shape)
            for part in _POWERS:
                grown[f"{part}.{name}"].masked_fill_(new, 0)
            kept = 1 - new.float().mean().item()
            report[name] = f"kept for {kept:.0%} of the elements, 0 for the new ones"
    return grown, report


def _check_known(plan: GrowthPlan, names: list[str]) -> None:
    for name in names:
        if plan.family.spec_of(name) is None:
            raise InputError(_stranger(name))


def _stranger(name: str) -> str:
    return (
        f"optimiser state of {name}: does not belong to this model; "
        "take the state saved with it, or grow with optimizer_state: drop"
    )


def _moment(moments: Mapping[str, Tensor], part: str, name: str) -> Tensor:
    if f"{part}.{name}" not in moments:
        raise InputError(_stranger(name))
    return moments[f"{part}.{name}"]


def _grown(
    plan: GrowthPlan, line: Line, moments: Mapping[str, Tensor], part: str, name: str, power: int
) -> Tensor:
    dual, source = _dual(line, power), source_of(plan, name)
    moment = _moment(moments, part, source)
    try:
        dual.grown_shape(source, tuple(moment.shape))
    except InputError as error:
        raise InputError(_stranger(source)) from error
    return widen(dual, moment).to(moment.dtype)


def _dual(line: Line, power: int) -> Line:
    """The line that gradients (power 1) or their squares (2) grow by."""
    dimensions = tuple(
        d and replace(d, map=_scaled(d.map, d.map.weight**power, d.map.scale**power))
        for d in line.dimensions
    )
    if line.norm is None:
        return Line(dimensions)
    reads, gives = line.norm
    factor = (gives.weight * reads.scale) ** power
    dimension = dimensions[0]
    assert dimension is not None
    source = np.where(reads.source < 0, reads.source, gives.source)
    as_rows = AxisMap(gives.before, source, factor, factor)
    return Line((replace(dimension, map=as_rows),))


def _scaled(axis: AxisMap, scale: np.ndarray, weight: np.ndarray) -> AxisMap:
    return AxisMap(axis.before, axis.source, scale, weight)
