"""Commands that train: run, continue, extend, anneal; the plan before and the arms after."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from evergrow.cli.live import tell_page, watching
from evergrow.cli.options import (
    RUNS,
    Json,
    ManyFiles,
    Opens,
    Overrides,
    RecipePath,
    RunPath,
    Runs,
    Settings,
    Tokens,
    mix_of,
    settings_of,
)
from evergrow.cli.terminal import beside, console, megabytes, print_json, rounded
from evergrow.errors import InputError

if TYPE_CHECKING:
    from evergrow.flow.ahead import Ahead
    from evergrow.flow.asked import Mix
    from evergrow.flow.dry import Plan, StagePlan
    from evergrow.flow.pages import Carried
    from evergrow.stage.summary import Summary

app = typer.Typer(rich_markup_mode=None)
Shape = Literal["exponential", "linear", "one_minus_sqrt", "cosine"]
_BARS = "▁▂▃▄▅▆▇█"


@app.command()
def run(
    recipe: RecipePath,
    overrides: Overrides = None,
    runs: Runs = RUNS,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Delete what the run made so far.")
    ] = False,
    dry: Annotated[bool, typer.Option("--dry", help="Draw the plan and write nothing.")] = False,
    opens: Opens = False,
    as_json: Json = False,
) -> None:
    """Carry out a recipe; run again, or run its copy in the run's folder, to go on."""
    from evergrow.flow.asked import refuse_absent
    from evergrow.flow.find import runs_of
    from evergrow.recipe import find_recipe, load_recipe

    recipe = find_recipe(recipe)
    loaded = load_recipe(recipe, settings_of(overrides))
    runs, base = runs_of(recipe, runs), recipe.resolve().parent
    refuse_absent(loaded, base, runs / loaded.name)
    from evergrow.flow.dry import draw_plan  # after the recipe: its mistakes need no torch
    from evergrow.flow.recipes import carry_out

    with watching(beside if as_json else None) as listener:
        if dry:
            plan = draw_plan(loaded, base, listener, runs)
        else:
            tell_page(listener, opens)
            carried = carry_out(loaded, runs, base, listener, fresh)
    if dry:
        print_json(asdict(plan)) if as_json else show_plan(plan)
    else:
        _show(carried, as_json)


@app.command("continue", cls=ManyFiles)
def continue_(
    model: Annotated[
        str, typer.Argument(help="A run, a Hugging Face model folder, a GGUF file or a hub id.")
    ],
    tokens: Tokens,
    name: Annotated[str, typer.Option(help="The new stage's name (and a new run's).")],
    data: Annotated[
        list[str] | None, typer.Option(help="Files to learn: a folder, a glob, or many.")
    ] = None,
    new: Annotated[
        bool, typer.Option("--new", help="What a run's own files have that it has not read.")
    ] = False,
    evaluate: Annotated[
        list[str] | None, typer.Option(help="Files only measured, for a model without a run.")
    ] = None,
    mix: Annotated[
        list[str] | None, typer.Option(help="General files and their share, learnt beside --data.")
    ] = None,
    peak_lr: Annotated[
        float | None,
        typer.Option(help="Peak rate, for a model without a run; Trainer's checkpoints say it."),
    ] = None,
    replay: Annotated[
        float | None, typer.Option(help="Share of old data in the new stage, for a run.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key.path=value of the new recipe or stage.")
    ] = None,
    dry: Annotated[
        bool,
        typer.Option("--dry", help="Measure how far the data lies off, propose; write nothing."),
    ] = False,
    runs: Runs = RUNS,
    opens: Opens = False,
) -> None:
    """A new stage with new data, on a run's trunk or on a model that has no run yet."""
    from evergrow.flow.asked import refuse_no_files

    if bool(data) == new:
        raise InputError("continue: give either --data with files, or --new for a run's own files")
    changes, mixed = settings_of(settings), mix_of(mix)
    refuse_no_files(data or [], Path.cwd(), "--data")
    refuse_no_files(evaluate or [], Path.cwd(), "--evaluate")
    refuse_no_files(mixed.globs if mixed else [], Path.cwd(), "--mix")
    if Path(model).is_dir() and not (Path(model) / "config.json").exists():
        if peak_lr is not None or evaluate:
            raise InputError(f"--peak-lr and --evaluate: {model} is a run and has its own")
        if replay is not None:
            changes["replay.fraction"] = replay
        _continue_run(Path(model), data or [], tokens, name, changes, mixed, opens, dry)
    else:
        if new:
            raise InputError(f"--new: {model} has no run, so it has read no files yet")
        if replay is not None:
            raise InputError(f"--replay: {model} has no run, so there is no old data to replay")
        if peak_lr is not None:
            changes["schedule.peak_lr"] = peak_lr
        _continue_model(
            model, data or [], tokens, name, runs, changes, evaluate or [], mixed, opens, dry
        )


