"""What README and docs say is run here, on less data."""

import json
import re
import runpy
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from evergrow.cli import app
from evergrow.models.config import ModelConfig
from evergrow.recipe import load_recipe

ROOT = Path(__file__).parents[1]
WORDS = ("root", "leaf", "stem", "bark", "seed", "bud", "twig", "crown", "sap", "moss", "fern")


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of one language in a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def write_text(folder: Path, num_files: int, suffix: str = ".txt") -> None:
    """Files of different plain words, about 4 kB each."""
    folder.mkdir(parents=True)
    for number in range(num_files):
        seed = number + sum(map(ord, folder.name))
        text = " ".join(f"{WORDS[(i * i + seed) % 11]}{(i * seed) % 97}" for i in range(600))
        if suffix == ".jsonl":
            text = json.dumps({"text": text}) + "\n"
        (folder / f"{number}{suffix}").write_text(text, encoding="utf-8")


def test_the_page_of_verbs_is_what_help_says() -> None:
    page = runpy.run_path(str(ROOT / "docs/generate.py"))["verbs_page"]()
    assert page == (ROOT / "docs/verbs.md").read_text(encoding="utf-8"), "run docs/generate.py"


def test_the_recipe_in_the_docs_and_all_recipes_are_valid(tmp_path: Path) -> None:
    (tmp_path / "first.yaml").write_text(blocks("docs/recipes.md", "yaml")[0], encoding="utf-8")
    recipes = [tmp_path / "first.yaml", *(ROOT / "recipes").glob("*.yaml")]
    for number, recipe in enumerate(blocks("docs/images.md", "yaml")):
        recipes.append(tmp_path / f"images-{number}.yaml")
        recipes[-1].write_text(recipe, encoding="utf-8")
    assert all(load_recipe(path).stages for path in recipes)


def test_links_between_pages_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.slow
def test_the_python_block_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = yaml.safe_load((ROOT / "recipes/quickstart.yaml").read_text(encoding="utf-8"))
    recipe |= {"workers": 1, "held_out": {"tokens": 2_000}}
    for source in recipe["sources"].values():
        source["max_bytes"] = 600_000  # descriptions of packages come first and are no prose
    for stage in recipe["stages"]:
        stage["tokens"] = 8_000
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/quickstart.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    write_text(tmp_path / "docs", 2, ".md")
    code = blocks("README.md", "python")[0].replace("40_000", "4_000")
    exec(compile(code, "README.md", "exec"), {})
    assert re.search(r"\d\.\d{3} \(\d\.\d{3} to \d\.\d{3}\)", capsys.readouterr().out)


@pytest.mark.slow
def test_the_commands_that_continue_a_model_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evergrow.models.load import model_from_config
    from evergrow.models.save import save_release
    from evergrow.stream.tokenizer import train_tokenizer

    monkeypatch.chdir(tmp_path)
    write_text(tmp_path / "notes", 30, ".md")
    write_text(tmp_path / "old", 8)
    write_text(tmp_path / "mail", 31, ".jsonl")
    text = [path.read_text() for path in (tmp_path / "old").iterdir()]
    tokenizer = train_tokenizer(text, 300)
    config = ModelConfig(preset="olmo2", hidden=32, layers=2)
    model = model_from_config(config, tokenizer, 64, seed=0)
    save_release(tmp_path / "my-model", model, tokenizer, "", {})
    commands = [line for block in blocks("docs/continue.md", "sh") for line in block.splitlines()]
    for command in commands:
        words = shlex.split(re.sub(r"(\d+)M", r"\g<1>0k", command).replace("200k", "8k"))
        if "my-model" in words:
            words += ["--set", "held_out.tokens=2k"]
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, (command, result.output, result.exception)
    assert (tmp_path / "runs/notes/main/releases/mail/model.safetensors").exists()


def test_the_commands_that_grow_a_model_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evergrow.models.load import model_from_config
    from evergrow.models.save import save_release
    from evergrow.stream.tokenizer import train_tokenizer

    monkeypatch.chdir(tmp_path)
    write_text(tmp_path / "notes", 3, ".md")
    text = [path.read_text() for path in (tmp_path / "notes").iterdir()]
    tokenizer = train_tokenizer(text, 300)
    config = ModelConfig(preset="olmo2", hidden=64, layers=2)
    model = model_from_config(config, tokenizer, 64, seed=0)
    save_release(tmp_path / "my-model", model, tokenizer, "# Mine\n", {})
    commands = [line for block in blocks("docs/growth.md", "sh") for line in block.splitlines()]
    assert [line.split()[2] for line in commands] == ["plan", "apply", "verify"]
    small = {"hidden=768": "hidden=96", "heads=12": "heads=3", "ffn=3072": "ffn=256"}
    small["layers=16"] = "layers=3"
    for command in commands:
        for size, smaller in small.items():
            command = command.replace(size, smaller)
        result = CliRunner().invoke(app, shlex.split(command)[1:])
        assert result.exit_code == 0, (command, result.output, result.exception)
    assert "loss on text: 5." in result.output
    assert (
        json.loads((tmp_path / "my-larger-model/growth.json").read_text())["exactness"] == "exact"
    )


def test_the_recipe_and_the_commands_of_the_page_of_corpora_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/prose.md").write_bytes((ROOT / "LICENSE").read_bytes())
    recipe = blocks("docs/corpora.md", "yaml")[0].replace("max_bytes: 1M", "max_bytes: 200k")
    (tmp_path / "clean.yaml").write_text(recipe, encoding="utf-8")
    (tmp_path / "policy.yaml").write_text("presets: [gopher]\n", encoding="utf-8")
    commands = blocks("docs/corpora.md", "sh")[0].splitlines()
    assert [command.split()[1] for command in commands] == ["curate", "curate", "why"]
    told = tmp_path / "runs/clean/corpora/code/decisions"
    for command in commands:
        if "why" in command:
            rows = pq.read_table(next(told.iterdir())).to_pylist()
            command = command.replace("json/scanner.py", rows[0]["id"])
        result = CliRunner().invoke(app, shlex.split(command)[1:])
        assert result.exit_code == 0, (command, result.output, result.exception)
    assert "code.mean_line" in result.output
