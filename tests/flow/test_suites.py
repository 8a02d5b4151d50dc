"""Suites scored: beside a release's other scores, once, with all that the number depends on."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from evergrow.errors import InputError
from evergrow.evals.suites.choices import METHODS
from evergrow.evals.suites.config import Asked
from evergrow.evals.suites.items import open_suite
from evergrow.flow import suites
from evergrow.flow.suites import UNKNOWN, compared, evaluate_suite, searched
from evergrow.lineage import Node, read_node
from evergrow.run import Run
from evergrow.scores.store import read_kind, read_scores

WORDS = ("tree", "root", "leaf", "moss", "wave", "salt", "tide", "reef")
CHOICES = [
    {"id": str(n), "prompt": f"the {word}", "choices": ["sea", "stones", "hill"], "answer": n % 2}
    for n, word in enumerate(WORDS)
]
NUMBERS = [{"question": f"{n} + 1?", "answer": f"#### {n + 1}"} for n in (1, 2, 2, 4)]


@pytest.fixture
def lived(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(whole.parent, tmp_path / "runs" / "tiny"))


def file_of(name: str, rows: list[Any]) -> str:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return name


def test_a_release_is_scored_once_and_beside_its_losses(
    lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiz = file_of("quiz.jsonl", CHOICES)
    (score,) = evaluate_suite([str(lived)], quiz, Asked())
    node = read_node(Run(lived / "main").folder / "releases" / "two")
    assert node is not None
    (kept,) = read_kind(lived, node.key, "suite")
    assert kept.suites == [score]
    assert read_scores(lived, node.key, []) == []  # not among the losses
    assert (score.metric, set(score.scores)) == (METHODS[0], set(METHODS))
    assert score.baselines == {"a guess": pytest.approx(1 / 3), "always A": 0.5}
    assert score.sampling is None
    own = score.own
    assert own.value == sum(item.value for item in score.items) / 8
    assert (own.method, score.searched.partition(":")[0]) == ("Wilson", "no")

    def refused(path: object) -> None:
        raise AssertionError("asked again")

    monkeypatch.setattr(suites, "load_model", refused)
    (again,) = evaluate_suite([str(lived)], quiz, Asked())
    assert (again, again.metric) == (score, METHODS[0])
    with pytest.raises(AssertionError, match="asked again"):
        evaluate_suite([str(lived)], quiz, Asked(limit=4))


def test_a_suite_that_changed_is_refused(lived: Path) -> None:
    quiz = file_of("quiz.jsonl", CHOICES)
    evaluate_suite([str(lived)], quiz, Asked())
    file_of("quiz.jsonl", CHOICES[:-1])
    with pytest.raises(InputError, match=r"suite quiz: holds other items than when .* was scored"):
        evaluate_suite([str(lived)], quiz, Asked())
    file_of("quiz.jsonl", [{"suite": "quiz-2"}, *CHOICES[:-1]])
    assert evaluate_suite([str(lived)], quiz, Asked())[0].suite == "quiz-2"


def test_texts_are_written_judged_and_counted(lived: Path) -> None:
    numbers = file_of("numbers.jsonl", NUMBERS)
    (score,) = evaluate_suite([str(lived)], numbers, Asked(samples=2, max_tokens=4))
    assert list(score.scores) == ["accuracy"]
    assert score.baselines == {"empty answer": 0.0, "commonest answer": 0.5}
    assert score.sampling is not None
    assert (score.sampling.temperature, score.sampling.max_tokens, score.samples) == (0.8, 4, 2)


def test_answers_made_elsewhere_are_judged_for_a_model_that_is_not_loaded(
    lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suites, "load_model", None)
    numbers = file_of("numbers.jsonl", NUMBERS)
    (score,) = evaluate_suite([str(lived)], numbers, Asked(), Path(numbers))
    assert (score.scores["accuracy"].value, score.samples, score.sampling) == (1.0, 1, None)
    wrong = file_of("wrong.jsonl", [{"answer": "#### 2"}] * 4)
    (score,) = evaluate_suite([str(lived)], numbers, Asked(), Path(wrong))
    assert score.scores["accuracy"].value == 0.25
    with pytest.raises(InputError, match="--answers: are those of one model"):
        evaluate_suite([str(lived)] * 2, numbers, Asked(), Path(wrong))
    quiz = file_of("quiz.jsonl", CHOICES)
    with pytest.raises(InputError, match="--answers: quiz is of choices"):
        evaluate_suite([str(lived)], quiz, Asked(), Path(wrong))


def test_two_models_on_the_same_items(lived: Path) -> None:
    one, two = (str(lived / "main" / "releases" / name) for name in ("one", "two"))
    scores = evaluate_suite([one, two], file_of("quiz.jsonl", CHOICES), Asked())
    found = compared(*scores)
    values = [score.own.value for score in scores]
    assert found.difference == pytest.approx(values[0] - values[1])
    assert (found.num_clusters, found.test) == (8, "McNemar, exact")
    assert [score.model for score in scores] == [one, two]


def test_a_model_of_no_run_is_kept_with_the_runs(lived: Path) -> None:
    shutil.copytree(lived / "main" / "releases" / "two", "model")
    Path("model", "evergrow.json").unlink()
    (score,) = evaluate_suite(["model"], file_of("quiz.jsonl", CHOICES), Asked())
    assert len(list(Path("runs/scores").glob("*/suite-quiz-*.json"))) == 1
    assert score.searched == UNKNOWN


def test_a_chat_without_a_template_is_refused(lived: Path) -> None:
    with pytest.raises(InputError, match="--chat: the model's tokenizer has no chat template"):
        evaluate_suite([str(lived)], file_of("quiz.jsonl", CHOICES), Asked(chat=True))


def node_of(start: str, **checked: Any) -> Node:
    corpora = {"mail": {"checked_against": [checked]}} if checked else {}
    details: Any = {"start": {"source": start}, "corpora": corpora}
    fed = {"mail": 5, "never": 0}
    return Node(key="k", kind="stage", name="n", parents=[], fed=fed, details=details)


def test_what_is_known_of_the_training_data(lived: Path) -> None:
    suite = open_suite(file_of("quiz.jsonl", CHOICES))
    scratch = "olmo2, from scratch"
    found = {"digest": suite.searched_as, "num_items_found": 3, "num_documents": 7}
    assert searched(None, suite) == UNKNOWN
    assert searched(node_of(scratch), suite).startswith("no: mail was not searched for it")
    yes = "yes: 3 of 8 items found, in 7 documents left out"
    assert searched(node_of(scratch, **found), suite) == yes
    assert searched(node_of("gpt2", **found), suite) == (
        f"{yes}; what gpt2 was trained on before is not recorded"
    )
    other = found | {"digest": "another"}
    assert searched(node_of(scratch, **other), suite).startswith("no: mail")
