"""Verbs on many runs: compare, open_."""

import webbrowser
from pathlib import Path

from evergrow.cli.compare import comparison_of, page_of, show_comparison
from evergrow.python.results import PathLike, Record
from evergrow.report.comparison import write_comparison


def compare(*runs: PathLike) -> Record:
    """Runs beside one another, or the arms of one: streams, recipes, and a page of their curves.

    ``rows`` are what each stream came to in each run, ``differences`` what the recipes differ in,
    ``warnings`` why numbers are not to be compared. Raises InputError for fewer than two.
    """
    found, folder = comparison_of([Path(run) for run in runs])
    page = write_comparison(found, folder)
    told = {
        "rows": found.rows,
        "differences": found.differences,
        "warnings": found.warnings,
        "page": page,
    }
    return Record(told, lambda: show_comparison(found), page)


def open_(run: PathLike | None = None, *, runs: PathLike = "runs") -> Path:
    """Open a run's report in the browser, by default a page of all ``runs``; returns the page.

    Raises InputError for a run without a report.
    """
    page = page_of(None if run is None else Path(run), Path(runs))
    webbrowser.open(page.resolve().as_uri())
    return page
