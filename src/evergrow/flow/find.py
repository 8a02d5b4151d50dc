"""From a path that a user typed to the Run, the recipe folder or the model it means."""

from pathlib import Path

from evergrow.config import decode
from evergrow.errors import InputError
from evergrow.flow.units import Unit
from evergrow.lineage import read_node
from evergrow.recipe import Recipe
from evergrow.run import Run, StageRecord, only_run, refuse_missing, run_folders
from evergrow.strict_yaml import load_yaml

LISTED = "'evergrow list' shows the runs there are"


def find_run(path: Path) -> Run:
    """The Run at ``path``, or the only one below it; raises InputError when there are several."""
    return Run(only_run(path).absolute())  # below find_root's


def runs_in(root: Path) -> list[Run]:
    """Every Run in a recipe's folder, by path."""
    return [Run(folder) for folder in sorted(run_folders(root))]


def find_root(path: Path) -> Path:
    """The recipe folder that ``path`` is, or that holds the Run at ``path``."""
    refuse_missing(path, LISTED)
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
    refuse_missing(path, LISTED)
    alone = any(path.glob("corpora/*/corpus.json")) and not (path / "data").is_dir()
    return path if alone else find_root(path)


def left_behind(folder: Path) -> str | None:
    """What does not come along when a release is continued as a model; None for other models."""
    run = folder.parent.parent
    is_here = folder.parent.name == "releases" and (run / "manifest.json").exists()
    node = None if is_here else read_node(folder)
    if not is_here and (node is None or not node.of):
        return None
    said = (
        f"{folder} is a release and begins a run of its own: the trunk that it left, with its "
        "optimiser and the data to replay, stays behind"
    )
    where = "" if node is None else f" in the run {node.of}"
    return f"{said}{where}" if node else f"{said}; to go on with that: evergrow continue {run}"


def remembered_base(root: Path) -> Path:
    """Where the relative paths of the recipe in ``root`` start, and the names of its files.

    An absolute path: the files are no part of the run, so they stay where they are when it moves.
    """
    remembered = root / ".base"
    return Path(remembered.read_text().strip()) if remembered.exists() else root


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
