"""From a path that a user typed to the Run, the recipe folder or the model it means."""

from pathlib import Path

from evergrow.config import decode
from evergrow.errors import InputError
from evergrow.flow.units import Unit
from evergrow.recipe import Recipe
from evergrow.run import Run, StageRecord
from evergrow.strict_yaml import load_yaml


def find_run(path: Path) -> Run:
    """The Run at ``path``, or the only one below it; raises InputError when there are several."""
    path = path.absolute()  # "." has no parents
    if (path / "manifest.json").exists():
        return Run(path)
    found = sorted(p.parent for p in path.glob("*/manifest.json"))
    found += sorted(p.parent for p in path.glob("*/seed-*/manifest.json"))
    if not found:
        raise InputError(f"{path}: no run here; 'evergrow list' shows the runs there are")
    if len(found) > 1:
        names = ", ".join(p.relative_to(path).as_posix() for p in found)
        raise InputError(f"{path}: holds several runs ({names}); name one, such as {found[0]}")
    return Run(found[0])


def runs_in(root: Path) -> list[Run]:
    """Every Run in a recipe's folder, by path."""
    found = [*root.glob("*/manifest.json"), *root.glob("*/seed-*/manifest.json")]
    return [Run(path.parent) for path in sorted(found)]


def find_root(path: Path) -> Path:
    """The recipe folder that ``path`` is, or that holds the Run at ``path``."""
    path = path.absolute()
    for folder in (path, path.parent, path.parent.parent):
        if (folder / "recipe.yaml").exists() and (folder / "data").is_dir():
            return folder
    raise InputError(f"{path}: neither a recipe's folder nor a run in one")


def runs_of(recipe: Path, runs: Path) -> Path:
    """Where a recipe's run is kept: in ``runs``, or where its folder lies when it is a run's own.

    Raises InputError for a run's folder that was renamed: its recipe says another name.
    """
    folder = recipe.resolve().parent
    if recipe.name != "recipe.yaml" or not (folder / ".base").exists():
        return runs
    name = load_yaml(recipe).get("name")
    if name != folder.name:
        raise InputError(
            f"{recipe}: is of the run {name}, but its folder is called {folder.name}; call the "
            f"folder {name} to go on with it, or copy the recipe elsewhere for a run of its own"
        )
    return folder.parent


def find_reported(path: Path) -> Path:
    """The same, or a folder at ``path`` that holds corpora and no run yet."""
    alone = any(path.glob("corpora/*/corpus.json")) and not (path / "data").is_dir()
    return path if alone else find_root(path)


def unit_of(run: Run, root: Path) -> Unit:
    """The unit that a Run carries out."""
    manifest = run.manifest
    recipe = decode(Recipe, manifest.recipe, "manifest.recipe")
    return Unit(manifest.arm, manifest.seed, run.folder.relative_to(root).as_posix(), recipe)


def last_done(run: Run) -> tuple[int, StageRecord]:
    """The newest finished stage and its index; raises InputError when there is none."""
    done = [(i, s) for i, s in enumerate(run.manifest.stages) if s.status == "done"]
    if not done:
        raise InputError(
            f"{run.folder}: no stage is finished; run its recipe again to go on with the first"
        )
    return done[-1]


def find_model(path: Path) -> Path:
    """The model folder at ``path``: itself, or the newest release of the Run it names."""
    if (path / "config.json").exists():
        return path
    run = find_run(path)
    return run.folder / str(last_done(run)[1].release)
