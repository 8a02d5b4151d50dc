"""From a unit's recipe to its stage records: steps, schedules and ledgers, all resolved."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from evergrow.errors import InputError
from evergrow.flow.units import stage_keys
from evergrow.objectives.objective import Objective
from evergrow.recipe import LENGTHS, Recipe
from evergrow.run import Begin, Ledger, StageRecord, Start
from evergrow.schedules import StageSchedule, extend, num_steps, plan_stage
from evergrow.scores.opening import Opened
from evergrow.stream.mixture import share_weights
from evergrow.stream.plan import SampleStream
from evergrow.train.config import LoopConfig
from evergrow.warmup import least_warmup

MANY_SAMPLES = 1_000_000  # in which a mixture has its shares to one in a million


class Ground(NamedTuple):
    """What a plan stands on: the opened data, the start model, where each stage begins."""

    opened: Opened
    start: Start
    begins: list[Begin]

    @property
    def data(self) -> dict[str, str]:
        """The data folder of each source, by its name."""
        return {name: stock.folder.name for name, stock in self.opened.stocks.items()}

    def keys(self, recipe: Recipe) -> list[str]:
        """The key of every stage of ``recipe``, which may have other lengths than the opened."""
        objectives = [self.opened.config_at(i) for i in range(len(recipe.stages))]
        seed = self.opened.seed
        return stage_keys(recipe, seed, self.data, self.start, objectives, self.begins)


def plan_stages(recipe: Recipe, ground: Ground, recorded: list[StageRecord]) -> list[StageRecord]:
    """The stage records of a unit; ``recorded`` ones are kept, the last may be extended.

    Raises InputError for a schedule that cannot be, for an objective that fits neither model nor
    data, and when a source would be read more often than it allows.
    """
    keys = ground.keys(recipe)
    records: list[StageRecord] = []
    for index in range(len(recipe.stages)):
        known = recorded[index] if index < len(recorded) else None
        objective = ground.opened.objective_at(index)
        record = _record(recipe, index, keys[index], objective, ground, records, known)
        records.append(known if known and known.key == record.key else record)
        _refuse_unreadable(recipe, index, records)
    return _with_seen(records, recipe, ground)


def _record(
    recipe: Recipe,
    index: int,
    key: str,
    objective: Objective,
    ground: Ground,
    records: list[StageRecord],
    known: StageRecord | None,
) -> StageRecord:
    """Stage ``index`` of the plan, after those before it."""
    stage, begin = recipe.stages[index], ground.begins[index]
    parent = None if begin.stage is None else records[begin.stage]
    ledger = _ledger(recipe, index, objective, ground)
    path = [*([] if parent is None else parent.path), index]
    batch = recipe.train_of(index).batch_size
    ledgers = [*(records[place].ledger for place in path[:-1]), ledger]
    per_step = _clock_a_step(ledgers, batch, ground.opened.seed)
    is_counted = recipe.form_at(index) == "examples"
    steps = num_steps(stage.length, batch if is_counted else per_step)
    start, first_step = 0, 0
    if parent is not None:
        start, first_step = parent.clock_at(parent.last_step), parent.last_step
    schedule = _schedule(recipe, index, start, steps, per_step, parent, known)
    return StageRecord(
        name=stage.name,
        key=key,
        begin=begin,
        path=path,
        first_step=first_step,
        num_steps=steps,
        fork_step=None
        if schedule.fork is None
        else first_step + (schedule.fork - start) // per_step,
        clock=start,
        per_step=per_step,
        counted=objective.counted,
        unit=objective.unit,
        objective=ground.opened.config_at(index).kind,
        mixture=stage.weights,
        replay=recipe.replay_of(index).model_dump(mode="json"),
        grow=None if stage.grow is None else stage.grow.model_dump(mode="json"),
        schedule=[s.model_dump() for s in schedule.trunk],
        release_schedule=None
        if schedule.release is None
        else [s.model_dump() for s in schedule.release],
        ledger=ledger.model_copy(update={"num_samples": steps * batch}),
        seen={},
        ingredients=recipe.ingredients_of(index),
    )


def _schedule(
    recipe: Recipe,
    index: int,
    start: int,
    steps: int,
    per_step: int,
    parent: StageRecord | None,
    known: StageRecord | None,
) -> StageSchedule:
    """The rate of a stage: as recorded, made longer, or laid after that of the trunk it leaves."""
    if known and known.num_steps == steps:
        return _schedule_of(known)
    if known:
        _refuse_longer(recipe, index)
        config, length = recipe.schedule_of(index), steps * per_step
        return extend(_schedule_of(known), config, start, length, per_step)
    before = None if parent is None else _schedule_of(parent)
    return lay_schedule(recipe, index, start, steps, per_step, before)


def lay_schedule(
    recipe: Recipe,
    index: int,
    start: int,
    steps: int,
    per_step: int,
    before: StageSchedule | None,
) -> StageSchedule:
    """The rate of stage ``index``, whose clock stands at ``start``; ``before`` is its parent's.

    Where it begins with a loaded model's weights and fresh moments, it warms up until these are
    filled, unless the recipe says how long or refills them.
    """
    config, begin = recipe.schedule_of(index), recipe.begin_of(index)
    previous = None
    if before is not None and begin.kind == "trunk" and isinstance(begin.of, int):
        previous = (recipe.schedule_of(begin.of), before)
    beta2 = recipe.train_of(index).optimizer.beta2
    least = least_warmup(beta2) if recipe.has_fresh_moments(index) else 0
    return plan_stage(config, start, steps * per_step, per_step, previous, least)


def _clock_a_step(ledgers: list[Ledger], batch: int, seed: int) -> int:
    """By how much a step of the last stage moves the clock: what its samples hold, on average.

    Replayed ones hold what they held in their own stage.
    """
    last = ledgers[-1].model_copy(update={"num_samples": MANY_SAMPLES})
    stream = SampleStream([*ledgers[:-1], last], seed)
    tokens = sum(seen.tokens for seen in stream.seen(len(ledgers) - 1).values())
    return max(1, round(batch * tokens / MANY_SAMPLES))


def _refuse_longer(recipe: Recipe, index: int) -> None:
    """Raise InputError when the stage's plan of layers would be another one in a longer stage."""
    depth = recipe.stages[index].depth
    if depth is not None and depth.moves:
        raise InputError(
            f"stage {recipe.stages[index].name!r} opens or freezes layers at shares of its length, "
            "so it cannot be made longer: steps already made would have trained others; continue "
            "with a new stage"
        )


