"""From a unit's recipe to its stage records: steps, schedules and ledgers, all resolved."""

import re
from collections.abc import Mapping
from typing import Any

from evergrow.errors import InputError
from evergrow.flow.units import stage_keys
from evergrow.recipe import Recipe
from evergrow.run import Ledger, StageRecord
from evergrow.schedules import StageSchedule, extend, num_steps, plan_stage
from evergrow.stream.mixture import share_weights
from evergrow.stream.plan import SampleStream


def plan_stages(
    recipe: Recipe,
    seed: int,
    data: Mapping[str, str],
    sizes: Mapping[str, int],
    tokenizer: str,
    recorded: list[StageRecord],
) -> list[StageRecord]:
    """The stage records of a unit; ``recorded`` ones are kept, the last may be extended.

    ``data`` names the data folder of each source and ``sizes`` its windows. Raises InputError for
    a schedule that cannot be, and when a source would be read more often than it allows.
    """
    keys = stage_keys(recipe, seed, data, tokenizer)
    per_step = recipe.train.tokens_per_step
    records: list[StageRecord] = []
    previous: tuple[Any, StageSchedule] | None = None
    for index, stage in enumerate(recipe.stages):
        config = recipe.schedule_of(index)
        first_step = records[-1].first_step + records[-1].num_steps if records else 0
        steps = num_steps(stage.tokens, per_step)
        start, length = first_step * per_step, steps * per_step
        known = recorded[index] if index < len(recorded) else None
        if known and known.num_steps == steps:
            schedule = _schedule_of(known)
        elif known:
            _refuse_longer(recipe, index)
            schedule = extend(_schedule_of(known), config, start, length, per_step)
        else:
            schedule = plan_stage(config, start, length, per_step, previous)
        previous = (config, schedule)
        if known and known.key == keys[index]:
            records.append(known)
            continue
        records.append(
            StageRecord(
                name=stage.name,
                key=keys[index],
                parent=keys[index - 1] if index else None,
                first_step=first_step,
                num_steps=steps,
                fork_step=None if schedule.fork is None else schedule.fork // per_step,
                tokens=length,
                mixture=stage.weights,
                replay=recipe.replay_of(index).model_dump(mode="json"),
                grow=None if stage.grow is None else stage.grow.model_dump(mode="json"),
                schedule=[s.model_dump() for s in schedule.trunk],
                release_schedule=None
                if schedule.release is None
                else [s.model_dump() for s in schedule.release],
                ledger=_ledger(recipe, index, data, steps * recipe.train.batch_size),
                seen={},
            )
        )
    return _with_seen(records, recipe, seed, data, sizes)


def _refuse_longer(recipe: Recipe, index: int) -> None:
    """Raise InputError when the stage's plan of layers would be another one in a longer stage."""
    depth = recipe.stages[index].depth
    if depth is not None and depth.moves:
        raise InputError(
            f"stage {recipe.stages[index].name!r} opens or freezes layers at shares of its length, "
            "so it cannot be made longer: steps already made would have trained others; continue "
            "with a new stage"
        )


def _schedule_of(record: StageRecord) -> StageSchedule:
    per_step = record.tokens // record.num_steps
    return StageSchedule.model_validate(
        {
            "trunk": record.schedule,
            "release": record.release_schedule,
            "fork": None if record.fork_step is None else record.fork_step * per_step,
        }
    )


def _ledger(recipe: Recipe, index: int, data: Mapping[str, str], num_samples: int) -> Ledger:
    weights = recipe.stages[index].weights
    replay = recipe.replay_of(index)
    replayed, fresh = share_weights((replay.fraction, 1 - replay.fraction))
    return Ledger(
        shares=dict(
            zip((data[s] for s in weights), share_weights(list(weights.values())), strict=True)
        ),
        replay_shares=(replayed, fresh),
        replay_order=replay.order,
        num_samples=num_samples,
    )


def _with_seen(
    records: list[StageRecord],
    recipe: Recipe,
    seed: int,
    data: Mapping[str, str],
    sizes: Mapping[str, int],
) -> list[StageRecord]:
    """Fill in what each stage reads; refuses more epochs than a source allows."""
    stream = SampleStream([r.ledger for r in records], sizes, seed)
    limits = {
        data[name]: source.max_epochs
        for name, source in (*recipe.sources.items(), *recipe.corpora.items())
        if name in data and source.max_epochs is not None
    }
    stream.refuse_too_many_epochs(limits)
    return [r.model_copy(update={"seen": stream.seen(i)}) for i, r in enumerate(records)]


def refuse_edits(
    recorded: list[StageRecord], recipe: Recipe, planned: list[str], old: Recipe
) -> None:
    """Raise InputError when a recipe was changed under a run that exists.

    Allowed: more tokens in the last recorded stage, and stages after it. ``planned`` are the keys
    that ``recipe`` would have with the recorded token counts.
    """
    if len(recipe.stages) < len(recorded):
        raise InputError(
            f"recipe.stages: {len(recipe.stages)} given where the run already has {len(recorded)} "
            f"({recorded[-1].name!r} is the last); {_WAYS_OUT}"
        )
    if any(key != record.key for key, record in zip(planned, recorded, strict=False)):
        where, before, after = first_difference(old.to_data(), recipe.to_data())
        if not where:
            raise InputError(
                "this run was begun by a version of evergrow that gives other bytes, or its data "
                f"folders were exchanged; {_WAYS_OUT}"
            )
        raise InputError(
            f"recipe.{where}: was {before!r} when this run began, now {after!r}; {_WAYS_OUT}"
        )
    for index in range(len(recorded)):
        before, now = old.stages[index].tokens, recipe.stages[index].tokens
        last = index == len(recorded) - 1
        if now < before or (now > before and not last):
            raise InputError(
                f"recipe.stages[{index}].tokens: was {before:,} when this run began, "
                f"now {now:,}; only the last stage may grow; {_WAYS_OUT}"
            )


_WAYS_OUT = "give the recipe a new name, or start over with --fresh"
# What may change under a run; files and tokens have refusals of their own.
_NOT_COMPARED = re.compile(
    r"name|description|seeds|workers|arms|sources|held_out|tokenizer|checkpoints"
    r"|train\.(log_every|threads|device)|stages\[\d+\]\.tokens"
)


def first_difference(old: Any, new: Any, path: str = "") -> tuple[str, Any, Any]:
    """The first dotted path at which two recipes differ, with both values; "" when none does."""
    if old == new or _NOT_COMPARED.fullmatch(path):
        return "", None, None
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(k for k in new if k not in old)]
        parts = [(old.get(k), new.get(k), f"{path}.{k}".lstrip(".")) for k in keys]
    elif isinstance(old, list) and isinstance(new, list):
        parts = [(*p, f"{path}[{i}]") for i, p in enumerate(zip(old, new, strict=False))]
    else:
        return path, old, new
    return next((d for d in (first_difference(*p) for p in parts) if d[0]), ("", None, None))
