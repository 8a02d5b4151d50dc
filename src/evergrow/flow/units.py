"""A recipe unfolded: one unit an arm and seed, one key a stage; equal keys are trained once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evergrow.made import Made, Settings, chosen
from evergrow.objectives.config import ObjectiveConfig, TrainConfig
from evergrow.recipe import MAIN_ARM, Recipe
from evergrow.run import Begin, Start
from evergrow.stage.versions import VERSION
from evergrow.warmup import least_warmup

KEY_DIGITS = 16


@dataclass(frozen=True)
class Unit:
    """One arm with one seed; ``folder`` is relative to the recipe's run folder."""

    arm: str
    seed: int
    folder: str
    recipe: Recipe


def unfold(recipe: Recipe) -> list[Unit]:
    """The units of a recipe, seed by seed, arms in the order written."""
    several = len(recipe.seeds) > 1
    return [
        Unit(arm, seed, f"{arm}/seed-{seed}" if several else arm, recipe.resolve(arm))
        for seed in recipe.seeds
        for arm in recipe.arms or [MAIN_ARM]
    ]


def start_key(recipe: Recipe, seed: int, tokenizer: str, loaded: str | None) -> str:
    """The key of the model that a recipe starts from; ``loaded`` is the hash of one that is there.

    The head of a loaded vision model may be drawn from the seed.
    """
    if loaded is not None and not recipe.of_pictures:
        return loaded[:KEY_DIGITS]
    settings: dict[str, Any] = {"model": chosen(recipe.model, {"from_"}), "seed": seed}
    settings["sequence_length"] = recipe.train.sequence_length
    if recipe.of_pictures and recipe.train.objective is not None:
        settings["objective"] = chosen(recipe.train.objective)  # which head, which masks
    inputs = {"tokenizer": tokenizer} if loaded is None else {"weights": loaded}
    return Made(version=VERSION, settings=settings, inputs=inputs).key[:KEY_DIGITS]


def stage_keys(
    recipe: Recipe,
    seed: int,
    data: Mapping[str, str],
    start: Start,
    objectives: list[ObjectiveConfig],
    begins: list[Begin],
) -> list[str]:
    """A key a stage, made of all that determines its bytes and of the key of where it begins.

    ``data`` holds the folder name, which carries the content's hash, of every source that is read.
    What is measured is no part of it. The first of several orders is the stage as it would be
    without them, by its name too.
    """
    keys: list[str] = []
    for index, stage in enumerate(recipe.stages):
        if places := recipe.ingredients_of(index):
            keys.append(soup_key([keys[place] for place in places]))
            continue
        settings = {
            **chosen(stage, {"from_", "data", "mixture", "train", "schedule", "replay"}),
            "name": recipe.keyed_name(index),
            "seed": seed,
            "train": chosen(recipe.train_of(index), TrainConfig.RESOURCES | {"objective"}),
            "objective": chosen(objectives[index]),
            "mixture": [[data[source], weight] for source, weight in stage.weights.items()],
            "schedule": _rates(recipe, index),
            "replay": chosen(recipe.replay_of(index)),
        }
        made = Made(
            version=VERSION, settings=settings, inputs=_begun_at(begins[index], keys, start)
        )
        keys.append(made.key[:KEY_DIGITS])
    return keys


def soup_key(keys: Sequence[str]) -> str:
    """The key of what is made of the models with ``keys``: their average, or the best of them."""
    inputs = {str(number): key for number, key in enumerate(keys, 1)}
    return Made(version=VERSION, settings={"soup": "best"}, inputs=inputs).key[:KEY_DIGITS]


def _rates(recipe: Recipe, index: int) -> Settings:
    """What was chosen of a stage's schedule; the usual warm-up may be said or left out."""
    config = recipe.schedule_of(index)
    found = chosen(config)
    if config.warmup is None and recipe.has_fresh_moments(index):
        found["least_warmup"] = least_warmup(recipe.train_of(index).optimizer.beta2)
    elif config.warmup == config.usual_warmup:
        del found["warmup"]
    return found


def _begun_at(begin: Begin, keys: list[str], start: Start) -> dict[str, str]:
    if begin.stage is not None:
        return {begin.kind: keys[begin.stage]}
    return {begin.kind: begin.key or start.key}
