"""What README and docs say is run here, on less data."""

import argparse
import ast
import asyncio
import email
import inspect
import json
import logging
import os
import re
import shlex
import shutil
import statistics
import unittest
import webbrowser
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from models.gguf_files import write_gguf
from models.zoo import tiny_config
from report.make_run import make_run
from typer.testing import CliRunner

from evergrow.cli import app
from evergrow.flow.recipes import carry_out
from evergrow.listener import Listener
from evergrow.models.config import ModelConfig
from evergrow.recipe import Recipe, decode_recipe, load_recipe
from evergrow.report import write_report

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


def test_the_recipe_in_the_docs_and_all_recipes_are_valid(tmp_path: Path) -> None:
    first, adapted, chats, growth = blocks("docs/recipes.md", "yaml")
    whole = yaml.safe_load(first) | yaml.safe_load(growth)
    whole["sources"]["python"] = {"installed": "python"}
    grown = yaml.safe_dump(whole, sort_keys=False)
    recipes = [*(ROOT / "recipes").glob("*.yaml")]
    written = [first, adapted, grown, chats, *blocks("docs/images.md", "yaml")]
    for number, recipe in enumerate(written):
        recipes.append(tmp_path / f"{number}.yaml")
        recipes[-1].write_text(recipe, encoding="utf-8")
    assert all(load_recipe(path).stages for path in recipes)


def test_the_commands_on_pages_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    runs = tmp_path / "runs"
    write_report(make_run(runs / "quickstart", arms=("infinite-replay", "cosine")))
    make_run(runs / "notes", arms=("cosine",), streams=("english",), only_measured=("old",))
    (page,) = blocks("docs/report.md", "sh")
    for line in page.splitlines():
        done = CliRunner().invoke(app, shlex.split(line)[1:], catch_exceptions=False)
        assert done.exit_code == 0, line
    assert [Path(address).name for address in opened] == ["index.html", "report.html"]
    assert (runs / "compare.html").exists()


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
    code = blocks("README.md", "python")[0].replace("40k", "4k")
    exec(compile(code, "README.md", "exec"), {})
    assert re.search(r"\d\.\d{3} \(\d\.\d{3} to \d\.\d{3}\)", capsys.readouterr().out)


def write_talks(folder: Path) -> None:
    """What classes and functions of the standard library are, asked and answered."""
    folder.mkdir()
    rows = []
    for module in (argparse, ast, asyncio, email, logging, os, shutil, statistics, unittest):
        for name, thing in vars(module).items():
            said = (inspect.getdoc(thing) or "").partition("\n\n")[0]
            if callable(thing) and said and not name.startswith("_"):
                turns = {"user": f"What is {module.__name__}.{name}?", "assistant": said}
                rows.append({"messages": [{"role": r, "content": c} for r, c in turns.items()]})
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "docs.jsonl").write_text(text, encoding="utf-8")


def smaller(recipe: str, **changes: Any) -> Recipe:
    """A recipe on less of every source, with stages of 8k tokens; ``changes`` are overrides."""
    data = yaml.safe_load(recipe) | {"held_out": {"tokens": 2_000}}
    for source in data["sources"].values():
        if "max_bytes" in source:
            source["max_bytes"] = 600_000
    for stage in data["stages"]:
        if "tokens" in stage:
            stage["tokens"] = 8_000
    return decode_recipe(data, changes)


@pytest.mark.slow
def test_the_smallest_recipe_and_the_commands_of_its_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_text(tmp_path / "letters", 2)
    (tmp_path / "first.yaml").write_text(blocks("docs/recipes.md", "yaml")[0], encoding="utf-8")
    lines = [line for block in blocks("docs/recipes.md", "sh") for line in block.splitlines()]
    for command in ["evergrow run first.yaml", *lines]:
        result = CliRunner().invoke(app, shlex.split(command)[1:])
        assert result.exit_code == 0, (command, result.output, result.exception)
    summary = json.loads((tmp_path / "runs/first/summary.json").read_text())
    before, after = summary["arms"]["main"]["extra"]["letters"]
    assert after < before


@pytest.mark.slow
def test_the_recipe_of_chats_learns_to_answer(tmp_path: Path) -> None:
    write_talks(tmp_path / "talks")
    recipe = smaller(blocks("docs/recipes.md", "yaml")[2], **{"stages.1.examples": 640})
    life = carry_out(recipe, tmp_path / "runs", tmp_path, Listener())
    told, answered = life.summary.arms["main"].loss_matrix
    assert life.summary.streams == ["english", "talks"]
    assert float(str(answered[1])) < float(str(told[1])) - 0.2
    assert (life.folder / "main/releases/talks/chat_template.jinja").exists()


