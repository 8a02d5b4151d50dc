"""What ``continue --dry`` says: the shift of the data, and the stage that would be trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evergrow.flow.asked import Mix
from evergrow.flow.dry import Plan, draw_plan
from evergrow.flow.first_stage import first_recipe
from evergrow.flow.plan import lay_schedule
from evergrow.flow.shift import Shift, measure_shift
from evergrow.flow.verbs import stage_after
from evergrow.listener import Listener
from evergrow.run import Run
from evergrow.schedules import StageSchedule, num_steps, rate
from evergrow.stage.records import Timing, read_lines


@dataclass(frozen=True)
class NextStage:
    """A new stage on a run's trunk: its steps, its rates, and its time at the last one's pace."""

    name: str
    num_steps: int
    tokens: int
    first_rate: float
    highest_rate: float
    last_rate: float
    replay: float
    seconds: float | None


@dataclass(frozen=True)
class Ahead:
    """The shift of new files, and what would be trained: a run's next stage, or a model's plan."""

    shift: Shift | None
    stage: NextStage | None = None
    plan: Plan | None = None


def ahead_of_run(
    folder: Path,
    data: Sequence[str],
    tokens: int,
    name: str,
    settings: Mapping[str, Any],
    mix: Mix | None,
) -> Ahead:
    """What ``continue_run`` would do; files that the run itself has are not measured."""
    root, old, recipe = stage_after(folder, data, tokens, name, settings, mix)
    run, index = Run(root / old.folder), len(recipe.stages) - 1
    last = run.manifest.stages[index - 1]
    start, per_step = last.clock_at(last.last_step), last.per_step
    steps = num_steps(recipe.stages[index].length, per_step)
    before = StageSchedule.model_validate({"trunk": last.schedule, "release": None, "fork": None})
    laid = lay_schedule(recipe, index, start, steps, per_step, before)
    rates = [rate(laid.trunk, start + per_step * (step + 1)) for step in range(steps)]
    timed = read_lines(run.folder / "timing.jsonl", Timing)
    pace = sum(line.seconds for line in timed)
    read = sum(line.seconds * line.tokens_per_second for line in timed)
    stage = NextStage(
        name=name,
        num_steps=steps,
        tokens=steps * per_step,
        first_rate=rates[0],
        highest_rate=max(rates),
        last_rate=rates[-1] if laid.release is None else laid.release[-1].to_lr,
        replay=recipe.replay_of(index).fraction,
        seconds=steps * per_step * pace / read if read else None,
    )
    return Ahead(measure_shift(str(folder), data) if data else None, stage)


def ahead_of_model(
    model: str,
    data: Sequence[str],
    tokens: int,
    name: str,
    runs: Path,
    listener: Listener,
    settings: Mapping[str, Any],
    evaluate: Sequence[str],
    mix: Mix | None,
) -> Ahead:
    """What ``continue_model`` would do, at the proposed rate where none is given."""
    found = measure_shift(model, data, evaluate)
    given = {"schedule.peak_lr": found.rate, **settings}
    recipe = first_recipe(model, data, tokens, name, listener, given, evaluate, mix)
    return Ahead(found, plan=draw_plan(recipe, Path.cwd(), listener, runs))
