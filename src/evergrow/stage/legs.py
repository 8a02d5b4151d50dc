"""One stage of one Run: trunk, branch, release, measurements; resumes wherever it was killed."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from pathlib import Path

import torch
from pydantic import JsonValue

from evergrow.disk import locked
from evergrow.errors import EvergrowError, Stopped
from evergrow.lineage import Measured, read_node
from evergrow.listener import Listener, Progress, Reading
from evergrow.models.find import find_model
from evergrow.models.lora import has_expert_maps
from evergrow.run import Run, load_checkpoint, read_checkpoint_state
from evergrow.schedules import Segment, rate
from evergrow.scores.measure import measure_part, measure_release
from evergrow.stage import checkpoints
from evergrow.stage.beginning import load_release, load_trunk_end, passed_at, trunk_end
from evergrow.stage.checkpoints import Mark
from evergrow.stage.flops import step_costs, sub_models
from evergrow.stage.growth import grow, in_words
from evergrow.stage.orders import make_soup
from evergrow.stage.release import node_of, round_to_release, write_release
from evergrow.stage.work import Work, open_work
from evergrow.train.config import Refill
from evergrow.train.depth import DepthPlan
from evergrow.train.ladder import SubModels
from evergrow.train.loop import (
    Leg,
    Record,
    computed_in,
    everything,
    train_until,
)
from evergrow.train.optimizer import load_optimizer_tensors
from evergrow.train.speed import peak_flops, peak_memory_bytes
from evergrow.train.trainer import trainer_moments
from evergrow.train.two_stage import sub_model
from evergrow.warmup import least_warmup

CHECKPOINTS_A_STAGE = 10

Schedule = list[dict[str, JsonValue]]  # segments as manifests and checkpoints hold them


def carry_out_stage(folder: Path, index: int, listener: Listener) -> None:
    """Train stage ``index`` of the Run in ``folder`` and release it; nothing is done twice.

    Raises Stopped when a signal asked to stop (everything is saved), EvergrowError when training
    failed (the last good checkpoint is named).
    """
    with locked(folder), listener.stop.listening():
        run = Run(folder)
        if run.manifest.stages[index].ingredients:
            make_soup(folder, index, listener)
            return
        begun = checkpoints.first_usable(run, index)
        at_start = run.manifest.stages[index].begin.kind == "start"
        work = open_work(folder, index, listener, fresh=at_start and begun is None)
        facts = {"model": work.counts, "adapters": work.adapters}
        work.run.save_stage(index, status="training", **facts)
        try:
            if not _release_begun(work, begun):
                checkpoints.drop_leg(run, index, "anneal")
                train_trunk(work, begun)
            if work.record.fork_step is not None:
                train_release(work)
            finish(work)
        finally:
            work.writer.close()


def _release_begun(work: Work, begun: Mark | None) -> bool:
    """Whether the trunk is whole and the planned anneal has a checkpoint to go on from."""
    record = work.record
    if begun is None or begun.step < record.trunk_end:
        return False
    schedule = record.release_schedule or []
    found = checkpoints.newest_of_branch(work.run, work.index, "anneal", schedule)
    return found is not None


def train_trunk(work: Work, begun: Mark | None) -> None:
    """Bring the trunk to the stage's end, measuring and saving on the way."""
    record = work.record
    end = record.trunk_end
    if begun is None:
        _enter(work)
        if work.state.step in checkpoints.branch_points(record):
            save(work, "trunk", record.schedule)  # a stage so short that its release is all of it
    else:
        restore(work, begun, cut=True)
    _say_what_comes(work, begun)
    steps = range(record.first_step + 1, end + 1)
    every = _steps(work, work.recipe.evaluate.every)
    measured = set(steps[every - 1 :: every]) if work.recipe.evaluate.every else set()
    saved = set(steps[_checkpoint_every(work) - 1 :: _checkpoint_every(work)])
    saved |= checkpoints.branch_points(record)
    for stop in sorted(s for s in measured | saved | {end} if s > work.state.step):
        train_to(work, "trunk", record.schedule, stop)
        if stop in measured:
            record_curve(work)
        if stop in saved:
            save(work, "trunk", record.schedule)
    work.writer.wait()
    if int(work.state.guard.in_a_row) >= record.num_steps:  # fewer than the loop waits for
        raise EvergrowError(
            f"{work.run.folder}: all {record.num_steps} steps of {record.name} were skipped "
            "because the loss or the gradient was not finite; lower peak_lr or look at the data"
        )


