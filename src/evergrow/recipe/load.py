"""Recipes from files and from plain data, with overrides."""

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

from evergrow.config import WrongSettings, decode, nearest, override
from evergrow.errors import InputError
from evergrow.recipe.corpora import CorpusRecipe
from evergrow.recipe.whole import Recipe
from evergrow.strict_yaml import Raw, lines_of, load_yaml, read_text

Overrides = dict[str, Any]  # values by dotted path
SUFFIXES = (".yaml", ".yml")
_PLACES = (Path(__file__).parents[1] / "_recipes", Path(__file__).parents[3] / "recipes")
PACKAGED = next(place for place in _PLACES if place.is_dir())  # as installed, or in a checkout
Made = TypeVar("Made")


def decode_recipe(data: Raw, overrides: Overrides | None = None) -> Recipe:
    """Validate a recipe given as plain data, with dotted overrides; every arm is validated too."""
    for path, value in (overrides or {}).items():
        data = override(data, path, value, Recipe)
    recipe = decode(Recipe, data, "recipe")
    for arm in recipe.arms:
        recipe.resolve(arm)
    return recipe


def find_recipe(asked: Path) -> Path:
    """The recipe's file: ``asked`` itself, or the one of this name that comes with evergrow.

    Raises InputError for what is neither, and for a folder.
    """
    if asked.is_file():
        return asked
    known = sorted(path.stem for path in PACKAGED.glob("*.yaml"))
    if asked.is_dir():
        raise InputError(
            f"{asked}: a folder; give a recipe's file, or write one: evergrow init {asked}"
        )
    if str(asked) in known:
        return PACKAGED / f"{asked}.yaml"
    beside = asked.parent.iterdir() if asked.parent.is_dir() else []
    there = [str(asked.with_name(path.name)) for path in beside if path.suffix in SUFFIXES]
    way = nearest(str(asked), [*there, *known], "recipes that come along")
    raise InputError(f"{asked}: no such file; {way}")


def load_corpus_recipe(path: Path, overrides: Overrides | None = None) -> CorpusRecipe:
    """The corpora of a recipe file, whole or of name, sources and corpora alone.

    Raises InputError as ``load_recipe`` does, and when there is no corpus in it.
    """
    data = load_yaml(path)
    if data.keys() & {"model", "train", "schedule", "stages"}:
        recipe = load_recipe(path, overrides)
        data, overrides = recipe.model_dump(include=set(CorpusRecipe.model_fields)), None
    for place, value in (overrides or {}).items():
        data = override(data, place, value, CorpusRecipe)
    if not data.get("corpora"):
        raise InputError(
            f"{path}: has no corpora to curate; add corpora: {{NAME: {{sources: ...}}}}"
        )
    return _in_file(path, overrides or {}, lambda: decode(CorpusRecipe, data, "recipe"))


def load_recipe(path: Path, overrides: Overrides | None = None) -> Recipe:
    """Read a recipe file. Raises InputError with file, line, key and rule.

    The folders and files that ``model.from`` gives, in arms too, are looked for from the recipe's
    folder, as files are.
    """
    data = load_yaml(path)
    recipe = _in_file(path, overrides or {}, lambda: decode_recipe(data, overrides))
    if moved := _models_beside(recipe, path.resolve().parent):
        return decode_recipe(recipe.to_data(), moved)
    return recipe


def _in_file(path: Path, overrides: Collection[str], make: Callable[[], Made]) -> Made:
    """What ``make`` gives; of its mistakes file and line are said, unless an override made them."""
    try:
        return make()
    except WrongSettings as error:
        lines = lines_of(read_text(path))
        found = [_placed(path, lines, overrides, error.where, *p) for p in error.problems]
        raise InputError("; ".join(found)) from error


def _placed(
    path: Path, lines: dict[str, int], overrides: Collection[str], where: str, key: str, reason: str
) -> str:
    """``recipe.yaml:12: stages[0].tokens: the reason``."""
    place = f"{where}.{key}" if key else where
    dotted = key.replace("[", ".").replace("]", "")
    if any(f"{dotted}.".startswith(f"{override}.") for override in overrides):
        return f"{place}: {reason}"
    arm = where.removeprefix("recipe").partition(":")[0].lstrip(".")  # arms.NAME, or nothing
    line = _line_of(lines, f"{arm}.{dotted}" if arm else key)
    said = place.removeprefix("recipe").lstrip(".")
    return f"{path}{line}: {said}: {reason}" if said else f"{path}: {reason}"


def _line_of(lines: dict[str, int], key: str) -> str:
    """``:12`` of the innermost setting on the way to ``key`` that the file has."""
    while key:
        if key in lines:
            return f":{lines[key]}"
        key = key[: max(key.rfind("."), key.rfind("["), 0)]
    return ""


def _models_beside(recipe: Recipe, folder: Path) -> Overrides:
    """Overrides that name by whole paths the models lying beside a recipe's file."""
    names = {stage.name for stage in recipe.stages}

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            return {**value, "from": whole(value["from"])} if "from" in value else value
        is_stage = isinstance(value, str) and value.removesuffix(".release") in {*names, "start"}
        is_there = isinstance(value, str) and not is_stage and (folder / value).exists()
        return str(folder / value) if is_there else value

    said: Overrides = {"model.from": recipe.model.from_} if recipe.model.from_ else {}
    said |= {f"stages.{i}.from": s.from_ for i, s in enumerate(recipe.stages) if s.from_}
    found = {key: whole(value) for key, value in said.items()}
    for arm, changes in recipe.arms.items():
        for key, value in changes.items():
            if key == "model" or key == "model.from" or re.fullmatch(r"stages\.\d+\.from", key):
                said[f"arms.{arm}"] = changes
                found[f"arms.{arm}"] = {**found.get(f"arms.{arm}", changes), key: whole(value)}
    return {key: value for key, value in found.items() if value != said[key]}
