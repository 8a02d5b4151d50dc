"""The command rewarm: at which rate a finished model goes on, by short probes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from evergrow.cli.live import watching
from evergrow.cli.options import (
    RUNS,
    Json,
    ManyFiles,
    ModelName,
    Runs,
    named_files,
    parse_tokens,
    settings_of,
)
from evergrow.cli.terminal import beside, console, print_json, rounded

if TYPE_CHECKING:
    from evergrow.report.rewarm import Probe, Rewarmed

app = typer.Typer(rich_markup_mode=None)


@app.command(cls=ManyFiles)
def rewarm(
    model: ModelName,
    data: Annotated[list[str], typer.Option(help="Files to learn: a folder, a glob, or many.")],
    evaluate: Annotated[
        list[str],
        typer.Option(help="name=files of old text, which a rate may cost; only measured."),
    ],
    tokens: Annotated[
        int, typer.Option(parser=parse_tokens, metavar="COUNT", help="Length of a probe.")
    ] = 100_000,
    peak_lr: Annotated[
        float | None,
        typer.Option(help="Documented peak of the model, around which the rates are tried."),
    ] = None,
    most_lost: Annotated[
        float | None, typer.Option(help="Bits per byte that the old text may lose at most.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the probes' run; default: rewarm-MODEL.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key.path=value of the probes' recipe.")
    ] = None,
    runs: Runs = RUNS,
    as_json: Json = False,
) -> None:
    """Which peak rate a finished model should go on at: short probes beside it, a table, a page."""
    from evergrow.flow.asked import refuse_no_files
    from evergrow.models.find import find_model

    old = named_files(evaluate)
    changes = settings_of(settings)
    refuse_no_files(data, Path.cwd(), "--data")
    for globs in old.values():
        refuse_no_files(globs, Path.cwd(), "--evaluate")
    find_model(model)
    from evergrow.flow.rewarm import name_of
    from evergrow.flow.rewarm import rewarm as probed

    with watching(beside if as_json else None) as listener:
        found = probed(model, data, old, tokens, runs, listener, name, peak_lr, most_lost, changes)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        show_rewarmed(found)
        folder = runs / (name or name_of(find_model(model)))
        console.print(f"page: {folder / 'rewarm.html'}", soft_wrap=True)


def show_rewarmed(found: "Rewarmed") -> None:
    """A line a probe, between no training and the highest peak; then the proposal."""
    title = f"{found.model}: probes of {found.tokens:,} tokens, bits per byte; {found.grid}"
    table = Table(title=title, title_justify="left")
    table.add_column("peak rate")
    for head in (*found.before, "gained", "lost", "gained - lost"):
        table.add_column(head, justify="right")
    table.add_row("no training", *map(rounded, found.before.values()))
    table.add_row(f"floor {found.floor.peak:.3g}", *_cells(found.floor))
    for probe in found.probes:
        mark = " *" if probe.peak == found.peak else ""
        table.add_row(f"{probe.peak:.3g}{mark}", *_cells(probe))
    console.print(table)
    console.print(found.why, markup=False, soft_wrap=True)
    console.print(found.command, markup=False, soft_wrap=True)


def _cells(probe: "Probe") -> list[str]:
    return [
        rounded(n) for n in (probe.new, *probe.old.values(), probe.gained, probe.lost, probe.net)
    ]