def train_release(work: Work) -> None:
    """From the fork, anneal to the stage's end on the samples that the trunk read there."""
    record = work.record
    assert record.fork_step is not None and record.release_schedule is not None
    end = record.last_step
    begun = checkpoints.newest(work.run, work.index, "anneal")
    if begun is None:
        trunk_end = Mark(work.index, record.name, "trunk", record.trunk_end)
        restore(work, Mark(work.index, record.name, "trunk", record.fork_step))
        work.run.cut(read_checkpoint_state(work.run.checkpoints / trunk_end.name).offsets)
    else:
        restore(work, begun, cut=True)
    train_branch(work, "anneal", record.release_schedule, record.fork_step, end)


def train_branch(work: Work, leg: str, schedule: Schedule, first_step: int, last_step: int) -> None:
    """Train a branch of the trunk, saving on the way."""
    every = _checkpoint_every(work)
    for stop in [*range(first_step + every, last_step, every), last_step]:
        if stop > work.state.step:
            train_to(work, leg, schedule, stop)
            if stop < last_step:
                save(work, leg, schedule)
    work.writer.wait()


def finish(work: Work) -> None:
    """Measure what was trained, write it as a release, and close the stage."""
    record = work.record
    for stock in work.opened.stocks.values():
        stock.proof.wait()  # nothing is released that read damaged data
    round_to_release(work)
    scores = measure(work, record.key)
    release = f"releases/{record.name}"
    schedule = [*record.schedule, *(record.release_schedule or [])]
    kind = "stage" if record.fork_step is None else "anneal"
    node = node_of(work, record.key, kind, record.name, schedule, scores)
    write_release(work, work.run.folder / release, node)
    checkpoints.drop_periodic(work.run, work.index)  # before: nothing comes back to a done stage
    offsets, digests = work.run.offsets(), work.run.digests()
    work.run.save_stage(
        work.index, status="done", release=release, offsets=offsets, digests=digests
    )


def measure(work: Work, release: str) -> list[Measured]:
    """The losses of the model as it is now, called ``release`` by its key; kept beside the Run."""
    model, say = work.model, work.listener.say
    return measure_release(work.opened, work.root, release, lambda: model, False, say)


def _enter(work: Work) -> None:
    """Begin the stage with the weights that it goes on from."""
    stages, record = work.run.manifest.stages, work.record
    before = stages[work.index - 1].offsets if work.index else {}
    work.run.cut(before)
    begin = record.begin
    if begin.kind == "trunk":
        assert begin.stage is not None
        _go_on(work, begin.stage)
    elif begin.kind == "start":
        model, say = work.model, work.listener.say
        key = work.run.manifest.start.key
        measure_release(work.opened, work.root, key, lambda: model, True, say)
        if work.recipe.takes_moments(work.index):
            brought = trainer_moments(find_model(str(work.recipe.model.from_)), model)
            load_optimizer_tensors(model, work.state.optimizer, brought.tensors)
    else:
        _take_weights(work)
    # A new stream lifts the loss far beyond the window's deviations.
    work.state.guard.empty()
    if work.recipe.evaluate.every:
        record_curve(work)


def _take_weights(work: Work) -> None:
    """Begin with the weights of a release, of this Run or another; a release has no moments."""
    begin = work.record.begin
    if begin.stage is not None:
        parent = work.run.manifest.stages[begin.stage]
        node = read_node(work.run.folder / str(parent.release))
        assert node is not None, "a release has its record"
        passed = node.details["passed"]
        assert isinstance(passed, int), "the clock is a count"
        work.state.step, work.state.passed = parent.last_step, passed
    if work.adapter is None:
        load_release(work.run, work.index, work.model)


