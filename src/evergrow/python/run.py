"""Verbs that train: run, plan, continue_, extend, anneal."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evergrow.config import parse_count
from evergrow.errors import InputError
from evergrow.flow.annealing import anneal as annealed
from evergrow.flow.dry import draw_plan
from evergrow.flow.find import find_root, runs_of
from evergrow.flow.first_stage import continue_model
from evergrow.flow.pages import Carried
from evergrow.flow.recipes import carry_out
from evergrow.flow.verbs import continue_run
from evergrow.flow.verbs import extend as extended
from evergrow.listener import Listener
from evergrow.python.bar import watched
from evergrow.python.results import PathLike, Record, Release, Result
from evergrow.recipe import Recipe, decode_recipe, find_recipe, load_recipe
from evergrow.report import write_report
from evergrow.schedules import AnnealShape
from evergrow.stage.summary import read_summary, write_summary

Settings = Mapping[str, Any]  # by dotted path, as on the command line: {"train.batch_size": 8}
Files = PathLike | Sequence[PathLike]
Count = int | str  # 2_000_000 or "2M"


def run(
    recipe: PathLike | Mapping[str, Any],
    settings: Settings | None = None,
    *,
    runs: PathLike = "runs",
    fresh: bool = False,
    listener: Listener | None = None,
) -> Result:
    """Carry out a recipe in ``runs/<name>``; again goes on where it stopped.

    A recipe is a file, plain data, whose paths start at the current folder, or the name of one that
    comes along: quickstart. ``settings`` override it by dotted path. ``fresh`` deletes what the run
    made so far. Raises InputError for what is wrong in the recipe,
    Stopped when interrupted (all is saved), EvergrowError when training failed.
    """
    loaded, base, runs = _opened(recipe, settings, runs)
    with watched(listener) as watch:
        return _result(carry_out(loaded, runs, base, watch, fresh))


def plan(
    recipe: PathLike | Mapping[str, Any],
    settings: Settings | None = None,
    *,
    runs: PathLike = "runs",
    listener: Listener | None = None,
) -> Record:
    """What ``run`` would do: steps, rates, tokens by source, memory, disk and time.

    Data is prepared in a temporary folder and three steps are taken; nothing is kept.
    """
    from dataclasses import asdict

    from evergrow.cli.run import show_plan

    loaded, base, runs = _opened(recipe, settings, runs)
    with watched(listener) as watch:
        drawn = draw_plan(loaded, base, watch, runs)
    return Record(asdict(drawn), lambda: show_plan(drawn))


def _opened(
    recipe: PathLike | Mapping[str, Any], settings: Settings | None, runs: PathLike
) -> tuple[Recipe, Path, Path]:
    """A recipe, where its paths start, and where its run is kept."""
    if isinstance(recipe, Mapping):
        return decode_recipe(dict(recipe), dict(settings or {})), Path.cwd(), Path(runs)
    path = find_recipe(Path(recipe))
    loaded = load_recipe(path, dict(settings or {}))
    return loaded, path.resolve().parent, runs_of(path, Path(runs))


def continue_(
    model: PathLike,
    data: Files = (),
    *,
    tokens: Count,
    name: str | None = None,
    peak_lr: float | None = None,
    replay: float | None = None,
    evaluate: Files = (),
    settings: Settings | None = None,
    runs: PathLike = "runs",
    listener: Listener | None = None,
) -> Result:
    """A new stage on ``data``: on a run's trunk, or on a model (a folder or hub id) without a run.

    A model needs ``peak_lr``, and takes files to ``evaluate`` alone; a run takes ``replay``, the
    share of old data, and without ``data`` learns what its own files have by now that it has not
    read. ``tokens`` is a count such as "2M". ``name`` is the stage's (and a new run's): by default
    that of the first folder or file of ``data``. ``settings`` are dotted keys of the new stage, or
    of a model's new recipe. Raises what ``run`` does.
    """
    learnt, measured = globs_of(data), globs_of(evaluate)
    stage, length, changes = name or named(learnt), tokens_of(tokens), dict(settings or {})
    given = {"peak_lr": peak_lr, "evaluate": measured or None, "replay": replay}
    is_run = Path(model).is_dir() and not (Path(model) / "config.json").exists()
    for word in ("peak_lr", "evaluate") if is_run else ("replay",):
        if given[word] is not None:
            raise InputError(_REFUSED[word].format(model=os.fspath(model)))
    if peak_lr is not None:
        changes["schedule.peak_lr"] = peak_lr
    if replay is not None:
        changes["replay.fraction"] = replay
    if not is_run and not learnt:
        raise InputError(f"data: {os.fspath(model)} has no run and has read no files; name some")
    with watched(listener) as watch:
        if is_run:
            carried = continue_run(Path(model), learnt, length, stage, watch, changes)
        else:
            carried = continue_model(
                os.fspath(model), learnt, length, stage, Path(runs), watch, changes, measured
            )
    return _result(carried)


_REFUSED = {
    "peak_lr": "peak_lr: {model} is a run, whose schedule goes on; leave it out",
    "evaluate": "evaluate: {model} is a run; measure it with eval_(run, add={{name: files}})",
    "replay": "replay: {model} has no run, so there is no old data; leave it out",
}


def globs_of(files: Files) -> list[str]:
    given = [files] if isinstance(files, str | os.PathLike) else files
    return [os.fspath(file) for file in given]


def named(globs: Sequence[str]) -> str:
    """The last plain folder or file of the first glob: ``notes`` of ``my/notes/**/*.md``."""
    plain: list[str] = []
    for part in Path(globs[0]).parts if globs else ():
        if re.search(r"[*?\[]", part):
            break
        plain.append(part)
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(plain[-1]).stem).strip("-_") if plain else ""
    if not name:
        raise InputError(f"name: {list(globs)} name no folder; give the new stage a name")
    return name[:64]


def tokens_of(count: Count) -> int:
    """At least one token, from a number or from words such as "2M"; raises InputError."""
    try:
        number = int(str(parse_count(count)))
    except ValueError as error:
        raise InputError(f"tokens: {error}") from error
    if number < 1:
        raise InputError(f"tokens: expected at least one, got {count}")
    return number


def extend(run: PathLike, tokens: Count, *, listener: Listener | None = None) -> Result:
    """``tokens`` more of a run's last stage; its release is made anew at the new end.

    Raises InputError for a schedule that was planned to its end, and for an unfinished stage.
    """
    with watched(listener) as watch:
        return _result(extended(Path(run), tokens_of(tokens), watch))


def anneal(
    run: PathLike,
    tokens: Count,
    *,
    shape: AnnealShape = "exponential",
    floor: float = 0.1,
    listener: Listener | None = None,
) -> Release:
    """A release on request: off the trunk's head, the rate down to ``floor`` of the peak.

    The trunk is untouched. ``shape``: exponential, linear, one_minus_sqrt or cosine. Raises
    InputError when there is nothing to anneal, or the release is there already.
    """
    with watched(listener) as watch:
        return Release(annealed(Path(run), tokens_of(tokens), shape, floor, watch))


def load(run: PathLike) -> Result:
    """What a run has left so far, read from its folder; nothing is trained.

    Raises InputError for a folder that is no run's.
    """
    root = find_root(Path(run))
    page, is_summed_up = root / "report.html", (root / "summary.json").exists()
    summary = read_summary(root) if is_summed_up else write_summary(root, "running")
    return Result(root, page if page.exists() else write_report(root), summary)


def _result(carried: Carried) -> Result:
    return Result(carried.folder, carried.report, carried.summary)
