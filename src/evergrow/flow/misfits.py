"""What does not fit a Run's own model, by configurations alone: other models, longer windows."""

import re
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from evergrow.errors import InputError
from evergrow.models.config import kind_of_preset
from evergrow.models.describe import context_window
from evergrow.models.find import find_model
from evergrow.models.kind import KINDS, Kind, kind_of_architecture
from evergrow.models.presets import PRESETS
from evergrow.models.quiet import undisturbed
from evergrow.recipe import Recipe
from evergrow.stream.tokenizer import train_tokenizer

# Tables of learned positions, as families call them.
_POSITIONS = re.compile(r"(^|\.)(position_embeddings?|wpe|embed_positions)\.weight$")


class _Asked(NamedTuple):
    """A stage that has not begun."""

    name: str
    length: int
    model: str | None  # where it begins, when that is a model outside


def first_config(recipe: Recipe) -> PreTrainedConfig:
    """The configuration of the model that a recipe of text starts from.

    Its vocabulary is not known yet where a tokenizer is to be trained.
    """
    if recipe.model.from_ is not None:
        return AutoConfig.from_pretrained(find_model(recipe.model.from_), local_files_only=True)
    architecture = PRESETS[str(recipe.model.preset)]
    words = train_tokenizer([""], 257, recipe.hides_tokens)
    return architecture.configure(recipe.model.sizes(), words, recipe.train.sequence_length)


def refuse_misfits(recipe: Recipe, folder: Path, num_begun: int) -> None:
    """Raise InputError for a stage that begins with a model of another shape than the Run's own in
    ``folder``, or reads longer windows than that has positions for.

    Of stages that have begun nothing is asked: their models may be gone.
    """
    if recipe.of_pictures:
        return
    stages = [_asked(recipe, index) for index in range(num_begun, len(recipe.stages))]
    first = recipe.train_of(0).sequence_length
    if all(stage.model is None and stage.length <= first for stage in stages):
        return
    kept = folder / "model"
    is_kept = (kept / "config.json").exists()
    config = AutoConfig.from_pretrained(kept) if is_kept else first_config(recipe)
    preset = recipe.model.preset
    own = outlined(config, None if preset is None else kind_of_preset(preset))
    window = context_window(own) if preset is None else _positions(own)
    for stage in stages:
        if window is not None and stage.length > window:
            way_out = "set train.sequence_length, with which the model is made, to as much"
            raise InputError(
                f"stages.{stage.name}.train.sequence_length: {stage.length} is longer than the "
                f"{window} positions of this run's model; set it to {window} or less"
                + (f", or {way_out}" if preset else "")
            )
        if stage.model is not None:
            _refuse_other_shape(stage, own)


def _asked(recipe: Recipe, index: int) -> _Asked:
    begin, length = recipe.begin_of(index), recipe.train_of(index).sequence_length
    model = str(begin.of) if begin.kind == "model" else None
    return _Asked(recipe.stages[index].name, length, model)


def outlined(config: PreTrainedConfig, kind: Kind | None = None) -> PreTrainedModel:
    """The model of a configuration without any weights."""
    architecture = next(iter(config.architectures or []), "")
    found = kind or kind_of_architecture(architecture) or "causal"
    with undisturbed(), torch.device("meta"):
        return KINDS[found].auto_class.from_config(config)


def _positions(model: PreTrainedModel) -> int | None:
    """The rows of a table of learned positions; None where there is none."""
    found = [len(p) for name, p in model.named_parameters() if _POSITIONS.search(name)]
    return min(found, default=None)


def _refuse_other_shape(stage: _Asked, own: PreTrainedModel) -> None:
    source = find_model(str(stage.model))
    other = outlined(AutoConfig.from_pretrained(source, local_files_only=True))
    mine, its = _shapes(own), _shapes(other)
    differing = [n for n in [*mine, *its] if mine.get(n) != its.get(n)]
    if differing:
        name = differing[0]
        raise InputError(
            f"stages.{stage.name}.from: {stage.model} is a model of another shape than this run's "
            f"({name} is {_said(its, name)} there, {_said(mine, name)} here); begin at one of its "
            "own releases, or start a run from it"
        )


def _shapes(model: PreTrainedModel) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter; a vocabulary, which data decides, counts as 0."""
    words = model.config.get_text_config().vocab_size
    return {
        name: tuple(0 if size == words else size for size in parameter.shape)
        for name, parameter in model.named_parameters()
    }


def _said(shapes: dict[str, tuple[int, ...]], name: str) -> str:
    found = shapes.get(name)
    return "not" if found is None else " x ".join(str(n) if n else "words" for n in found)
