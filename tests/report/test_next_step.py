"""The next step is a command that the command line takes, and the recipe too."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flow.tiny import RECIPE
from typer.main import get_command

from evergrow.cli import app
from evergrow.cli.options import settings_of
from evergrow.config import override
from evergrow.recipe import decode_recipe
from evergrow.report.folder import read_run_folder
from evergrow.report.next_step import Step, next_step

Make = Callable[..., Path]
CONTINUED = {"arms": ("cosine",), "streams": ("english",), "start": "some/model"}


def parsed(command: str) -> dict[str, Any]:
    """What the command line understands of a command."""
    program, *words = shlex.split(command)
    assert program == "evergrow"
    root: Any = get_command(app)
    with root.make_context("evergrow", list(words)) as outer:
        name, inner, rest = root.resolve_command(outer, words)
        return inner.make_context(name, rest).params


def step_of(path: Path, not_learnt: list[str] | None = None) -> Step:
    return next_step(read_run_folder(path), not_learnt or [])


def test_what_stopped_goes_on(made: Make) -> None:
    step = step_of(made(progress=0.5, status="stopped"))
    assert parsed(step.command)["recipe"] == Path("runs/toy/recipe.yaml")


def test_while_it_runs_there_is_nothing_to_type(made: Make) -> None:
    assert step_of(made(progress=0.5, status="running")).command == ""


def test_the_best_of_several_arms_goes_on(made: Make) -> None:
    step = step_of(made())
    found = parsed(step.command)
    assert found["model"] == "runs/toy/cosine-replay"
    assert (found["tokens"], found["replay"]) == (179_000, None)
    assert "seeds: 3" in step.why


@pytest.mark.parametrize(("arm", "replay"), [("cosine", 0.1), ("cosine-replay", 0.5)])
def test_what_was_learnt_and_lost_is_replayed_more(made: Make, arm: str, replay: float) -> None:
    path = made(arms=(arm,))
    if arm == "cosine-replay":  # it keeps so much that nothing shows
        summary = json.loads((path / "summary.json").read_text())
        summary["arms"][arm]["changes"][0]["last"]["loss"] = 4.0
        (path / "summary.json").write_text(json.dumps(summary))
    step = step_of(path)
    assert parsed(step.command)["replay"] == replay
    assert step.why.startswith("english, ") or step.why.startswith("python, ")


def test_what_is_only_measured_and_lost_is_mixed_in(made: Make) -> None:
    step = step_of(made(**CONTINUED, only_measured=("old", "older")))
    found = parsed(step.command)
    settings = settings_of(found["overrides"])
    assert settings == {
        "name": "toy-mixed",
        "stages.0.data": None,
        "stages.0.mixture": {"english": 0.9, "old": 0.1},
        "evaluate.sources": ["older"],
    }
    files = {"files": ["*.txt"]}
    data = {**RECIPE, "sources": dict.fromkeys(("english", "old", "older"), files)}
    data["stages"] = [{"name": "english", "data": "english", "tokens": 4096}]
    for key, value in settings.items():
        data = override(data, key, value)
    recipe = decode_recipe(data)
    assert recipe.stages[0].weights == {"english": 0.9, "old": 0.1}


def test_a_model_whose_past_was_not_measured_is_measured(made: Make) -> None:
    path = made(**CONTINUED)
    (path / "recipe.yaml").write_text(json.dumps({"model": {"from": "some/model"}}))
    found = parsed(step_of(path).command)
    assert (found["model"], found["add"]) == ("runs/toy", ["old=FILES"])


def test_what_was_not_learnt_is_trained_longer(made: Make) -> None:
    step = step_of(made(arms=("cosine",)), ["cosine: english"])
    settings = settings_of(parsed(step.command)["overrides"])
    assert settings["name"] == "toy-longer"
    assert settings["stages.2.images"] == 2 * 179_200


def test_a_name_with_a_space_is_one_word(made: Make, tmp_path: Path) -> None:
    path = made(progress=0.5, status="stopped").rename(tmp_path / "two words")
    summary = json.loads((path / "summary.json").read_text())
    (path / "summary.json").write_text(json.dumps({**summary, "name": "two words"}))
    assert parsed(step_of(path).command)["recipe"] == Path("runs/two words/recipe.yaml")
