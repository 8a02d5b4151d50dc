"""One stage of one Run: trunk, branch, release, measurements; resumes wherever it was killed."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from pydantic import JsonValue
from torch import nn

from evergrow.errors import EvergrowError, Stopped
from evergrow.flow import checkpoints
from evergrow.flow.checkpoints import Mark
from evergrow.flow.flops import count, step_costs, sub_models
from evergrow.flow.growth import grow, in_words
from evergrow.flow.listener import Listener, Progress
from evergrow.flow.release import write_release
from evergrow.flow.work import Work, open_work
from evergrow.models.load import load_model
from evergrow.run import Counts, Run, load_checkpoint, locked, read_checkpoint_state
from evergrow.schedules import Segment, rate
from evergrow.train.config import Refill
from evergrow.train.depth import DepthPlan
from evergrow.train.loop import Leg, Record, everything, train_until
from evergrow.train.speed import peak_flops, peak_memory_bytes
from evergrow.train.two_stage import SubModels

CHECKPOINTS_A_STAGE = 10

Schedule = list[dict[str, JsonValue]]  # segments as manifests and checkpoints hold them


def carry_out_stage(folder: Path, index: int, listener: Listener) -> None:
    """Train stage ``index`` of the Run in ``folder`` and release it; nothing is done twice.

    Raises Stopped when a signal asked to stop (everything is saved), EvergrowError when training
    failed (the last good checkpoint is named).
    """
    with locked(folder), listener.stop.listening():
        run = Run(folder)
        begun = checkpoints.first_usable(run, index)
        work = open_work(folder, index, listener, fresh=index == 0 and begun is None)
        work.run.save_stage(index, status="training", model=_counts(work))
        try:
            if not _release_begun(work, begun):
                checkpoints.drop_leg(run, index, "anneal")
                train_trunk(work, begun)
            if work.record.fork_step is not None:
                train_release(work)
            finish(work)
        finally:
            work.writer.close()


def _counts(work: Work) -> Counts:
    model: Any = work.model
    return count(work.recipe, work.index, model)


def _release_begun(work: Work, begun: Mark | None) -> bool:
    """Whether the trunk is whole and the planned anneal has a checkpoint to go on from."""
    record = work.record
    if begun is None or begun.step < record.first_step + record.num_steps:
        return False
    schedule = record.release_schedule or []
    found = checkpoints.newest_of_branch(work.run, work.index, "anneal", schedule)
    return found is not None


def train_trunk(work: Work, begun: Mark | None) -> None:
    """Bring the trunk to the stage's end, measuring and saving on the way."""
    record = work.record
    end = record.first_step + record.num_steps
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
            record_evals(work, "trunk", partial=True)
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
    end = record.first_step + record.num_steps
    begun = checkpoints.newest(work.run, work.index, "anneal")
    if begun is None:
        trunk_end = Mark(work.index, record.name, "trunk", end)
        restore(work, Mark(work.index, record.name, "trunk", record.fork_step))
        work.run.cut(read_checkpoint_state(work.run.checkpoints / trunk_end.name)["offsets"])
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
    scores = record_evals(work, "release", partial=False)
    record_samples(work, first=False)
    record_probes(work, first=False)
    release = f"releases/{record.name}"
    schedule = [*record.schedule, *(record.release_schedule or [])]
    write_release(work, work.run.folder / release, record.name, schedule, scores)
    checkpoints.drop_periodic(work.run, work.index)  # before: nothing comes back to a done stage
    work.run.save_stage(work.index, status="done", release=release, offsets=work.run.offsets())


def _enter(work: Work) -> None:
    """Begin the stage with the trunk's weights as the stage before left them."""
    if work.index:
        parent = work.run.manifest.stages[work.index - 1]
        end = Mark(work.index - 1, parent.name, "trunk", parent.first_step + parent.num_steps)
        if work.record.grow is None:
            restore(work, end)
        else:
            grow(work, end)
        work.run.cut(parent.offsets)
        measure_earlier(work)
        if work.recipe.stages[work.index].optimizer_state != "keep":
            work.state.optimizer.state.clear()
    else:
        work.run.cut({})
        record_evals(work, "start", partial=False)
        record_samples(work, first=True)
        record_probes(work, first=True)
    # A new stream lifts the loss far beyond the window's deviations.
    work.state.guard.empty()
    if work.recipe.evaluate.every:
        record_evals(work, "trunk", partial=True)


def restore(work: Work, mark: Mark, cut: bool = False) -> None:
    """Load a checkpoint; with ``cut`` also drop what was recorded after it."""
    folder = work.run.checkpoints / mark.name
    work.state.load(load_checkpoint(folder), mark.step)
    if cut:
        work.run.cut(read_checkpoint_state(folder)["offsets"])


