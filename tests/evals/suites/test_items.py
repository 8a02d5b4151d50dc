"""Rows of files become items; what is no suite is one sentence."""

import json
from pathlib import Path
from typing import Any

import pytest

from evergrow.corpus.contamination import load_suite
from evergrow.errors import InputError
from evergrow.evals.suites.ifeval import Constraint
from evergrow.evals.suites.items import Answer, Choice, Constraints, Program, open_suite

QUIZ = [
    {"id": "a", "question": "2 + 2?", "choices": ["3", "4"], "answer": 1, "cluster": "sums"},
    {"id": "b", "question": "3 + 3?", "choices": ["6", "7"], "answer": "A", "cluster": "sums"},
    {"id": "c", "question": "Sky?", "choices": ["blue", "red", "B"], "answer": "B"},
]


def write_rows(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_choices_are_told_by_place_text_or_letter(tmp_path: Path) -> None:
    suite = open_suite(write_rows(tmp_path / "quiz.jsonl", QUIZ))
    assert (suite.name, suite.kind, len(suite.items)) == ("quiz", "choice", 3)
    assert suite.items[0].task == Choice(("3", "4"), 1)
    assert suite.items[1].task == Choice(("6", "7"), 0)
    assert suite.items[2].task == Choice(("blue", "red", "B"), 2)  # the text goes before the letter
    assert [item.cluster for item in suite.items] == ["sums", "sums", "c"]


def test_the_columns_say_which_task_it_is(tmp_path: Path) -> None:
    gsm8k = [{"question": "1 + 1?", "answer": "It is <<1+1=2>>2.\n#### 2"}]
    suite = open_suite(write_rows(tmp_path / "gsm8k.jsonl", gsm8k))
    assert suite.items[0].task == Answer(gsm8k[0]["answer"], "number")
    assert suite.items[0].id == "0"
    plain = open_suite(write_rows(tmp_path / "p.jsonl", [{"prompt": "Capital?", "answer": "Rome"}]))
    assert plain.items[0].task == Answer("Rome", "exact")
    row = {
        "key": 7,
        "prompt": "So.",
        "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{}],
    }
    constrained = open_suite(write_rows(tmp_path / "ifeval.jsonl", [row]))
    assert constrained.items[0].id == "7"
    assert constrained.items[0].task == Constraints((Constraint("punctuation:no_comma", {}),))


def test_humaneval_is_known_by_name() -> None:
    suite = open_suite("humaneval")
    assert (suite.kind, len(suite.items), suite.head.license) == ("program", 164, "MIT")
    assert "\ndef" in suite.head.stop
    task = suite.items[23].task
    assert isinstance(task, Program)
    assert (task.function, task.solution) == ("strlen", "    return len(string)\n")
    assert suite.searched_as == load_suite("humaneval").digest


def test_a_first_row_tells_of_all_items(tmp_path: Path) -> None:
    head = {"suite": "capitals", "verifier": "f1", "license": "CC0-1.0", "template": "Q: {prompt}"}
    rows = [{"id": "it", "prompt": "Capital of Italy?", "answer": "Rome"}]
    path = write_rows(tmp_path / "file.jsonl", [head, *rows])
    suite = open_suite(path)
    assert (suite.name, suite.head.license, suite.head.template) == (
        "capitals",
        "CC0-1.0",
        "Q: {prompt}",
    )
    assert suite.items[0].task == Answer("Rome", "f1")
    # Corpora are searched for the same items under the same name.
    searched = load_suite(path)
    assert (searched.name, searched.digest) == ("capitals", suite.searched_as)
    assert [item.id for item in searched.items] == ["it"]


def test_the_digest_stands_for_all_that_decides(tmp_path: Path) -> None:
    def digest(head: dict[str, Any], rows: list[Any]) -> str:
        return open_suite(write_rows(tmp_path / "q.jsonl", [{"suite": "q"} | head, *rows])).digest

    same = digest({}, QUIZ)
    assert digest({"license": "MIT"}, QUIZ) == same
    others = [
        digest({"template": "{prompt}"}, QUIZ),
        digest({"stop": ["."]}, QUIZ),
        digest({}, QUIZ[:2]),
        digest({}, [{**QUIZ[0], "answer": 0}, *QUIZ[1:]]),
        digest({}, [{**QUIZ[0], "cluster": "a"}, *QUIZ[1:]]),
    ]
    assert len({same, *others}) == 6


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "found none"),
        ([{"suite": "q"}], "found none"),
        ([QUIZ[0], QUIZ[0]], "the id 'a' comes twice"),
        ([{"suite": "q", "verifyer": "f1"}, QUIZ[0]], "did you mean 'verifier'"),
        ([{"suite": "q", "template": "So:"}, QUIZ[0]], r"has no \{prompt\}"),
        ([{**QUIZ[0], "answer": 2}], "item 'a': the answer 2 is no choice"),
        ([{**QUIZ[0], "answer": True}], "the answer True is no choice"),
        ([{**QUIZ[0], "choices": ["3"]}], "expected 2 to 26 texts"),
        ([{"prompt": "Capital?"}], "expected text in the column 'answer', got None"),
        ([QUIZ[0], {"id": "b", "question": "?", "answer": "x"}], "item 'b': expected .* 'choices'"),
        (
            [{"prompt": "So.", "instruction_id_list": ["length:words"], "kwargs": [{}]}],
            "no constraint 'length:words' is known",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, rows: list[Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as told:
        open_suite(write_rows(tmp_path / "q.jsonl", rows))
    assert "\n" not in str(told.value)