def _go_on(work: Work, parent: int) -> None:
    """Begin at the end of the trunk of stage ``parent``, grown where the stage says so."""
    end = trunk_end(work.run, parent)
    if work.record.grow is not None:
        grow(work, end)
    elif work.recipe.has_same_optimizer(work.index):
        restore(work, end)
    else:
        _stand_at(work, end)
        if work.adapter is None:
            load_trunk_end(work.run, work.recipe, parent, work.opened, work.model)
    if work.recipe.stages[work.index].optimizer_state != "keep":
        work.state.optimizer.state.clear()


def _stand_at(work: Work, mark: Mark) -> None:
    """Set step and clock to those of a checkpoint."""
    work.state.step, work.state.passed = mark.step, passed_at(work.run, mark)


def restore(work: Work, mark: Mark, cut: bool = False) -> None:
    """Load a checkpoint; with ``cut`` also drop what was recorded after it."""
    folder = work.run.checkpoints / mark.name
    state = read_checkpoint_state(folder)
    work.state.load(load_checkpoint(folder), mark.step, state.passed)
    if cut:
        work.run.cut(state.offsets)


def save(work: Work, leg: str, schedule: Schedule) -> None:
    """Checkpoint the state; files are written in the background."""
    work.writer.wait()
    mark = Mark(work.index, work.record.name, leg, work.state.step)
    tensors = work.state.tensors()
    passed = work.state.passed
    facts = {"offsets": work.run.offsets(), "schedule": schedule, "passed": passed}
    work.writer.submit(lambda: checkpoints.write(work.run, mark, tensors, facts))


def train_to(work: Work, leg: str, schedule: Schedule, step: int) -> None:
    """Train to ``step``; a wish to stop saves first and raises Stopped.

    Raises EvergrowError, naming the last good checkpoint, when training failed.
    """
    stop, train = work.listener.stop, work.train
    rule = sub_models(work.run.manifest, work.recipe, work.index)
    rate_at = _rate(work, schedule)
    way = Leg(
        work.objective.loss,
        work.batch_at,
        rate_at,
        _seed(work),
        part_at=_part_at(work, rule, rate_at),
        update_at=work.clock.during if work.clock else everything,
    )
    report = _recorder(work, leg, schedule)
    try:
        train_until(work.state, step, way, train, report, stop.requested)
    except EvergrowError as error:
        work.writer.wait()
        saved = (
            checkpoints.newest(work.run, work.index, leg)
            or (checkpoints.marks(work.run) or [None])[-1]
        )
        last = f"the last good checkpoint is {saved.name}" if saved else "nothing was saved yet"
        raise EvergrowError(f"{work.run.folder}: {error}; {last}") from error
    if work.state.step < step:
        assert stop.signal is not None
        save(work, leg, schedule)
        work.writer.wait()
        passed = f"{work.state.passed:,} {work.objective.counted}"
        where = f"step {work.state.step} ({passed}) of {work.record.name}"
        raise Stopped(stop.signal, where)


def _part_at(
    work: Work, rule: SubModels | None, rate_at: Callable[[int], float]
) -> Callable[[int], AbstractContextManager[None]]:
    """What part of the model a step trains: a sub-model, the groups that are open, or all."""
    if rule is not None:
        return partial(sub_model, work.model, rule)
    if work.depth is not None:
        return partial(_by_depth, work, work.depth, rate_at)
    return everything


@contextmanager
def _by_depth(
    work: Work, plan: DepthPlan, rate_at: Callable[[int], float], step: int
) -> Iterator[None]:
    """The groups that train in a step.

    The gradient of more layers is longer by more than the window's deviations (a ResNet's head,
    then a stage: 22 times, and 5 of the next 10 steps skipped; measured): when others train than
    before, the window is emptied.
    """
    if plan.changes(step):
        work.state.guard.empty()
    with plan.during(work.state.optimizer, rate_at, step):
        yield


