"""A setting that every arm of a study chooses for itself, on a seed that is not reported.

Arms that share one value are judged by how well it happens to suit each of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evergrow.listener import Listener
from evergrow.recipe import Recipe, decode_recipe
from evergrow.run import Run
from evergrow.studies.findings import Settings

SEED = 10**9  # studies report 0, 1, 2 ...


@dataclass(frozen=True)
class Dial:
    """``values`` to choose from, the overrides that each stands for, and what is to be least."""

    name: str
    values: Sequence[float]
    overrides: Callable[[Recipe, float], Settings]
    least: Callable[[Run], float]


def trial(recipe: Recipe, dial: Dial) -> Recipe:
    """Every arm of ``recipe`` once with each value, as a recipe of its own beside it."""
    arms = {
        _arm(arm, place): {**changes, **dial.overrides(recipe, value)}
        for arm, changes in recipe.arms.items()
        for place, value in enumerate(dial.values)
    }
    data = {**recipe.to_data(), "name": f"{recipe.name}-{dial.name}", "seeds": [SEED], "arms": arms}
    return decode_recipe(data)


def _arm(arm: str, place: int) -> str:
    return f"{arm}-{place + 1}"


def choose(
    recipe: Recipe, dial: Dial, runs: Path, listener: Listener, fresh: bool
) -> dict[str, float]:
    """The best value of each arm, by trials in ``runs``, carried out where they are not yet."""
    from evergrow.flow.recipes import carry_out

    trials = trial(recipe, dial)
    carry_out(trials, runs, Path.cwd(), listener, fresh)
    chosen = {}
    for arm in recipe.arms:
        found = {
            value: dial.least(Run(runs / trials.name / _arm(arm, place)))
            for place, value in enumerate(dial.values)
        }
        chosen[arm] = min(found, key=lambda value: found[value])
    return chosen


def dialled(recipe: Recipe, dial: Dial, chosen: Mapping[str, float]) -> Recipe:
    """``recipe`` with the value that each arm chose."""
    arms = {
        arm: {**changes, **dial.overrides(recipe, chosen[arm])}
        for arm, changes in recipe.arms.items()
    }
    return decode_recipe({**recipe.to_data(), "arms": arms})
