"""Answers to tasks of code that were made elsewhere: a JSONL file of ``task_id, completion``."""

import json
from collections.abc import Sequence
from pathlib import Path

from evergrow.errors import InputError
from evergrow.sandbox.code import CodeTask, Verdict, verify_all
from evergrow.sandbox.limits import Limits


def verify_answers(
    path: Path,
    tasks: Sequence[CodeTask],
    limits: Limits | None = None,
    allow_unsandboxed: bool = False,
) -> dict[str, list[Verdict]]:
    """The verdicts of a file's answers, by task, in the order of the tasks and of the file."""
    answers = read_answers(path, [task.id for task in tasks])
    pairs = [(task, text) for task in tasks for text in answers[task.id]]
    verdicts = iter(verify_all(pairs, limits, allow_unsandboxed))
    return {name: [next(verdicts) for _ in texts] for name, texts in answers.items()}


def read_answers(path: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """The completions of each task of ``names``, as many for one as for another.

    Raises InputError, naming the line, for a file that is missing or no JSONL, for a row without
    the two texts, for a task that is not of the suite, and for a task with fewer answers than
    others: pass@k over some of a suite's tasks is no score of the suite.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected JSON lines of task_id and completion")
    found: dict[str, list[str]] = {name: [] for name in names}
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 ({error}); write it as JSON lines in UTF-8") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            name, completion = _row(line, f"{path}:{number}")
            if name not in found:
                raise InputError(
                    f"{path}:{number}: {name!r} is no task of this suite, whose {len(names)} tasks "
                    f"are named like {names[0]!r}; give answers to these alone"
                )
            found[name].append(completion)
    _refuse_uneven(path, found)
    return found


def _row(line: str, place: str) -> tuple[str, str]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: no JSON ({error}); one object a line") from error
    values = (row.get("task_id"), row.get("completion")) if isinstance(row, dict) else (None, None)
    if not isinstance(values[0], str) or not isinstance(values[1], str):
        raise InputError(
            f"{place}: expected an object with the texts task_id and completion, got {line[:60]!r}"
        )
    return values[0], values[1]


def _refuse_uneven(path: Path, found: dict[str, list[str]]) -> None:
    most = max(map(len, found.values()))
    short = [name for name, texts in found.items() if len(texts) < max(1, most)]
    if short:
        raise InputError(
            f"{path}: {len(short)} of {len(found)} tasks have fewer than {max(1, most)} answers, "
            f"{short[0]!r} has {len(found[short[0]])}; give each task as many"
        )
