"""A recipe unfolded: one unit an arm and seed, one key a stage; equal keys are trained once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evergrow.flow.versions import VERSION
from evergrow.recipe import MAIN_ARM, Recipe
from evergrow.stream.order import key_of

# Settings of training that change no recorded byte.
_WITHOUT_EFFECT = {"log_every", "threads", "device"}
# Settings that older runs do not have: absent, they are no part of a key.
_LATER = {"grow", "two_stage", "objective", "augment", "depth"}


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


def stage_keys(recipe: Recipe, seed: int, data: Mapping[str, str], tokenizer: str) -> list[str]:
    """A key a stage, made of all that determines its bytes and of its parent's key.

    ``data`` holds the folder name, which carries the content's hash, of every measured source.
    """
    train = {
        k: v
        for k, v in recipe.train.model_dump().items()
        if k not in _WITHOUT_EFFECT and (k not in _LATER or v is not None)
    }
    key = key_of(
        VERSION,
        seed,
        tokenizer,
        recipe.model.model_dump(),
        train,
        recipe.evaluate.model_dump(),
    )
    keys = []
    for index, stage in enumerate(recipe.stages):
        written: dict[str, Any] = stage.model_dump(exclude={"data", "mixture"})
        settings = {k: v for k, v in written.items() if k not in _LATER or v is not None}
        settings |= {
            "mixture": {data[s]: w for s, w in stage.weights.items()},
            "schedule": recipe.schedule_of(index).model_dump(),
            "replay": recipe.replay_of(index).model_dump(),
        }
        key = key_of(key, sorted(settings.items()))
        keys.append(f"{key:016x}")
    return keys