def save(work: Work, leg: str, schedule: Schedule) -> None:
    """Checkpoint the state; files are written in the background."""
    work.writer.wait()
    mark = Mark(work.index, work.record.name, leg, work.state.step)
    tensors = work.state.tensors()
    facts = {"offsets": work.run.offsets(), "schedule": schedule}
    work.writer.submit(lambda: checkpoints.write(work.run, mark, tensors, facts))


def train_to(work: Work, leg: str, schedule: Schedule, step: int) -> None:
    """Train to ``step``; a wish to stop saves first and raises Stopped.

    Raises EvergrowError, naming the last good checkpoint, when training failed.
    """
    stop, train = work.listener.stop, work.recipe.train
    rule = sub_models(work.run.manifest, work.recipe, work.index)
    rate_at = _rate(work, schedule)
    way = Leg(
        work.objective,
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
        tokens = work.state.step * work.recipe.train.tokens_per_step
        where = f"step {work.state.step} ({tokens:,} tokens) of {work.record.name}"
        raise Stopped(stop.signal, where)


def _part_at(
    work: Work, rule: SubModels | None, rate_at: Callable[[int], float]
) -> Callable[[int], AbstractContextManager[None]]:
    """What part of the model a step trains: a sub-model, the groups that are open, or all."""
    if rule is not None:
        return partial(rule.during, work.model)
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
    train, record = work.recipe.train, work.record
    per_step = train.tokens_per_step
    costs = step_costs(work.run.manifest, work.index)
    peak = _peak_flops(work.state.device, torch.get_num_threads())
    place = {"stage": record.name, "leg": leg}
    first, before, total = _progress(work, leg, schedule)

    def report(records: list[Record], seconds: float) -> None:
        lines = [{**place, **r, "tokens": r["step"] * per_step} for r in records]
        work.run.append("metrics", lines)
        speed = len(records) * per_step / seconds
        timing = {
            **place,
            "step": records[-1]["step"],
            "seconds": round(seconds, 6),
            "tokens_per_second": round(speed, 1),
            "mfu": round(sum(costs.of(r["step"]) for r in records) / seconds / peak, 4),
            "peak_memory_bytes": peak_memory_bytes(work.state.device),
        }
        work.run.append("timing", [timing])
        done = before + records[-1]["step"] - first
        progress = Progress(work.run.folder, record.name, leg, done, total, {**lines[-1], **timing})
        work.listener.progress(progress)

    return report


@cache
def _peak_flops(device: torch.device, threads: int) -> float:
    """Measured once a process: it takes 0.1 s, and a stage comes here at every checkpoint."""
    return peak_flops(device)


def _progress(work: Work, leg: str, schedule: Schedule) -> tuple[int, int, int]:
    """A leg's first step, the steps of its stage done before it, and all that there are to do."""
    record = work.record
    fork, end = record.fork_step, record.first_step + record.num_steps
    total = record.num_steps + (0 if fork is None else end - fork)
    if leg == "trunk":
        return record.first_step, 0, total
    if leg == "anneal":
        assert fork is not None
        return fork, record.num_steps, total
    last = Segment.model_validate(schedule[-1]).end
    assert last is not None, "a branch ends"
    return end, 0, last // work.recipe.train.tokens_per_step - end


def record_evals(
    work: Work, leg: str, partial: bool, branch: str | None = None
) -> list[dict[str, Any]]:
    """Measure every stream, append the result to evals.jsonl and return its lines."""
    place = {
        "stage": None if leg == "start" else work.record.name,
        "leg": leg,
        "step": work.state.step,
        "tokens": work.state.step * work.recipe.train.tokens_per_step,
        "partial": partial,
        **({"branch": branch} if branch else {}),
    }
    lines = work.data.measure(work.model, work.recipe.measured, partial)
    _refuse_not_finite(work, lines)
    work.run.append("evals", [{**place, **line} for line in lines])
    return lines


def _refuse_not_finite(work: Work, lines: list[dict[str, Any]]) -> None:
    """Raise EvergrowError for a loss that is no number: what follows would mean nothing."""
    for line in lines:
        if not math.isfinite(line["loss"]):
            raise EvergrowError(
                f"{work.run.folder}: step {work.state.step} of {work.record.name}: the loss on "
                f"held-out {line['source']} is {line['loss']}, not a finite number; lower peak_lr "
                "or look at the data"
            )


def measure_earlier(work: Work) -> None:
    """Measure the first weights and earlier releases on sources that came later: what a new stage
    adds to the matrix of losses, to probes, and to the sheets before training."""
    lines = [line for line in work.run.read("evals") if line["leg"] in ("start", "release")]
    known = {(line["stage"], line["source"]) for line in lines}
    earlier = work.run.manifest.stages[: work.index]
    for stage in [None, *earlier]:
        name = None if stage is None else stage.name
        missing = [source for source in work.recipe.measured if (name, source) not in known]
        if not missing:
            continue
        made = None if stage is None else work.run.folder / str(stage.release)
        model = work.data.first_model(_unsaid) if made is None else load_model(made)
        step = 0 if stage is None else stage.first_step + stage.num_steps
        place = {
            "stage": name,
            "leg": "start" if stage is None else "release",
            "step": step,
            "tokens": step * work.recipe.train.tokens_per_step,
            "partial": False,
        }
        torch.nn.Module.to(model, work.state.device)
        found = work.data.measure(model, missing, partial=False)
        work.run.append("evals", [{**place, **line} for line in found])
        if made is None:
            _record_samples(work, model, missing, None, step)
        _record_probes(work, model, missing, name, step)


def _unsaid(sentence: str) -> None:
    """What was said when the Run began is not said again."""


def record_samples(work: Work, first: bool) -> None:
    """Let a release, or the first weights, show what it does; of words that is the drift of
    domains, not quality."""
    stage = None if first else work.record.name
    _record_samples(work, work.model, work.recipe.measured, stage, work.state.step)


def _record_samples(
    work: Work, model: nn.Module, names: Sequence[str], stage: str | None, step: int
) -> None:
    lines = work.data.samples(model, names, work.run.folder, stage)
    if lines:
        work.run.append("samples", [{"stage": stage, "step": step, **line} for line in lines])


def record_probes(work: Work, first: bool) -> None:
    """Record what a simple rule tells from features: of the first weights, and of releases."""
    stage = None if first else work.record.name
    _record_probes(work, work.model, work.recipe.measured, stage, work.state.step)


def _record_probes(
    work: Work, model: nn.Module, names: Sequence[str], stage: str | None, step: int
) -> None:
    lines = work.data.probes(model, names, stage is None, work.listener.say)
    if lines:
        work.run.append("probes", [{"stage": stage, "step": step, **line} for line in lines])


def _rate(work: Work, schedule: Schedule) -> Callable[[int], float]:
    """The learning rate by step; of a branch also before it left the trunk, which is the trunk's.

    Layers on a clock of their own (train/depth.py) read the schedule at an earlier step.
    """
    record = work.record
    branch, trunk = ([Segment.model_validate(s) for s in x] for x in (schedule, record.schedule))
    tokens = work.recipe.train.tokens_per_step
    policy = work.recipe.stages[work.index].optimizer_state
    refilled = record.first_step + (policy.refill if isinstance(policy, Refill) else 0)

    def rate_at(step: int) -> float:
        if step <= refilled:
            return 0.0
        return rate(branch if step * tokens > branch[0].start else trunk, step * tokens)

    return rate_at


def _checkpoint_every(work: Work) -> int:
    """Steps between periodic checkpoints."""
    tokens = work.recipe.checkpoints.every
    if tokens is None:
        return math.ceil(work.record.num_steps / CHECKPOINTS_A_STAGE)
    return _steps(work, tokens)


def _steps(work: Work, tokens: int) -> int:
    return max(1, round(tokens / work.recipe.train.tokens_per_step))


def _seed(work: Work) -> int:
    return work.run.manifest.seed


def _say_what_comes(work: Work, begun: Mark | None) -> None:
    """Say what is restored, what is re-initialised, and the next learning rate."""
    record = work.record
    next_rate = _rate(work, record.schedule)(work.state.step + 1)
    if begun is not None:
        restored, renewed = f"everything at {begun.name}", "nothing"
    elif work.index == 0:
        restored, renewed = (
            f"weights of {work.run.manifest.model['source']}",
            "optimiser, spike window",
        )
    elif record.grow is not None:
        parent = work.run.manifest.stages[work.index - 1].name
        restored = f"weights at the end of {parent}, {in_words(work)}"
        renewed = {
            "asymmetric": "spike window, moments of new parameters",
            "copy": "spike window",
            "drop": "optimiser, spike window",
        }[str(record.grow["optimizer_state"])]
    else:
        parent = work.run.manifest.stages[work.index - 1].name
        kept = work.recipe.stages[work.index].optimizer_state == "keep"
        restored = f"weights{' and optimiser' if kept else ''} at the end of {parent}"
        renewed = "spike window" if kept else "optimiser, spike window"
    manifest = work.run.manifest
    seed = f", seed {manifest.seed}" if work.run.folder.name.startswith("seed-") else ""
    work.listener.say(
        f"{manifest.arm}{seed}, {record.name}: restored {restored}; re-initialised {renewed}; "
        f"next rate {next_rate:.3g}{_what_trains(work)}"
    )


def _what_trains(work: Work) -> str:
    """Which groups of layers the next step trains, where a plan says so."""
    if work.depth is None:
        return ""
    frozen = work.depth.frozen(work.state.step + 1)
    groups = list(work.depth.windows)
    return f"; trains {', '.join(g for g in groups if g not in frozen)} of {', '.join(groups)}"
