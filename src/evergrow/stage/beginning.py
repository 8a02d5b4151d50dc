"""The weights that a stage begins with, and those that a trunk of adapters ends with.

A checkpoint of a stage with adapters holds these and their moments alone. The weights below them
come from where the stage begins, again at every start of the process, and stay as they are.
"""

from typing import Any

from torch import nn

from evergrow.errors import EvergrowError, InputError
from evergrow.models.config import LoraConfig
from evergrow.models.find import find_model
from evergrow.models.load import load_model, model_key
from evergrow.models.lora import Adapter
from evergrow.recipe import Recipe
from evergrow.run import Manifest, Run, load_checkpoint, read_checkpoint_state
from evergrow.scores.opening import Opened
from evergrow.stage.checkpoints import Mark
from evergrow.stream.order import key_of
from evergrow.train.loop import load_weights, weights


def begun_at(manifest: Manifest, index: int) -> str:
    """The key of what stage ``index`` goes on from: a stage, a model, the start model."""
    begin = manifest.stages[index].begin
    if begin.stage is not None:
        return manifest.stages[begin.stage].key
    return begin.key or manifest.start.key


def trunk_end(run: Run, index: int) -> Mark:
    """The checkpoint at the end of the trunk of stage ``index``."""
    record = run.manifest.stages[index]
    return Mark(index, record.name, "trunk", record.last_step)


def passed_at(run: Run, mark: Mark) -> int:
    """What the clock showed at a checkpoint."""
    return read_checkpoint_state(run.checkpoints / mark.name).passed


def adapters_of(run: Run, recipe: Recipe, index: int) -> LoraConfig | None:
    """The adapters that stage ``index`` trains; one that is made of several orders trains none."""
    is_made = bool(run.manifest.stages[index].ingredients)
    return None if is_made else recipe.train_of(index).lora


def adapt(run: Run, recipe: Recipe, index: int, model: Any) -> Adapter | None:
    """Put the adapters of stage ``index`` into ``model``, which has the weights it begins with.

    They are drawn by the Run's seed and the stage's name. None where the stage trains the weights.
    """
    lora = adapters_of(run, recipe, index)
    if lora is None:
        return None
    return Adapter(model, lora, key_of("lora", run.manifest.seed, recipe.keyed_name(index)))


def load_beginning(run: Run, recipe: Recipe, index: int, opened: Opened, model: nn.Module) -> None:
    """Give ``model``, a plain one, the weights that stage ``index`` begins with."""
    begin = run.manifest.stages[index].begin
    if begin.kind == "start":
        load_weights(model, weights(first_model(run, recipe, index, opened)))
    elif begin.kind == "trunk":
        assert begin.stage is not None
        load_trunk_end(run, recipe, begin.stage, opened, model)
    else:
        load_release(run, index, model)


def load_trunk_end(run: Run, recipe: Recipe, index: int, opened: Opened, model: Any) -> None:
    """Give ``model`` what the trunk of stage ``index`` ends with; adapters merged in fp32."""
    tensors = load_checkpoint(run.checkpoints / trunk_end(run, index).name)
    if recipe.train_of(index).lora is None:
        load_weights(model, tensors["model"])
        return
    load_beginning(run, recipe, index, opened, model)
    adapter = adapt(run, recipe, index, model)
    assert adapter is not None
    adapter.load(tensors["adapter"])
    adapter.merge()


def first_model(run: Run, recipe: Recipe, index: int, opened: Opened) -> nn.Module:
    """The model that the recipe starts from, once more. Raises InputError when it is gone."""
    try:
        return opened.objective_at(index).first_model(lambda line: None)
    except InputError as error:
        raise InputError(
            f"stage {recipe.stages[index].name!r} has adapters on the weights of "
            f"{run.manifest.start.source}, which its checkpoints do not hold: {error}"
        ) from error


def load_release(run: Run, index: int, model: nn.Module) -> None:
    """Give ``model`` the weights of the release, of this Run or another, that a stage begins at.

    Raises InputError when its tensors are not those of the stage's architecture, or when it is
    another one than at the time the stage was planned.
    """
    record = run.manifest.stages[index]
    begin = record.begin
    if begin.stage is not None:
        folder = run.folder / str(run.manifest.stages[begin.stage].release)
    else:
        folder = find_model(str(begin.model))
        if model_key(folder) != begin.key:
            raise InputError(
                f"stage {record.name!r}: the model at {begin.model} changed since the stage "
                "was planned; restore it, or give the stage another name"
            )
    try:
        load_weights(model, weights(load_model(folder)))
    except EvergrowError as error:
        raise InputError(
            f"stage {record.name!r}: {folder} is a model of another shape than this run's "
            f"({error}); begin at one of its own releases, or start a run from it"
        ) from error
