"""``continue`` on a model that has no Run: its recipe, from what is asked and what it brings."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from transformers import PreTrainedModel

from evergrow.errors import InputError
from evergrow.flow.asked import Mix, no_rate, refuse_no_rate
from evergrow.flow.find import left_behind
from evergrow.flow.pages import Carried
from evergrow.flow.recipes import carry_out
from evergrow.listener import Listener
from evergrow.models.describe import context_window
from evergrow.models.find import find_model
from evergrow.models.kind import OF_PICTURES, kind_of
from evergrow.models.load import load_model
from evergrow.recipe import Recipe, decode_recipe, load_recipe
from evergrow.train.trainer import is_trainer_checkpoint, reached, trainer_moments

SEQUENCE_LENGTH = 512
BATCH_SIZE = 8
LOOKS_A_STAGE = 10  # measurements inside a stage, where the recipe asks for none


def continue_model(
    model: str,
    data: Sequence[str],
    tokens: int,
    name: str,
    runs: Path,
    listener: Listener,
    settings: Mapping[str, Any],
    evaluate: Sequence[str] = (),
    mix: Mix | None = None,
) -> Carried:
    """A first stage for a model that has no Run: a folder or a hub id, with its own tokenizer.

    ``settings`` are dotted overrides of the recipe this makes. ``schedule.peak_lr`` must be among
    them, unless the model is a checkpoint of Hugging Face's Trainer, which says its rate and brings
    its moments. ``evaluate`` globs are measured before and after, never trained on: the old skills.
    ``mix`` is learnt beside ``data``, and measured: there is no replay of what was never seen here.
    """
    made = first_recipe(model, data, tokens, name, listener, settings, evaluate, mix)
    _refuse_taken(runs / name, made)
    return carry_out(made, runs, Path.cwd(), listener)


def first_recipe(
    model: str,
    data: Sequence[str],
    tokens: int,
    name: str,
    listener: Listener,
    settings: Mapping[str, Any],
    evaluate: Sequence[str] = (),
    mix: Mix | None = None,
) -> Recipe:
    """The recipe by which ``continue_model`` goes on; raises InputError as it does."""
    refuse_no_rate(model, settings)
    folder = find_model(model)
    if said := left_behind(folder):
        listener.say(said)
    loaded = load_model(folder)
    if kind_of(loaded) in OF_PICTURES:
        raise InputError(
            f"{model}: a {type(loaded).__name__} reads pictures, --data names texts; write a "
            "recipe whose sources have images and whose model.from is this folder (docs/images.md)"
        )
    asks_rate = "schedule.peak_lr" not in settings
    trains_all = not any(key.startswith("train.lora") for key in settings)
    given = {**_brought(folder, loaded, asks_rate, trains_all, listener), **settings}
    if "schedule.peak_lr" not in given:
        raise no_rate(model)
    window = context_window(loaded) or SEQUENCE_LENGTH
    old, general = beside("old", [name]), beside("general", [name])
    recipe: dict[str, Any] = {
        "name": name,
        "sources": {
            name: {"files": absolute(data)},
            **({general: {"files": absolute(mix.globs)}} if mix else {}),
            **({old: {"files": absolute(evaluate)}} if evaluate else {}),
        },
        "model": {"from": _from(model, folder)},
        "train": {"sequence_length": min(window, SEQUENCE_LENGTH), "batch_size": BATCH_SIZE},
        "schedule": {"kind": "infinite"},
        "stages": [{"name": name, **mixed(name, general, mix), "tokens": tokens}],
        "evaluate": {"sources": [old] if evaluate else []},
    }
    return decode_recipe(watched(recipe, tokens), given)


def _from(model: str, folder: Path) -> str:
    """The model in words that hold wherever the recipe lies."""
    if Path(model).expanduser().is_file():
        return str(Path(model).expanduser().resolve())
    return str(folder.resolve()) if Path(model).is_dir() else model


def _refuse_taken(root: Path, asked: Recipe) -> None:
    """Raise InputError when another run has this folder; the same one, or a longer, goes on."""
    if not (root / "recipe.yaml").exists():
        return
    both = [asked.to_data(), load_recipe(root / "recipe.yaml").to_data()]
    for data in both:
        data["stages"] = [{**stage, "tokens": None} for stage in data["stages"]]
    if both[0] != both[1]:
        raise InputError(
            f"{root} exists, made of another model, other files or settings; give another --name, "
            f"or a new stage to the run that is there: evergrow continue {root} --data ..."
        )


def watched(recipe: dict[str, Any], tokens: int) -> dict[str, Any]:
    """The recipe with LOOKS_A_STAGE looks into a stage of ``tokens``, unless it says how often."""
    asked = recipe["evaluate"]
    every = asked.get("every") or max(1, tokens // LOOKS_A_STAGE)
    return {**recipe, "evaluate": {**asked, "every": every}}


def mixed(name: str, general: str, mix: Mix | None) -> dict[str, JsonValue]:
    """What a stage reads: the source ``name`` alone, or with a share of ``general``."""
    if mix is None:
        return {"data": name}
    return {"mixture": {name: 1 - mix.share, general: mix.share}}


def beside(word: str, taken: Collection[str]) -> str:
    """``word`` as the name of a source, with as many underscores as no ``taken`` name has."""
    while word.lower() in {name.lower() for name in taken}:
        word += "_"
    return word


def absolute(globs: Sequence[str]) -> list[str]:
    """Globs typed on the command line start where it was typed."""
    return [str(Path.cwd() / Path(glob).expanduser()) for glob in globs]


def _brought(
    folder: Path, model: PreTrainedModel, asks_rate: bool, trains_all: bool, listener: Listener
) -> dict[str, Any]:
    """What a checkpoint of Hugging Face's Trainer says of optimiser and, if asked, rate.

    Moments are taken if the stage ``trains_all``: adapters have none yet. Empty for another model.
    Says what of it is used, and why something is not.
    """
    if not is_trainer_checkpoint(folder):
        return {}
    found = _moments_of(folder, model, listener) if trains_all else {}
    rate = _rate_of(folder, listener) if asks_rate else None
    if rate is not None:
        found["schedule.peak_lr"] = rate
        if "model.optimizer" in found:
            found["schedule.warmup"] = 0.0  # nothing has to fill, and the rate is the one of then
    return found


def _moments_of(folder: Path, model: PreTrainedModel, listener: Listener) -> dict[str, Any]:
    """The settings of a Trainer's optimiser, whose moments are taken; empty where none fit."""
    try:
        adam = trainer_moments(folder, model).settings
    except InputError as error:
        listener.say(f"{error}; the optimiser begins anew")
        return {}
    listener.say(
        f"{folder.name}: Trainer's moments are used, with its betas {adam.beta1:g} and "
        f"{adam.beta2:g} and decay {adam.weight_decay:g}"
    )
    settings = {f"train.optimizer.{key}": value for key, value in adam.model_dump().items()}
    return {"model.optimizer": "trainer", **settings}


def _rate_of(folder: Path, listener: Listener) -> float | None:
    """The rate that the Trainer would have gone on at; None, said why, when there is none."""
    found = reached(folder)
    if found is None:
        listener.say(f"{folder.name}: Trainer wrote down no rate")
        return None
    if found.has_run_down:
        listener.say(
            f"{folder.name}: Trainer's rate had run down from {found.peak:.3g} to {found.rate:.3g} "
            f"at step {found.step}, which is none to go on at"
        )
        return None
    listener.say(f"{folder.name}: peak rate {found.rate:.3g}, Trainer's after step {found.step}")
    return found.rate
