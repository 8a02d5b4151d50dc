"""What a model brought is in every release of its life, whatever interrupted it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from flow.tiny import PER_STEP, assert_same, carry, killed_at, run_of, tiny
from safetensors.torch import load_file, save_file

from evergrow.flow.annealing import anneal
from evergrow.flow.verbs import extend
from evergrow.lineage import read_node
from evergrow.listener import Listener
from evergrow.models.origin import Origin, read_origin, write_origin
from evergrow.recipe import Recipe
from evergrow.stage import checkpoints, legs, work

# Greedy with a temperature: transformers reads it and refuses to write it.
GENERATION = json.dumps({"eos_token_id": [0, 7], "do_sample": False, "temperature": 0.7}) + "\n"
TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
BROUGHT = {
    "generation_config.json": GENERATION,
    "chat_template.jinja": TEMPLATE,
    "LICENSE": "Of its authors.\n",
    "tokenizer.model": "another program's\n",
}


@pytest.fixture(scope="module")
def chatty(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of bf16 with more than weights and configuration."""
    folder = tmp_path_factory.mktemp("chatty") / "model"
    shutil.copytree(whole / "releases" / "two", folder)
    (folder / "evergrow.json").unlink()  # it comes from elsewhere
    for name, text in BROUGHT.items():
        (folder / name).write_text(text)
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tools.jinja").write_text(TEMPLATE)
    stored = load_file(folder / "model.safetensors")
    halved = {name: tensor.bfloat16() for name, tensor in stored.items()}
    save_file(halved, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def lived(chatty: Path, **changes: Any) -> Recipe:
    return tiny(tokenizer=None, model={"from": str(chatty)}, **changes)


def assert_brought(release: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    for name, text in BROUGHT.items():
        assert (release / name).read_text() == text, name
    tools = release / "additional_chat_templates" / "tools.jinja"
    assert tools.read_text() == TEMPLATE
    stored = load_file(release / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {dtype}
    told = json.loads((release / "config.json").read_text())["dtype"]
    assert told == str(dtype).removeprefix("torch.")


KILLS: dict[str, tuple[Any, str, int, bool]] = {
    "while what was brought is kept": (work, "record_dtype", 1, False),
    "before any checkpoint": (checkpoints, "save_checkpoint", 1, False),
    "inside the anneal": (legs, "train_branch", 1, False),
    "before the first release is written": (legs, "write_release", 1, False),
    "at the start of the second stage": (legs, "_enter", 2, False),
    "before the second release is written": (legs, "write_release", 2, False),
}


@pytest.fixture(scope="module")
def uninterrupted(base: Path, chatty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_of(carry(lived(chatty), tmp_path_factory.mktemp("lived"), base)).folder


@pytest.mark.parametrize("kill", KILLS)
def test_killed_and_run_again_its_releases_have_the_same_bytes(
    kill: str,
    base: Path,
    chatty: Path,
    uninterrupted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where, name, call, after = KILLS[kill]
    with killed_at(monkeypatch, where, name, call, after):
        carry(lived(chatty), tmp_path, base)
    assert_same(run_of(carry(lived(chatty), tmp_path, base)).folder, uninterrupted)


def test_every_release_has_it(base: Path, chatty: Path, tmp_path: Path) -> None:
    run = run_of(carry(lived(chatty), tmp_path, base)).folder
    extend(run, 4 * PER_STEP, Listener())
    released = anneal(run, 2 * PER_STEP, "linear", 0.1, Listener())
    for release in (run / "releases" / "one", run / "releases" / "two", released):
        assert_brought(release)


def test_what_it_was_derived_from_is_said_in_every_release(
    base: Path, chatty: Path, tmp_path: Path
) -> None:
    folder, origin = tmp_path / "model", Origin(file="a", blake3="0e", type="Q4_1", bits=4)
    shutil.copytree(chatty, folder)
    write_origin(folder, origin)
    run = run_of(carry(lived(folder), tmp_path / "run", base)).folder
    again = run_of(carry(lived(run / "releases" / "two"), tmp_path / "again", base)).folder
    for life in (run, again):
        for release in sorted((life / "releases").iterdir()):
            assert read_origin(release) == origin
            assert origin.said in (release / "README.md").read_text()
            node = read_node(release)
            assert node is not None
            assert node.details["derived_from"] == origin.model_dump(mode="json")


def test_an_arm_that_shares_a_stage_has_it(base: Path, chatty: Path, tmp_path: Path) -> None:
    arms = {"main": {}, "slow": {"stages.1.tokens": 8 * PER_STEP}}
    carried = carry(lived(chatty, arms=arms), tmp_path, base)
    for arm in arms:
        assert_brought(run_of(carried, arm).folder / "releases" / "one")


def test_another_type_can_be_asked_for(base: Path, chatty: Path, tmp_path: Path) -> None:
    asked = tiny(tokenizer=None, model={"from": str(chatty), "release_dtype": "float32"})
    run = run_of(carry(asked, tmp_path, base)).folder
    assert_brought(run / "releases" / "two", torch.float32)