@pytest.mark.slow
def test_the_recipe_of_a_tree_has_three_leaves(tmp_path: Path) -> None:
    recipe = smaller((ROOT / "recipes/tree.yaml").read_text(encoding="utf-8"))
    life = carry_out(recipe, tmp_path / "runs", tmp_path, Listener())
    arm = life.summary.arms["main"]
    ways = {name: other.streams for name, other in arm.others.items()}
    assert arm.streams == ["english", "cpp"]
    assert ways == {"cpp-alone": ["cpp-alone"], "cpp-tuned": ["english", "cpp-tuned"]}
    log = CliRunner().invoke(app, ["log", str(life.folder)]).output.splitlines()
    left = [line.index(name) for name in ("cpp-tuned (", "cpp (", "cpp-alone (") for line in log
            if name in line]  # fmt: skip
    assert left == [8, 8, 4]


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
    write_text(tmp_path / "letters", 2)
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
        if "--new" in words:
            write_text(tmp_path / "notes/later", 30, ".md")
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, (command, result.output, result.exception)
    assert (tmp_path / "runs/notes/main/releases/mail/model.safetensors").exists()


@pytest.mark.slow
def test_the_commands_on_a_gguf_file_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evergrow.models.origin import read_origin
    from evergrow.stream.tokenizer import train_tokenizer

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVERGROW_CACHE", str(tmp_path / "cache"))
    write_text(tmp_path / "notes", 30, ".md")
    (tmp_path / "models").mkdir()
    tokenizer = train_tokenizer([p.read_text() for p in (tmp_path / "notes").iterdir()], 270)
    path = tmp_path / "models/my-model.Q4_K_M.gguf"
    write_gguf(path, tiny_config("llama", False), tokenizer, kind="Q4_1")
    for command in blocks("docs/models.md", "sh")[0].splitlines():
        words = shlex.split(command.replace("2M", "4k"))
        if "continue" in words:
            words += ["--set", "held_out.tokens=2k", "--set", "train.sequence_length=32"]
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, (command, result.output, result.exception)
    release = tmp_path / "runs/notes/main/releases/notes"
    origin = read_origin(release)
    assert origin is not None
    assert "Derived from 4-bit weights (Q4_1): my-model.Q4_K_M.gguf of Tiny" in origin.said
    card = (release / "README.md").read_text()
    assert origin.said in card and "base_model" not in card
    assert json.loads((release / "generation_config.json").read_text())["eos_token_id"] == [0, 1]


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
    train_tokenizer(text, 330).save_pretrained(tmp_path / "my-tokenizer")
    for preset, name in (("olmo2", "my-model"), ("llama", "my-llama")):
        config = ModelConfig(preset=preset, hidden=64, layers=2)
        model = model_from_config(config, tokenizer, 64, seed=0)
        save_release(tmp_path / name, model, tokenizer, "# Mine\n", {})
    commands = [line for block in blocks("docs/growth.md", "sh") for line in block.splitlines()]
    verbs = [line.split()[2] for line in commands]
    assert verbs == ["plan", "apply", "verify", *["apply"] * 3, "plan", "apply", "apply"]
    printed = []
    small = {"hidden=768": "hidden=96", "heads=12": "heads=3", "ffn=3072": "ffn=256"}
    small |= {"layers=16": "layers=3", "layers=8,ffn=1024,heads=6": "layers=1,ffn=64,heads=1"}
    small |= {"layers=8": "layers=1", "--layers 0-5,9-11": "--layers 1"}
    for command in commands:
        for size, smaller in small.items():
            command = command.replace(size, smaller)
        result = CliRunner().invoke(app, shlex.split(command)[1:])
        assert result.exit_code == 0, (command, result.output, result.exception)
        printed.append(result.output)
    assert "loss on text: 5." in printed[2]
    assert "bits per byte of text, each by its own tokenizer" in printed[3]
    folders = ["my-larger-model", "my-model-that-reads-more", "my-mixture", "my-other-mixture"]
    folders += ["my-smaller-model", "my-shallower-model"]
    found = [json.loads((tmp_path / f / "growth.json").read_text())["exactness"] for f in folders]
    assert found == ["exact", "approximate", "exact", "lossy", *["none: pruned"] * 2]


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
    assert [command.split()[1] for command in commands] == ["curate", "curate", "why", "why"]
    told = tmp_path / "runs/clean/corpora/code/decisions"
    for command in commands:
        if "why" in command:
            rows = pq.read_table(next(told.iterdir())).to_pylist()
            command = command.replace("json/scanner.py", rows[0]["id"])
        result = CliRunner().invoke(app, shlex.split(command)[1:])
        assert result.exit_code == 0, (command, result.output, result.exception)
    assert "code.mean_line" in result.output
