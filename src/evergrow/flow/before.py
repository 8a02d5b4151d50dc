"""What a recipe alone tells of its failure, told before anything is prepared or written."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from evergrow.errors import EvergrowError, InputError
from evergrow.flow.misfits import first_config, outlined, refuse_misfits
from evergrow.flow.plan import lay_schedule
from evergrow.flow.units import Unit
from evergrow.grow.fields import sizes
from evergrow.grow.plan import plan_growth
from evergrow.images.config import ImageSourceConfig
from evergrow.lineage import refuse_changed
from evergrow.models.config import kind_of_preset
from evergrow.models.families import family_of
from evergrow.models.find import find_model
from evergrow.models.load import empty_model
from evergrow.models.lora import adapted_layers, refuse_without_peft
from evergrow.models.soup import refuse_statistics
from evergrow.models.weights import read_slots
from evergrow.recipe import Recipe
from evergrow.run import Run
from evergrow.schedules import StageSchedule, num_steps
from evergrow.stage import checkpoints
from evergrow.stage.architecture import read_config, seeded
from evergrow.train.config import Refill
from evergrow.train.ladder import ladder
from evergrow.train.loop import choose_device
from evergrow.train.trainer import trainer_moments


def refuse_early(root: Path, units: Sequence[Unit]) -> None:
    """Raise InputError for what is missing here, for stages too short and growths that cannot be.

    Of a Run that has begun the model may be gone: no stage may need it again.
    """
    for unit in units:
        _refuse_packages(unit.recipe)
        _refuse_devices(unit.recipe)
        _refuse_short(unit.recipe)
        num_begun = _num_begun(root / unit.folder)
        if not num_begun:
            _refuse_models(unit.recipe)
            _refuse_statistics(unit.recipe)
            _refuse_moments(unit.recipe)
            _refuse_adapters(unit.recipe)
            _refuse_growths(unit)
        refuse_misfits(unit.recipe, root / unit.folder, num_begun)


def _num_begun(folder: Path) -> int:
    is_there = (folder / "manifest.json").exists()
    return len(checkpoints.begun_stages(Run(folder))) if is_there else 0


def _refuse_packages(recipe: Recipe) -> None:
    for name, source in recipe.sources.items():
        is_drawn = isinstance(source, ImageSourceConfig)
        wanted = ["PIL", *(["sklearn"] if source.pictures else [])] if is_drawn else []
        if missing := [package for package in wanted if find_spec(package) is None]:
            raise InputError(
                f"sources.{name}: pictures need the package {missing[0]}; install evergrow[vision]"
            )
    by_ray = [name for name, corpus in recipe.corpora.items() if corpus.executor == "ray"]
    if by_ray and find_spec("ray") is None:
        raise InputError(
            f"corpora.{by_ray[0]}.executor: ray, but Ray is not installed; install evergrow[ray], "
            "or use pool"
        )


def _refuse_adapters(recipe: Recipe) -> None:
    """Raise InputError for adapters that cannot be made here, or on layers the model has not.

    Of a model of pictures, which its sources decide, that is asked when it is there.
    """
    asked = [recipe.train_of(index).lora for index in range(len(recipe.stages))]
    if all(lora is None for lora in asked):
        return
    refuse_without_peft("train.lora")
    if recipe.of_pictures:
        return
    preset = recipe.model.preset
    model = outlined(first_config(recipe), None if preset is None else kind_of_preset(preset))
    for lora in asked:
        if lora is not None:
            adapted_layers(model, lora)


def _refuse_devices(recipe: Recipe) -> None:
    for index in range(len(recipe.stages)):
        try:
            choose_device(recipe.train_of(index))
        except EvergrowError as error:
            raise InputError(str(error)) from error


def _refuse_models(recipe: Recipe) -> None:
    begins = [recipe.begin_of(index) for index in range(len(recipe.stages))]
    outside = [str(begin.of) for begin in begins if begin.kind == "model"]
    if recipe.model.from_ is not None and not recipe.model.from_.endswith(".safetensors"):
        outside.append(recipe.model.from_)
    for source in outside:
        refuse_changed(find_model(source))


def _refuse_statistics(recipe: Recipe) -> None:
    """Raise InputError for several orders of a model with batch norms, which is not averaged."""
    if all(stage.orders is None for stage in recipe.stages):
        return
    source = recipe.model.from_
    if recipe.model.preset == "resnet" or (source or "").endswith(".safetensors"):
        refuse_statistics(source or "preset resnet", ["resnet.embedder.normalization.running_mean"])
    elif source is not None:
        refuse_statistics(source, read_slots(find_model(source)))


def _refuse_moments(recipe: Recipe) -> None:
    """Raise InputError when the moments that the start model is to bring are not there, or not its.

    By its architecture alone: weights are not read.
    """
    if recipe.model.optimizer is None:
        return
    if recipe.of_pictures:
        raise InputError(
            "model.optimizer: trainer is for language models, the sources are pictures; remove it"
        )
    folder = find_model(str(recipe.model.from_))
    with torch.device("meta"):
        model = empty_model(folder)
    trainer_moments(folder, model)


def _refuse_short(recipe: Recipe) -> None:
    """Lay out every stage's schedule with a step as the clock's unit."""
    ends: list[tuple[int, StageSchedule]] = []
    for index, stage in enumerate(recipe.stages):
        train, is_text = recipe.train_of(index), recipe.form_at(index) == "tokens"
        steps = num_steps(stage.length, train.tokens_per_step if is_text else train.batch_size)
        _refuse_refill(recipe, index, steps)
        begin = recipe.begin_of(index)
        start, before = ends[begin.of] if isinstance(begin.of, int) else (0, None)
        ends.append((start + steps, lay_schedule(recipe, index, start, steps, 1, before)))


def _refuse_refill(recipe: Recipe, index: int, steps: int) -> None:
    policy, name = recipe.stages[index].optimizer_state, recipe.stages[index].name
    if isinstance(policy, Refill) and policy.refill >= steps:
        raise InputError(
            f"stages.{name}.optimizer_state: refill {policy.refill} of the stage's {steps} steps "
            "leaves none that trains; lower it or make the stage longer"
        )


def _refuse_growths(unit: Unit) -> None:
    """Plan every growth of a text model from its config.json alone.

    A vocabulary is not known yet, so growths of it are judged when it is.
    """
    recipe = unit.recipe
    if recipe.of_pictures or all(s.grow is None and s.two_stage is None for s in recipe.stages):
        return
    configs: list[dict[str, Any]] = []
    for index, stage in enumerate(recipe.stages):
        begin = recipe.begin_of(index)
        config = configs[begin.of] if isinstance(begin.of, int) else _first_config(recipe)
        if stage.grow is not None:
            known = {axis: size for axis, size in stage.grow.to.items() if axis != "vocab"}
            grow = seeded(stage.grow.model_copy(update={"to": known}), unit.seed)
            config = plan_growth(config, grow).target
        if stage.two_stage is not None:
            ladder(sizes(family_of(config), config)["layers"], stage.two_stage.layers)
        configs.append(config)


def _first_config(recipe: Recipe) -> dict[str, object]:
    """The config.json of the model that a recipe starts from, as a run would write it."""
    with TemporaryDirectory() as folder:
        first_config(recipe).save_pretrained(folder)
        return read_config(Path(folder))