def _recorder(work: Work, leg: str, schedule: Schedule) -> Callable[[list[Record], float], None]:
    """What turns the loop's records into lines of metrics.jsonl and timing.jsonl."""
    record = work.record
    costs = step_costs(work.run.manifest, work.index)
    dtype = computed_in(work.train, work.state.device)
    peak = _peak_flops(work.state.device, dtype, torch.get_num_threads())
    place = {"stage": record.name, "leg": leg}
    first, before, total = _progress(work, leg, schedule)
    passed = work.state.passed

    def report(records: list[Record], seconds: float) -> None:
        nonlocal passed
        lines = [{**place, **r} for r in records]
        work.run.append("metrics", lines)
        speed = (records[-1]["tokens"] - passed) / seconds
        passed = records[-1]["tokens"]
        reached = sum(costs.of(r["step"]) * _computed(work, r["step"]) for r in records) / seconds
        timing = {
            **place,
            "step": records[-1]["step"],
            "seconds": round(seconds, 6),
            "tokens_per_second": round(speed, 1),
            "mfu": round(reached / peak, 4),
            "peak_memory_bytes": peak_memory_bytes(work.state.device),
        }
        work.run.append("timing", [timing])
        done = before + records[-1]["step"] - first
        read = Reading(
            lines[-1]["loss"],
            lines[-1]["lr"],
            timing["tokens_per_second"],
            record.counted,
            timing["mfu"],
            timing["peak_memory_bytes"],
        )
        work.listener.progress(Progress(work.run.folder, record.name, leg, done, total, read))

    return report


@cache
def _peak_flops(device: torch.device, dtype: torch.dtype, threads: int) -> float:
    """Measured once a process: it takes 0.3 s, and a stage comes here at every checkpoint."""
    return peak_flops(device, dtype)


def _computed(work: Work, step: int) -> float:
    """The share of a whole step's operations that a step takes: frozen layers need fewer."""
    if work.adapter is not None:
        return 2 / 3  # of 6 N a token: no gradients of weights, 2 N, but those of adapters
    return 1.0 if work.depth is None else work.depth.computed(step)


def _progress(work: Work, leg: str, schedule: Schedule) -> tuple[int, int, int]:
    """A leg's first step, the steps of its stage done before it, and all that there are to do."""
    record = work.record
    fork, end = record.fork_step, record.last_step
    if leg == "trunk":
        return record.first_step, 0, record.all_steps
    if leg == "anneal":
        assert fork is not None
        return fork, record.trunk_end - record.first_step, record.all_steps
    last = Segment.model_validate(schedule[-1]).end
    assert last is not None, "a branch ends"
    return end, 0, (last - record.clock_at(end)) // record.per_step


def record_curve(work: Work) -> None:
    """Measure a part of every stream inside a stage, and append it to evals.jsonl."""
    step, record = work.state.step, work.record
    place = {"stage": record.name, "leg": "trunk", "step": step, "tokens": work.state.passed}
    where = f"{work.run.folder}: step {step} of {record.name}"
    found = measure_part(work.opened, work.model, work.recipe.measured, where)
    work.run.append("evals", [{**place, **line.model_dump(exclude_none=True)} for line in found])


def _rate(work: Work, schedule: Schedule) -> Callable[[int], float]:
    """The learning rate by step; of a branch also before it left the trunk, which is the trunk's.

    Layers on a clock of their own (train/depth.py) read the schedule at an earlier step.
    """
    record = work.record
    branch, trunk = ([Segment.model_validate(s) for s in x] for x in (schedule, record.schedule))
    policy = work.recipe.stages[work.index].optimizer_state
    refilled = record.first_step + (policy.refill if isinstance(policy, Refill) else 0)

    def rate_at(step: int) -> float:
        if step <= refilled:
            return 0.0
        clock = record.clock_at(step)
        return rate(branch if clock > branch[0].start else trunk, clock)

    return rate_at


