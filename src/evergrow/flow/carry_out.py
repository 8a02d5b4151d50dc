"""The main job: carry out a recipe, or go on where it stopped."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from evergrow.config import decode
from evergrow.disk import write_file
from evergrow.errors import InputError
from evergrow.flow.dispatch import Carried, train_units
from evergrow.flow.listener import Listener
from evergrow.flow.plan import plan_stages, refuse_edits
from evergrow.flow.prepare import Prepared, prepare
from evergrow.flow.units import Unit, stage_keys, unfold
from evergrow.flow.versions import commit, package_version
from evergrow.recipe import Recipe
from evergrow.run import Manifest, Run, StageRecord, locked, write_manifest
from evergrow.stream.shards import TokenSource


def carry_out(
    recipe: Recipe, runs: Path, base: Path, listener: Listener, fresh: bool = False
) -> Carried:
    """Carry out ``recipe`` in ``runs/<name>``; ``base`` is where its relative paths start.

    Finished work is skipped, so running again goes on where it stopped. Raises InputError for an
    edited recipe or changed data, Stopped after a signal, EvergrowError when training failed.
    """
    root = runs / recipe.name
    with locked(root), listener.stop.listening():
        if fresh:
            empty_root(root)
        write_file(root / "recipe.yaml", recipe.to_yaml())
        return go_on(root, unfold(recipe), recipe.workers, base, listener)


def go_on(
    root: Path, units: list[Unit], num_workers: int, base: Path, listener: Listener
) -> Carried:
    """Train what ``units`` still lack in the locked folder ``root``."""
    units = [with_own_stages(root, unit) for unit in units]
    prepared = prepare_units(units, root, base, listener)
    plan_units(root, units, prepared)
    return train_units(root, num_workers, units, listener)


def with_own_stages(root: Path, unit: Unit) -> Unit:
    """The unit with the stages that ``evergrow continue`` gave its Run after the recipe's."""
    if not (root / unit.folder / "manifest.json").exists():
        return unit
    old = decode(Recipe, Run(root / unit.folder).manifest.recipe, "manifest.recipe")
    new = unit.recipe
    if [s.name for s in old.stages[: len(new.stages)]] != [s.name for s in new.stages]:
        return unit  # edited: refused with the difference named
    changes = {
        "stages": [*new.stages, *old.stages[len(new.stages) :]],
        "sources": {**old.sources, **new.sources},
    }
    return replace(unit, recipe=new.model_copy(update=changes))


def prepare_units(units: list[Unit], root: Path, base: Path, listener: Listener) -> Prepared:
    """Documents, held-out split, tokenizer and shards of every source that a unit uses."""
    sources = {
        name: source
        for unit in units
        for name, source in unit.recipe.sources.items()
        if name in unit.recipe.measured
    }
    recipe = units[0].recipe
    asked = recipe.tokenizer.sources if recipe.tokenizer else None
    return prepare(
        root,
        sources,
        recipe.held_out,
        recipe.tokenizer_config,
        asked or list(recipe.stages[0].weights),
        base,
        listener.say,
    )


def plan_units(root: Path, units: list[Unit], prepared: Prepared) -> None:
    """Write or update the manifest of every unit; refuses edits of what was already trained."""
    data = {name: folder.relative_to(root).as_posix() for name, folder in prepared.data.items()}
    opened = {name: TokenSource.open(folder) for name, folder in prepared.data.items()}
    tokenizer = next(iter(prepared.manifests.values()))["tokenizer"]
    manifests = [_planned(root, unit, data, opened, tokenizer) for unit in units]
    for unit, manifest in zip(units, manifests, strict=True):
        write_manifest(root / unit.folder, manifest)


def _planned(
    root: Path,
    unit: Unit,
    data: dict[str, str],
    opened: dict[str, TokenSource],
    tokenizer: str,
) -> Manifest:
    recipe = unit.recipe
    keys = {name: Path(path).name for name, path in data.items()}
    sizes = {keys[n]: s.num_windows(recipe.train.sequence_length) for n, s in opened.items()}
    folder = root / unit.folder
    recorded: list[StageRecord] = []
    known: Manifest | None = None
    if (folder / "manifest.json").exists():
        known = Run(folder).manifest
        recorded = known.stages
        data = {**known.data, **data}
        _refuse_edits(known, recipe, keys, tokenizer)
    stages = plan_stages(recipe, unit.seed, keys, sizes, tokenizer, recorded)
    changes: dict[str, Any] = {
        "recipe": recipe.to_data(),
        "data": data,
        "stages": stages,
        "status": "running",
        "error": None,
    }
    if known is not None:
        return known.model_copy(update=changes)
    return Manifest(
        evergrow=package_version(),
        commit=commit(),
        name=recipe.name,
        arm=unit.arm,
        seed=unit.seed,
        environment={},
        model={},
        **changes,
    )


def _refuse_edits(known: Manifest, recipe: Recipe, keys: dict[str, str], tokenizer: str) -> None:
    old = decode(Recipe, known.recipe, "manifest.recipe")
    stages = [
        stage.model_copy(update={"tokens": old.stages[i].tokens}) if i < len(old.stages) else stage
        for i, stage in enumerate(recipe.stages)
    ]
    as_before = recipe.model_copy(update={"stages": stages})
    refuse_edits(known.stages, recipe, stage_keys(as_before, known.seed, keys, tokenizer), old)


_OWN = {".lock", "recipe.yaml", "summary.json", "report.html", "tokenizer", "data"}


def empty_root(root: Path) -> None:
    """Delete what a recipe's folder holds; refuses one that holds something else."""
    for path in root.iterdir():
        is_run = (path / "manifest.json").exists() or any(path.glob("seed-*/manifest.json"))
        if path.name not in _OWN and not is_run and not path.name.startswith("."):
            raise InputError(
                f"{path}: no run of evergrow made this, so --fresh deletes nothing; move it away "
                "or give the recipe another name"
            )
    for path in root.iterdir():
        if path.name != ".lock":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
