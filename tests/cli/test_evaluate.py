"""eval from the shell: a suite's table with all that the number depends on, and its mistakes."""

import json
from pathlib import Path

import pytest
from cli.conftest import Refused

from evergrow.cli.evaluate import show_suite_scores
from evergrow.evals.suites.records import Estimate, ItemScore, SuiteScore
from evergrow.models.sampling import Sampling


def score(model: str, right: int) -> SuiteScore:
    items = [ItemScore(id=str(n), cluster=str(n), value=float(n < right)) for n in range(40)]
    return SuiteScore(
        suite="quiz",
        digest="d",
        license="MIT",
        model=model,
        metric="accuracy",
        scores={"accuracy": Estimate(value=right / 40, low=0.1, high=0.9, method="Wilson")},
        baselines={"empty answer": 0.025},
        samples=1,
        sampling=Sampling(temperature=0.5, top_p=0.9, max_tokens=64),
        chat=True,
        seed=3,
        counts={"cut at the most tokens": 2},
        searched="unknown: because",
        tier="bubblewrap",
        items=items,
    )


def test_a_score_says_what_it_rests_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    show_suite_scores([score("mine", 30), score("theirs", 10)])
    out = capsys.readouterr().out
    assert "quiz, 40 items, in %" in out
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines()]
    assert ["mine", "accuracy", "75.0", "10.0 to 90.0"] in cells
    assert ["no model", "empty answer", "2.5", ""] in cells
    assert (
        "mine: interval: Wilson; 1 answers an item, temperature 0.5, top_p 0.9, at most 64 tokens, "
        "seed 3, as a chat; cut at the most tokens: 2; sandbox: bubblewrap "
        "(keeps out network, files, other processes, environment)\n"
        "training data checked against this suite: unknown: because\n"
    ) in out
    assert out.splitlines()[-1].startswith("the first is better: +50.0 points, p = 1.9e-06")


def test_what_does_not_go_together(refused: Refused, tmp_path: Path) -> None:
    assert refused("eval", "model", "--samples", "3").startswith("--suite: say which")
    assert refused("eval", "model", "other").startswith("--suite: say which")
    both = refused("eval", "model", "--suite", "humaneval", "--data", "*.txt")
    assert both.startswith("--suite: brings its own items")


def test_settings_are_refused_before_a_model_is_looked_for(refused: Refused) -> None:
    told = refused("eval", "nowhere/model", "--suite", "humaneval", "--temperature", "-1")
    assert told.startswith("eval.temperature:")


def test_a_suite_that_is_not_there(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["GPT2LMHeadModel"]}))
    told = refused("eval", str(tmp_path), "--suite", "human_eval")
    assert told.startswith("suites: 'human_eval' is neither a known suite nor a file; did you mean")
