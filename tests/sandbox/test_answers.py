import json
from pathlib import Path

import pytest

from evergrow.errors import InputError
from evergrow.sandbox.answers import read_answers, verify_answers
from evergrow.sandbox.code import CodeTask

CHECK = "def check(candidate):\n    assert candidate(2) == 4\n"
TASKS = [CodeTask(name, f"def {name}(x):\n", name, CHECK, "") for name in ("double", "square")]


def written(folder: Path, *rows: tuple[str, str]) -> Path:
    path = folder / "answers.jsonl"
    lines = [json.dumps({"task_id": name, "completion": text}) for name, text in rows]
    path.write_text("\n".join(lines) + "\n\n")
    return path


def test_answers_of_a_file_are_judged_by_task(tmp_path: Path) -> None:
    right, wrong = "    return x * 2", "    return x"
    path = written(
        tmp_path, ("square", wrong), ("double", right), ("square", right), ("double", "    return")
    )
    verdicts = verify_answers(path, TASKS)
    kinds = {name: [v.kind for v in found] for name, found in verdicts.items()}
    assert kinds == {"double": ["passed", "wrong"], "square": ["wrong", "passed"]}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"task_id": "double"}', r":1: expected an object with the texts task_id and completion"),
        ('{"task_id": "double", "completion": 1}', ":1: expected an object"),
        ("[]", ":1: expected an object"),
        ("{", ":1: no JSON"),
        ('\n{"task_id": "cube", "completion": ""}', ":2: 'cube' is no task .* like 'double'"),
        ("", "2 of 2 tasks have fewer than 1 answers, 'double' has 0"),
        ('{"task_id": "double", "completion": ""}', "1 of 2 tasks .* 'square' has 0"),
    ],
)
def test_a_file_that_is_no_answers_is_one_sentence(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=reason):
        read_answers(path, ["double", "square"])


def test_a_missing_file_or_another_encoding_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_answers(tmp_path / "none.jsonl", ["double"])
    path = tmp_path / "latin.jsonl"
    path.write_bytes('{"task_id": "é"}'.encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        read_answers(path, ["double"])