def _refuse_unreadable(recipe: Recipe, index: int, records: list[StageRecord]) -> None:
    """Raise InputError for replay of what the stage's objective cannot read."""
    record = records[index]
    if record.objective != "masked" or not record.replay["fraction"]:
        return
    length = recipe.train_of(index).sequence_length
    for place in record.path[:-1]:
        other = recipe.train_of(place).sequence_length
        if records[place].objective != "masked" or other != length:
            raise InputError(
                f"stage {record.name!r} would replay {records[place].name!r}, which was read as "
                f"{records[place].objective} in windows of {other}; set its replay to 0, or give "
                f"both one objective and sequence_length ({length} here)"
            )


def _schedule_of(record: StageRecord) -> StageSchedule:
    fork = record.fork_step
    return StageSchedule.model_validate(
        {
            "trunk": record.schedule,
            "release": record.release_schedule,
            "fork": None if fork is None else record.clock_at(fork),
        }
    )


def _ledger(recipe: Recipe, index: int, objective: Objective, ground: Ground) -> Ledger:
    """How the stage chooses its samples; their number is not known yet."""
    weights, train = recipe.stages[index].weights, recipe.train_of(index)
    replay = recipe.replay_of(index)
    replayed, fresh = share_weights((replay.fraction, 1 - replay.fraction))
    stocks = {source: ground.opened.stocks[source] for source in weights}
    folders = [stock.folder.name for stock in stocks.values()]
    items = [stock.tokens_an_item(train.sequence_length) for stock in stocks.values()]
    shares = share_weights(list(weights.values()))
    return Ledger(
        shares=dict(zip(folders, shares, strict=True)),
        replay_shares=(replayed, fresh),
        replay_order=replay.order,
        num_samples=0,
        sizes={stocks[name].folder.name: objective.num_items(name) for name in weights},
        tokens_an_item=dict(zip(folders, items, strict=True)),
        order=recipe.stages[index].order,
    )


def _with_seen(records: list[StageRecord], recipe: Recipe, ground: Ground) -> list[StageRecord]:
    """Fill in what each stage reads; refuses more epochs than a source allows."""
    limits = epoch_limits(recipe, ground.data)
    found = []
    for record in records:
        ledgers = [records[place].ledger for place in record.path]
        stream = SampleStream(ledgers, ground.opened.seed)
        stream.refuse_too_many_epochs(limits)
        found.append(record.model_copy(update={"seen": stream.seen(len(ledgers) - 1)}))
    return found


def epoch_limits(recipe: Recipe, data: Mapping[str, str]) -> dict[str, float]:
    """How often the folders of ``data``, by source, may be read; one without a limit is absent."""
    sources = (*recipe.sources.items(), *recipe.corpora.items())
    found = {data[name]: source.max_epochs for name, source in sources if name in data}
    return {folder: limit for folder, limit in found.items() if limit is not None}


def refuse_edits(
    recorded: list[StageRecord], recipe: Recipe, planned: list[str], old: Recipe
) -> None:
    """Raise InputError when a recipe was changed under a run that exists.

    Allowed: more of the last recorded stage, and stages after it; what is measured. ``planned``
    are the keys that ``recipe`` would have with the recorded lengths.
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
        was, now = ("not set" if value is None else repr(value) for value in (before, after))
        raise InputError(f"recipe.{where}: was {was} when this run began, now {now}; {_WAYS_OUT}")
    for index in range(len(recorded)):
        before, now = old.stages[index].length, recipe.stages[index].length
        if now != before:
            refuse_longer_orders(recipe, index)
        is_last = index == len(recorded) - 1
        if now < before or (now > before and not is_last):
            word = LENGTHS[recipe.form_at(index)]
            raise InputError(
                f"recipe.stages[{index}].{word}: was {before:,} when this run began, "
                f"now {now:,}; only the last stage may grow; {_WAYS_OUT}"
            )


def refuse_longer_orders(recipe: Recipe, index: int) -> None:
    """Raise InputError for a stage of several orders, or one of them, that is to be longer."""
    made_of = index if recipe.stages[index].orders else recipe.soup_of(index)
    if made_of is not None:
        stage = recipe.stages[made_of]
        raise InputError(
            f"stage {stage.name!r} is trained in {stage.orders} orders, each down to rate zero, so "
            "it cannot get another length; continue with a new stage, which begins at its release"
        )


_WAYS_OUT = "give the recipe a new name, or start over with --fresh"
# What may change under a run; files and tokens have refusals of their own.
_NOT_COMPARED = re.compile(
    r"name|description|seeds|workers|arms|sources|held_out|tokenizer|checkpoints|evaluate|suites"
    r"|(stages\[\d+\]\.)?train\.(" + "|".join(sorted(LoopConfig.RESOURCES)) + ")"
    r"|stages\[\d+\]\.(tokens|images|examples)"
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
