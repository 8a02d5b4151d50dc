"""Recipes from files: places of mistakes, models that lie beside, recipes that come along."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from recipe.recipes import TEXT, recipe

from evergrow.errors import InputError
from evergrow.recipe import Recipe, find_recipe, load_recipe
from evergrow.recipe.load import PACKAGED

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_that_come_with_the_repository(path: Path) -> None:
    made = load_recipe(path)
    assert made.name == path.stem
    assert Recipe.model_validate(made.to_data()) == made


def in_file(tmp_path: Path, text: str, overrides: dict[str, Any] | None = None) -> str:
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        load_recipe(tmp_path / "r.yaml", overrides)
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_keys_come_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(TEXT.replace("name: tiny", "") + "name: tiny\n")
    assert load_recipe(tmp_path / "r.yaml") == recipe()


def test_mistakes_are_found_by_file_line_and_key(tmp_path: Path) -> None:
    wrong = TEXT.replace("tokens: 4k", "tokens: four")
    said = "expected a count such as 20B, 500M or 4k, got 'four'"
    assert in_file(tmp_path, wrong) == f"r.yaml:10: stages[0].tokens: {said}"
    assert in_file(tmp_path, TEXT.replace("stages:", "stagse:")) == (
        "r.yaml: stages: missing; this key is required; "
        "r.yaml:9: stagse: unknown key; did you mean 'stages'?"
    )
    wrong = TEXT.replace("english: {files", "english: {fiels")
    assert in_file(tmp_path, wrong).startswith("r.yaml:4: sources.english.fiels: unknown key; did")
    arms = TEXT + "arms:\n  a: {}\n  b:\n    replay.fraction: 0.1\n    model.hiden: 7\n"
    assert in_file(tmp_path, arms) == (
        "r.yaml:16: arms.b: recipe.model.hiden: unknown key; did you mean 'hidden'?"
    )
    assert in_file(tmp_path, "name: [1\n") == (
        "r.yaml:2: not valid YAML: expected ',' or ']', but got '<stream end>'"
    )


def test_mistakes_of_the_command_line_are_not_blamed_on_the_file(tmp_path: Path) -> None:
    said = in_file(tmp_path, TEXT, {"stages.0.tokens": "four"})
    assert said.startswith("recipe.stages[0].tokens: expected a count")


def test_models_beside_the_recipe_are_found_from_there(tmp_path: Path) -> None:
    for name in ("model", "other", "two"):
        (tmp_path / name).mkdir()
    text = TEXT.replace("{preset: olmo2, hidden: 32, layers: 1}", "{from: model}")
    text = text.replace("tokens: 8k", "tokens: 8k, from: other")
    arms = "tokenizer: {folder: t}\narms:\n  a: {model.from: other, stages.1.from: one.release}\n"
    (tmp_path / "r.yaml").write_text(text + arms + "  b: {model: {from: other}}\n")
    made = load_recipe(tmp_path / "r.yaml")
    assert made.model.from_ == str(tmp_path / "model")
    assert made.stages[1].from_ == str(tmp_path / "other")
    assert made.resolve("a").model.from_ == str(tmp_path / "other")
    assert made.resolve("a").stages[1].from_ == "one.release"
    assert made.resolve("b").model.from_ == str(tmp_path / "other")


def test_overrides_apply_before_the_recipe_is_judged(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(TEXT.replace("english, tokens", "englsh, tokens"))
    made = load_recipe(path, {"stages.0.data": "python", "train.batch_size": 4})
    assert (made.stages[0].data, made.train.batch_size) == ("python", 4)


def test_a_model_folder_is_looked_for_from_the_recipes_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    data = {**recipe().to_data(), "model": {"from": "mine"}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    assert load_recipe(tmp_path / "recipe.yaml").model.from_ == str(tmp_path / "mine")
    (tmp_path / "mine").rmdir()
    assert load_recipe(tmp_path / "recipe.yaml").model.from_ == "mine"


def test_recipes_that_come_along_are_named_without_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_recipe(Path("quickstart")) == PACKAGED / "quickstart.yaml"
    (tmp_path / "quickstart").write_text("name: own")
    assert find_recipe(Path("quickstart")) == Path("quickstart")  # a file here goes first
    with pytest.raises(InputError, match=r"^growin: no such file; did you mean 'growing'\?$"):
        find_recipe(Path("growin"))


def test_recipes_are_part_of_what_is_installed() -> None:
    settings = tomllib.loads((RECIPES.parent / "pyproject.toml").read_text())
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"recipes": "evergrow/_recipes"}
    assert PACKAGED.samefile(RECIPES)