def _continue_run(
    run: Path,
    data: list[str],
    tokens: int,
    name: str,
    changes: Settings,
    mixed: "Mix | None",
    opens: bool,
    dry: bool,
) -> None:
    from evergrow.flow.find import find_run

    find_run(run)
    if dry:
        from evergrow.flow.ahead import ahead_of_run

        _show_ahead(ahead_of_run(run, data, tokens, name, changes, mixed))
        return
    from evergrow.flow.verbs import continue_run  # after what was typed: its mistakes need no torch

    with watching() as listener:
        tell_page(listener, opens)
        carried = continue_run(run, data, tokens, name, listener, changes, mixed)
    _show(carried)


def _continue_model(
    model: str,
    data: list[str],
    tokens: int,
    name: str,
    runs: Path,
    changes: Settings,
    evaluate: list[str],
    mixed: "Mix | None",
    opens: bool,
    dry: bool,
) -> None:
    from evergrow.flow.asked import refuse_no_rate
    from evergrow.models.find import find_model, refuse_no_path

    refuse_no_path(model)
    if not dry:
        refuse_no_rate(model, changes)
    find_model(model)
    if dry:
        from evergrow.flow.ahead import ahead_of_model

        with watching() as listener:
            found = ahead_of_model(
                model, data, tokens, name, runs, listener, changes, evaluate, mixed
            )
        _show_ahead(found)
        return
    from evergrow.flow.first_stage import continue_model

    with watching() as listener:
        tell_page(listener, opens)
        carried = continue_model(
            model, data, tokens, name, runs, listener, changes, evaluate, mixed
        )
    _show(carried)


@app.command()
def extend(run: RunPath, tokens: Tokens, opens: Opens = False) -> None:
    """More of a run's last stage; its release is made anew at the new end."""
    from evergrow.flow.find import find_run

    find_run(run)
    from evergrow.flow.verbs import extend

    with watching() as listener:
        tell_page(listener, opens)
        carried = extend(run, tokens, listener)
    _show(carried)


@app.command()
def anneal(
    run: RunPath,
    tokens: Tokens,
    shape: Annotated[Shape, typer.Option(help="The way down.")] = "exponential",
    floor: Annotated[float, typer.Option(help="Last rate, as a share of the peak.")] = 0.1,
) -> None:
    """A release on request: branch off the trunk's head, rate to the floor, the trunk untouched."""
    from evergrow.flow.find import find_run, last_done

    last_done(find_run(run))
    from evergrow.flow.annealing import anneal

    with watching() as listener:
        release = anneal(run, tokens, shape, floor, listener)
    console.print(f"release: {release}", soft_wrap=True)


def _show_ahead(found: "Ahead") -> None:
    """How far the data lies off, and what would be trained on it."""
    from evergrow.cli.ahead import show_shift, show_stage

    if found.shift is not None:
        show_shift(found.shift)
    if found.stage is not None:
        show_stage(found.stage)
    if found.plan is not None:
        show_plan(found.plan)


def show_plan(plan: "Plan") -> None:
    """The plan of a recipe: rates as small pictures, tokens by source, cost."""
    table = Table("arm", "stage", "steps", "tokens by source", "learning rate", "release leaves at")
    top = max(rate for arm in plan.arms for stage in arm.stages for rate in stage.rates) or 1.0
    for arm in plan.arms:
        for stage in arm.stages:
            shared = " (shared)" if stage.name in arm.shared else ""
            reads = ", ".join(f"{name} {tokens:,}" for name, tokens in stage.reads.items())
            picture = "".join(_BARS[min(7, int(rate / top * 7.99))] for rate in stage.rates[::3])
            left = "the end" if stage.released_from is None else f"step {stage.released_from:,}"
            name = f"{arm.arm}, seed {arm.seed}"
            table.add_row(name, stage.name + shared, f"{stage.num_steps:,}", reads, picture, left)
    console.print(table)
    for arm in plan.arms:
        for stage in arm.stages:
            _show_growth(arm.arm, stage)
            if stage.num_trained is not None:
                console.print(
                    f"{arm.arm}: {stage.name} trains adapters alone, {stage.num_trained:,} "
                    f"parameters of {stage.num_parameters:,}",
                    soft_wrap=True,
                )
    console.print(
        f"{plan.num_parameters:,} parameters; "
        f"memory to train about {megabytes(plan.memory_bytes)}; "
        f"disk {megabytes(plan.disk_bytes)}; {plan.tokens_per_second:,.0f} tokens/s in one process "
        f"(three real steps), so about {plan.seconds / 60:.1f} min; nothing was written"
    )
    console.print(f"in memory: {_kept(plan)}", soft_wrap=True)