def _checkpoint_every(work: Work) -> int:
    """Steps between periodic checkpoints."""
    tokens = work.recipe.checkpoints.every
    if tokens is None:
        return math.ceil(work.record.num_steps / CHECKPOINTS_A_STAGE)
    return _steps(work, tokens)


def _steps(work: Work, tokens: int) -> int:
    return max(1, round(tokens / work.record.per_step))


def _seed(work: Work) -> int:
    return work.run.manifest.seed


def _say_what_comes(work: Work, begun: Mark | None) -> None:
    """Say what is restored, what is re-initialised, and the next learning rate."""
    record = work.record
    next_rate = _rate(work, record.schedule)(work.state.step + 1)
    restored, renewed = _what_is_restored(work, begun)
    manifest = work.run.manifest
    seed = f", seed {manifest.seed}" if work.run.folder.name.startswith("seed-") else ""
    work.listener.say(
        f"{manifest.arm}{seed}, {record.name}: {restored}; re-initialised {renewed}; "
        f"next rate {next_rate:.3g}{_what_trains(work)}{_what_fills(work, begun)}"
    )


def _what_fills(work: Work, begun: Mark | None) -> str:
    """How long fresh moments at a loaded model's weights are given to fill, and by which rule."""
    if begun is not None or not work.recipe.has_fresh_moments(work.index):
        return ""
    first = Segment.model_validate(work.record.schedule[0])
    warmed = first.end if first.end and first.from_lr < first.to_lr else first.start
    steps = (warmed - work.record.clock) // work.record.per_step
    if steps < 0:  # the trunk's schedule goes on
        return ""
    least = least_warmup(work.train.optimizer.beta2)
    rule = ", 2 / (1 - beta2), in which the optimiser's moments fill" if steps == least else ""
    return f"; warms up over {steps} steps{rule}"


def _what_is_restored(work: Work, begun: Mark | None) -> tuple[str, str]:
    """What a stage goes on with, restored or made, and what of it is made anew, in words."""
    record, stages = work.record, work.run.manifest.stages
    begin = record.begin
    made = (
        "optimiser, spike window" if work.adapter is None else "adapters, optimiser, spike window"
    )
    if begun is not None:
        return f"restored everything at {begun.name}", "nothing"
    if begin.kind == "start":
        source = work.run.manifest.start.source
        if work.recipe.takes_moments(work.index):
            return f"restored weights and optimiser of {source}", "spike window"
        verb = "made" if work.recipe.model.from_ is None else "restored"
        return f"{verb} weights of {source}", made
    if begin.kind == "model":
        return f"restored weights of {begin.model}", f"{made}, clock"
    assert begin.stage is not None
    parent = stages[begin.stage].name
    if begin.kind == "release":
        return f"restored weights of the release of {parent}", made
    if record.grow is not None:
        renewed = {
            "asymmetric": "spike window, moments of new parameters",
            "copy": "spike window",
            "drop": "optimiser, spike window",
        }[str(record.grow["optimizer_state"])]
        return f"restored weights at the end of {parent}, {in_words(work)}", renewed
    kept = work.recipe.stages[work.index].optimizer_state == "keep"
    kept = kept and work.recipe.has_same_optimizer(work.index)
    what = f"restored weights{' and optimiser' if kept else ''} at the end of {parent}"
    return what, "spike window" if kept else made


def _what_trains(work: Work) -> str:
    """Which groups of layers the next step trains, or which adapters, where not the whole model."""
    if work.adapters is not None:
        told = work.adapters
        return (
            f"; trains {told.num_trained:,} of {work.counts.num_parameters:,} parameters: adapters "
            f"of rank {told.rank}, alpha {told.alpha:g}, on {', '.join(told.targets)}"
            + ("; experts are no linear layers and stay" if has_expert_maps(work.model) else "")
        )
    if work.depth is None:
        return ""
    frozen = work.depth.frozen(work.state.step + 1)
    groups = list(work.depth.windows)
    return f"; trains {', '.join(g for g in groups if g not in frozen)} of {', '.join(groups)}"
