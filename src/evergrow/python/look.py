"""Verbs on what there is: sample, report, list_, log, prune, schema."""

import os
from pathlib import Path
from typing import Any

from evergrow.cli.look import show_lineage, show_runs, show_seen
from evergrow.flow.find import find_reported, find_run
from evergrow.flow.listing import Listed, list_runs
from evergrow.flow.look import prune as pruned
from evergrow.flow.look import sample as sampled
from evergrow.python.results import PathLike, Record, Rows
from evergrow.recipe import Recipe
from evergrow.report import write_report


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
