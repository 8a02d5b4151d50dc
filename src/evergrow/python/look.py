"""Verbs on what there is: eval_, sample, report, list_, log, prune, schema."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evergrow.cli.look import show_lineage, show_runs, show_scores, show_seen
from evergrow.flow.find import find_reported, find_run
from evergrow.flow.listing import Listed, list_runs
from evergrow.flow.look import evaluate
from evergrow.flow.look import prune as pruned
from evergrow.flow.look import sample as sampled
from evergrow.flow.verbs import measure_also
from evergrow.lineage import Measured
from evergrow.listener import Listener
from evergrow.python.bar import watched
from evergrow.python.results import PathLike, Record, Rows
from evergrow.python.run import Files, globs_of
from evergrow.recipe import Recipe
from evergrow.report import write_report


def eval_(
    model: PathLike,
    data: Files = (),
    *,
    add: Mapping[str, str] | None = None,
    sequence_length: int | None = None,
    listener: Listener | None = None,
) -> Rows[Measured]:
    """The loss of a model on each of ``data``, with its 95 % interval.

    Without ``data`` a run's newest release is measured on its run's held-out parts. ``add`` names
    files that every release of a run is measured on from now on. Raises InputError for what cannot
    be measured.
    """
    with watched(listener) as watch:
        for name, files in (add or {}).items():
            measure_also(Path(model), name, files, watch)
    return Rows(evaluate(os.fspath(model), globs_of(data), sequence_length), show_scores)


def sample(
    model: PathLike,
    prompt: str = "",
    *,
    tokens: int = 100,
    temperature: float = 0.8,
    seed: int = 0,
) -> str:
    """The prompt's continuation; a ``temperature`` of 0 takes the likeliest token."""
    return sampled(os.fspath(model), prompt, tokens, temperature, seed)


def report(run: PathLike) -> Path:
    """Write the page of a run's recipe, or of corpora, again; returns where it is."""
    return write_report(find_reported(Path(run)))


def list_(runs: PathLike = "runs") -> Rows[Listed]:
    """Every run below ``runs`` with its state and size."""
    return Rows(list_runs(Path(runs)), show_runs)


def log(run: PathLike, *, seen: bool = False) -> Record:
    """The manifest of a run, shown as its lineage; with ``seen``, as what each stage read."""
    found = find_run(Path(run))
    show = show_seen if seen else show_lineage
    return Record(found.manifest.model_dump(mode="json"), lambda: show(found))


def prune(run: PathLike, *, dry: bool = False) -> tuple[list[str], int]:
    """Delete checkpoints that going on does not need; their names and bytes. ``dry`` only tells."""
    return pruned(Path(run), dry)


def schema() -> dict[str, Any]:
    """The JSON schema of recipes."""
    return Recipe.model_json_schema(by_alias=True)
