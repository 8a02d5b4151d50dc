"""Suites of a recipe: asked after every stage, once, shown in the report, and never trained on."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from flow.tiny import carry, run_of, tiny

from evergrow.errors import InputError
from evergrow.evals.suites.records import Estimate, ItemScore, SuiteScore
from evergrow.flow import skills
from evergrow.flow.skills import points_lost
from evergrow.listener import Listener
from evergrow.report.folder import read_run_folder
from evergrow.report.page import write_report
from evergrow.report.skills import skills as table_of
from evergrow.scores.store import read_kind

QUIZ = [
    {"prompt": f"tree {word}", "choices": ["leaf-1 moss", "waves salt"], "answer": n % 2}
    for n, word in enumerate(("root", "hills", "stone", "moss-3", "tide", "reef"))
]
SUMS = [{"question": f"{n} + 1?", "answer": f"#### {n + 1}"} for n in range(3)]


@pytest.fixture
def place(base: Path, tmp_path: Path) -> Path:
    """A folder of the tiny recipe's texts with two suites."""
    folder = Path(shutil.copytree(base, tmp_path / "texts"))
    for name, rows in (("quiz", QUIZ), ("sums", SUMS)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


def with_suites(**suites: Any) -> Any:
    return tiny(suites=suites, evaluate={"sample_tokens": 0})


def test_suites_are_asked_after_every_stage_and_once(place: Path, tmp_path: Path) -> None:
    said: list[str] = []
    listener = Listener(say=said.append)
    quiz = {"suite": "quiz.jsonl"}
    carried = carry(with_suites(quiz=quiz), tmp_path / "runs", place, listener)
    keys = [stage.key for stage in run_of(carried).manifest.stages]
    scores = [kept.suites[0] for key in keys for kept in read_kind(carried.folder, key, "suite")]
    assert [score.suite for score in scores] == ["quiz", "quiz"]
    told = [line for line in said if ": quiz" in line]
    assert [line.partition(":")[0] for line in told] == ["main, one", "main, two"]
    own = scores[0].scores["cloze, per character"]
    assert f"quiz {100 * own.value:.1f} % ({100 * own.low:.1f} to {100 * own.high:.1f})" in told[0]

    page = write_report(carried.folder).read_text(encoding="utf-8")
    assert "Skills by stage" in page
    assert "quiz: cloze, per character, 6 items" in page
    ((_, stages, rows),) = table_of(read_run_folder(carried.folder))
    assert (stages, len(rows), rows[0].baseline) == (["one", "two"], 1, 0.5)
    assert rows[0].cells == [score.scores["cloze, per character"] for score in scores]

    # A second suite on the finished recipe: nothing is trained, only it is asked.
    said.clear()
    more = with_suites(quiz=quiz, sums={"suite": "sums.jsonl", "max_tokens": 3})
    again = carry(more, tmp_path / "runs", place, listener)
    assert any("done before; nothing is trained" in line for line in said)
    assert [line.partition(" ")[2][:9] for line in said if ": sums" in line] == [
        "one: sums",
        "two: sums",
    ]
    assert not any(": quiz" in line for line in said)
    assert [stage.key for stage in run_of(again).manifest.stages] == keys


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"suite": "quizz.jsonl"}, "'quizz.jsonl' is neither a known suite nor a file"),
        ({"suite": "sums.jsonl", "samples": 2, "temperature": 0}, "recipe.suites.x: 2 samples at"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_training(
    place: Path, tmp_path: Path, asked: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        carry(with_suites(x=asked), tmp_path / "runs", place)
    assert not list(tmp_path.glob("runs/tiny/main/checkpoints/*"))


def test_a_masked_model_and_an_unknown_key_are_refused(place: Path, tmp_path: Path) -> None:
    masked = tiny(
        suites={"quiz": {"suite": "quiz.jsonl"}},
        model={"preset": "bert", "hidden": 16, "layers": 1, "heads": 2},
    )
    with pytest.raises(InputError, match=r"recipe.suites: are asked of causal models"):
        carry(masked, tmp_path / "runs", place)
    with pytest.raises(InputError, match="did you mean 'samples'"):
        with_suites(quiz={"suite": "quiz.jsonl", "sample": 3})


def test_a_corpus_that_is_not_searched_is_named(place: Path) -> None:
    said: list[str] = []
    prose = {"sources": ["land"]}
    recipe = tiny(suites={"quiz": {"suite": "quiz.jsonl"}}, corpora={"prose": prose})
    skills.check_suites(recipe, place, said.append)
    assert said == [
        "suites.quiz: the corpus prose is not searched for its items; name quiz.jsonl in "
        "corpora.prose.decontaminate.suites"
    ]
    said.clear()
    searched = {"prose": prose | {"decontaminate": {"suites": ["quiz.jsonl"]}}}
    recipe = tiny(suites={"quiz": {"suite": "quiz.jsonl"}}, corpora=searched)
    skills.check_suites(recipe, place, said.append)
    assert said == []


def score(num_right: int) -> SuiteScore:
    items = [ItemScore(id=str(n), cluster=str(n), value=float(n < num_right)) for n in range(40)]
    share = Estimate(value=num_right / 40, low=0, high=1, method="Wilson")
    told: dict[str, Any] = {"suite": "quiz", "digest": "d", "license": "", "model": "m"}
    return SuiteScore(
        **told, metric="accuracy", scores={"accuracy": share}, baselines={}, items=items
    )


def test_only_what_is_more_than_chance_is_lost() -> None:
    assert points_lost(score(30), score(20)) == pytest.approx(0.25)
    assert points_lost(score(30), score(27)) is None
    assert points_lost(score(20), score(30)) is None
    assert skills._sentence("main, two: quiz", score(20), score(30)) == (
        "main, two: quiz 50.0 % (0.0 to 100.0); lost: 25.0 points of the stage before it"
    )
