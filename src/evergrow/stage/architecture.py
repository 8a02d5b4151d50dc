"""Which architecture a stage trains: the first one, or what the last growth before it made."""

import json
from pathlib import Path

from torch import nn

from evergrow.disk import checksum, read_object, write_file
from evergrow.errors import EvergrowError
from evergrow.grow.config import GrowConfig
from evergrow.grow.expand import new_parameters
from evergrow.grow.plan import GrowthPlan, plan_growth
from evergrow.made import Settings
from evergrow.recipe import Recipe
from evergrow.run import Run
from evergrow.stage.records import refuse_changed_records
from evergrow.train.config import DepthConfig
from evergrow.train.own_clock import OwnClock


def last_growth(recipe: Recipe, index: int) -> int | None:
    """The stage on the way to ``index`` that the model grew before last; None when it never did."""
    grown = [i for i in recipe.path_of(index) if recipe.stages[i].grow is not None]
    return grown[-1] if grown else None


def architecture(folder: Path, recipe: Recipe, index: int) -> Path:
    """Where the ``config.json`` of stage ``index`` stands in the Run at ``folder``."""
    grown = last_growth(recipe, index)
    return folder / "model" if grown is None else growth_folder(folder, recipe, grown)


def growth_folder(folder: Path, recipe: Recipe, index: int) -> Path:
    """Where the growth before stage ``index`` is kept: config.json and growth.json."""
    return folder / "growth" / recipe.stages[index].name


def seeded(grow: GrowConfig, seed: int) -> GrowConfig:
    """The growth of a Run with ``seed``: its random maps and noise differ from seed to seed."""
    return grow.model_copy(update={"seed": grow.seed + seed})


def read_config(folder: Path) -> dict[str, object]:
    """The content of ``config.json`` in ``folder``; raises EvergrowError for a damaged one."""
    return read_object(folder / "config.json", f"delete {folder} and it is made again")


def refuse_changed(run: Run) -> None:
    """Raise EvergrowError when what a Run keeps of its first model or its past is not what it was.

    A folder that is gone is made again.
    """
    refuse_changed_records(run.folder, run.manifest)
    folder = run.folder / "model"
    for name, digest in run.manifest.kept.items() if folder.exists() else ():
        if not (folder / name).exists() or checksum(folder / name) != digest:
            raise EvergrowError(
                f"{folder / name}: damaged (its bytes are not those of when the run began); "
                f"delete {folder} and it is made again"
            )


def plan_before(run: Run, recipe: Recipe, index: int) -> GrowthPlan:
    """The plan of the growth before stage ``index``; raises InputError when it cannot be."""
    grow = recipe.stages[index].grow
    parent = recipe.begin_of(index).of
    assert grow is not None and isinstance(parent, int), "what grows goes on from a trunk"
    source = read_config(architecture(run.folder, recipe, parent))
    return plan_growth(source, seeded(grow, run.manifest.seed))


def lay_out(run: Run, recipe: Recipe, index: int) -> None:
    """Write the ``config.json`` of the growth before stage ``index``, if that is not done.

    Raises EvergrowError for one that is there and says something else.
    """
    if recipe.stages[index].grow is None:
        return
    folder = growth_folder(run.folder, recipe, index)
    target = plan_before(run, recipe, index).target
    text = json.dumps(target, indent=2, sort_keys=True) + "\n"
    if not (folder / "config.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / "config.json", text)
    elif read_config(folder) != json.loads(text):
        raise EvergrowError(
            f"{folder / 'config.json'}: damaged (it describes another model than the recipe); "
            "delete it and it is made again"
        )


def read_growth(run: Run, stage: str) -> Settings:
    """What growth.json says of the growth before ``stage``."""
    path = run.folder / "growth" / stage / "growth.json"
    return read_object(path, "restore it from a copy, or start over with --fresh")


def layers_by_depth(run: Run, recipe: Recipe, index: int) -> DepthConfig | None:
    """Which layers train when, as the stage says: by ``depth``, or by ``grow.train: new``."""
    stage = recipe.stages[index]
    if stage.grow is None or stage.grow.train == "all":
        return stage.depth
    blocks = plan_before(run, recipe, index).blocks
    return DepthConfig(unfreeze={str(i): 0.0 for i, block in enumerate(blocks) if block.new})


def own_clock(run: Run, recipe: Recipe, index: int, model: nn.Module) -> OwnClock | None:
    """The clock of the newest parameters, None when it has run down before stage ``index``.

    A later growth ends the clock of an earlier one.
    """
    grown = last_growth(recipe, index)
    if grown is None:
        return None
    grow, stages = recipe.stages[grown].grow, run.manifest.stages
    assert grow is not None
    born = stages[grown].first_step
    if stages[index].first_step >= born + 2 * grow.warm_steps:
        return None
    plan = plan_before(run, recipe, grown)
    masks = {n: new_parameters(plan, n, p.shape) for n, p in model.named_parameters()}
    fresh = {name: mask for name, mask in masks.items() if bool(mask.any())}
    return OwnClock(model, fresh, born, grow.rho, grow.warm_steps)