def _kept(plan: "Plan") -> str:
    """What a training step holds, part by part."""
    step = plan.memory
    parts = [
        f"parameters {megabytes(step.parameters)}",
        f"gradients {megabytes(step.gradients)}",
        f"moments {megabytes(step.moments)}",
        f"activations {megabytes(step.activations)}",
        f"logits and their gradients {megabytes(step.logits)}",
        f"a checkpoint's copy {megabytes(step.copy)}",
    ]
    each = f", in each of {plan.num_workers} processes" if plan.num_workers > 1 else ""
    return ", ".join(parts) + each


def _show_growth(arm: str, stage: "StagePlan") -> None:
    """What the model becomes before a stage, axis by axis, and why that is exact or not."""
    if not stage.growth:
        return
    console.print(
        f"{arm}: before {stage.name} the model grows to {stage.num_parameters:,} parameters; "
        f"the stage takes {stage.flops:.2e} FLOPs",
        soft_wrap=True,
    )
    for verdict in stage.growth:
        sizes = f"{verdict.axis} {verdict.before} to {verdict.after}"
        console.print(f"  {sizes}: {verdict.exactness}; {verdict.reason}", soft_wrap=True)


def _show(carried: "Carried", as_json: bool = False) -> None:
    if as_json:
        places = {"folder": str(carried.folder), "report": str(carried.report)}
        print_json({**carried.summary.model_dump(mode="json"), **places})
        return
    show_summary(carried.summary)
    if len(carried.summary.seeds) > 1 and len(carried.summary.arms) > 1:
        _show_verdict(carried.folder)
    console.print(f"report: {carried.report}", soft_wrap=True)


def _show_verdict(folder: Path) -> None:
    """What the page says of the arms, paired by seed."""
    from evergrow.report.folder import read_run_folder
    from evergrow.report.verdict import over_seeds

    if said := over_seeds(read_run_folder(folder)):
        console.print(said, markup=False, soft_wrap=True)


def show_summary(summary: "Summary") -> None:
    """The arms of a finished recipe, a line each; then what each learnt and forgot."""
    title = f"{summary.name}: {summary.unit} on held-out data after the last stage"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("arm", no_wrap=True)
    columns = _columns(summary)
    for name in columns:
        table.add_column(name, justify="right")
    for place, arm in enumerate(summary.arms):
        table.add_row(arm, *(cells[place] for cells in columns.values()))
    console.print(table)
    for arm, numbers in summary.arms.items():
        name = f"{arm}: " if len(summary.arms) > 1 else ""
        if told := numbers.verdict():
            console.print(f"{name}{told}", markup=False, soft_wrap=True)
        if numbers.not_learnt:
            console.print(
                f"{arm}: not learnt, no better than a constant: {', '.join(numbers.not_learnt)}; "
                "its forgetting says nothing",
                soft_wrap=True,
            )


def _columns(summary: "Summary") -> dict[str, list[str]]:
    """The cells of every column with a number, by its head: streams, sources that are only
    measured, measures."""
    arms = list(summary.arms.values())
    rows = [numbers.loss_matrix[-1] if numbers.loss_matrix else [] for numbers in arms]
    found = {
        stream: [rounded(row[place]) if place < len(row) else "" for row in rows]
        for place, stream in enumerate(summary.streams)
    }
    for name in dict.fromkeys(name for numbers in arms for name in numbers.extra):
        found[f"{name} (measured only)"] = [
            rounded(numbers.extra[name][-1]) if name in numbers.extra else "" for numbers in arms
        ]
    found |= {
        "average": [rounded(numbers.average) for numbers in arms],
        "forgetting": [rounded(numbers.forgetting) for numbers in arms],
        "peak": [rounded(numbers.transient_peak) for numbers in arms],
        f"{summary.counted}/s": [
            "" if (speed := numbers.tokens_per_second) is None else f"{speed:,.0f}"
            for numbers in arms
        ],
    }
    return {name: cells for name, cells in found.items() if any(cells)}
