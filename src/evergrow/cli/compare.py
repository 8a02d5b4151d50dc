"""Commands on pages of many runs: compare, open."""

import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from evergrow.cli.options import RUNS, Runs
from evergrow.cli.terminal import console, rounded
from evergrow.errors import InputError

if TYPE_CHECKING:
    from evergrow.report.comparison import Comparison, Difference, Interval

app = typer.Typer(rich_markup_mode=None)
MOST_DIFFERENCES = 30  # in a terminal


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Two runs or more, or one with arms.")],
    csv: Annotated[bool, typer.Option("--csv", help="For machines: only the streams.")] = False,
) -> None:
    """Runs beside one another: recipes, what each learnt and forgot, and a page of their curves."""
    from evergrow.report.comparison import as_csv, write_comparison

    found, folder = comparison_of(runs)
    if csv:
        sys.stdout.write(as_csv(found))
        return
    show_comparison(found)
    console.print(f"page: {write_comparison(found, folder)}", soft_wrap=True)


def comparison_of(runs: Sequence[Path]) -> "tuple[Comparison, Path]":
    """The runs beside one another, and the folder that their page belongs into."""
    from evergrow.flow.find import find_root
    from evergrow.report.comparison import read_comparison

    roots = [find_root(run) for run in runs]
    places = [(root, _arm_of(run, root)) for run, root in zip(runs, roots, strict=True)]
    return read_comparison(list(dict.fromkeys(places))), roots[0].parent


def _arm_of(run: Path, root: Path) -> str | None:
    """The arm that a path below a recipe's folder names; its seeds are one arm."""
    below = run.absolute().relative_to(root).parts
    return below[0] if below else None


def show_comparison(found: "Comparison") -> None:
    """A table of streams, why some are no fair comparison, and what the recipes differ in."""
    table = _table("losses, with 95 % intervals", "run", "stream", "before", "after", "forgot")
    for row in found.rows:
        role = "" if row.role == "learnt" else f" ({row.role})"
        forgotten = "" if row.forgotten is None else f"{round(row.forgotten, 3) + 0.0:+.3f}"
        table.add_row(
            row.run,
            row.stream + role,
            rounded(row.before),
            rounded(row.after) + _between(row.after_interval),
            forgotten + _between(row.forgotten_interval),
        )
    console.print(table)
    for warning in found.warnings:
        console.print(warning, markup=False, soft_wrap=True)
    if found.differences:
        heads = [side.label for side in found.sides]
        console.print(_differences(found.differences[:MOST_DIFFERENCES], heads))
    if (more := len(found.differences) - MOST_DIFFERENCES) > 0:
        console.print(f"and {more} more on the page")


def _differences(rows: "Sequence[Difference]", heads: list[str]) -> Table:
    table = _table("what their recipes differ in", "key", *heads)
    for row in rows:
        table.add_row(row.key, *row.values)
    return table


def _between(interval: "Interval") -> str:
    return "" if interval is None else f" ({interval[0]:.3f} to {interval[1]:.3f})"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


@app.command("open")
def open_(
    run: Annotated[
        Path | None, typer.Argument(help="A run; default: the page of all runs.")
    ] = None,
    runs: Runs = RUNS,
) -> None:
    """Open a run's report in the browser, or a page of all runs that sorts and filters."""
    page = page_of(run, runs)
    console.print(f"page: {page}", soft_wrap=True)
    webbrowser.open(page.resolve().as_uri())


def page_of(run: Path | None, runs: Path) -> Path:
    """A run's report; or the page of all ``runs``, written anew."""
    if run is not None:
        from evergrow.flow.find import find_reported

        page = find_reported(run) / "report.html"
        if not page.exists():
            raise InputError(f"{page}: no report yet; 'evergrow report {run}' writes it")
        return page
    from evergrow.report.index import write_index

    if not runs.is_dir():
        raise InputError(f"{runs}: no such folder; --runs says where runs are kept")
    return write_index(runs)
