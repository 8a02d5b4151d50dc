"""The items of a suite: what is asked, by what an answer is judged, and a hash of all of it.

A row of a file becomes an item; which task it is, its columns say.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from blake3 import blake3
from pydantic import Field

from evergrow.config import Config, Name, decode, nearest
from evergrow.corpus.contamination.suites import SuiteFile, load_suite, read_suite
from evergrow.errors import InputError
from evergrow.evals.suites.ifeval import Constraint, constraints_of

VerifierName = Literal["number", "exact", "f1"]
QUESTION = ("prompt", "question", "problem", "instruction", "input", "text")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Head(Config):
    """What a suite's first row may say of all its items."""

    suite: Name
    verifier: VerifierName | None = Field(
        default=None,
        description="how texts are judged; default: number where all answers have ####",
    )
    license: str = "unknown"
    template: str | None = Field(
        default=None, description="what the model reads; {prompt} is the item's own"
    )
    stop: list[str] = Field(default=[], description="an answer ends before the first of these")
    max_tokens: int | None = Field(default=None, gt=0, description="an answer has at most these")


@dataclass(frozen=True)
class Choice:
    """One of several answers is right, by its place."""

    choices: tuple[str, ...]
    right: int


@dataclass(frozen=True)
class Answer:
    """A text that is compared with the right one."""

    answer: str
    verifier: VerifierName


@dataclass(frozen=True)
class Constraints:
    """A text that must keep to all of these."""

    constraints: tuple[Constraint, ...]


@dataclass(frozen=True)
class Program:
    """A function whose body goes on after the prompt, and its tests (sandbox/code.py)."""

    function: str
    tests: str
    solution: str


Task = Choice | Answer | Constraints | Program
Kind = Literal["choice", "answer", "constraints", "program"]
KINDS: dict[type, Kind] = {
    Choice: "choice",
    Answer: "answer",
    Constraints: "constraints",
    Program: "program",
}


@dataclass(frozen=True)
class Item:
    """One question; those of one ``cluster`` share a source and are no independent evidence."""

    id: str
    cluster: str
    prompt: str
    task: Task


@dataclass(frozen=True)
class Suite:
    """``digest`` (32 hex digits) stands for items and head; ``searched_as`` is the digest by which
    corpora record that they were searched for these items."""

    name: str
    kind: Kind
    head: Head
    items: tuple[Item, ...]
    digest: str
    searched_as: str


def open_suite(wanted: str, base: Path = Path()) -> Suite:
    """The suite of that name, or in that file.

    Raises InputError for what ``load_suite`` of corpora refuses, for a row that is no task or of
    another kind than the first, and for a head with an unknown key.
    """
    searched_as = load_suite(wanted, base).digest  # refuses ids that come twice
    found = read_suite(wanted, base)
    return suite_of(found, searched_as)


def suite_of(found: SuiteFile, searched_as: str) -> Suite:
    """The rows of a file as items."""
    told = KNOWN_HEADS.get(found.name, {}) | dict(found.head) | {"suite": found.name}
    head = decode(Head, told, f"{found.path}: head")
    if head.template is not None and "{prompt}" not in head.template:
        raise InputError(
            f"{found.path}: the template {head.template!r} has no {{prompt}}; say where the item's "
            "own goes"
        )
    reader = _reader(found, head)
    items = tuple(_item(number, row, reader, found.path) for number, row in enumerate(found.rows))
    kind: Kind = KINDS[type(items[0].task)]
    content = [head.model_dump(exclude={"suite", "license"}), [asdict(item) for item in items]]
    digest = blake3(json.dumps(content, sort_keys=True).encode()).hexdigest(16)
    return Suite(head.suite, kind, head, items, digest, searched_as)


# What the suites that are known by name say of themselves; HumanEval's ends are those of its paper
# (2107.03374, section 2.1).
KNOWN_HEADS: dict[str, dict[str, Any]] = {
    "humaneval": {
        "license": "MIT",
        "stop": ["\nclass", "\ndef", "\n#", "\nif", "\nprint"],
        "max_tokens": 512,
    }
}
Reader = Callable[[Mapping[str, Any]], Task]


def _reader(found: SuiteFile, head: Head) -> Reader:
    """How rows are read, by the columns of the first."""
    first = found.rows[0]
    if "choices" in first:
        return _choice
    if "instruction_id_list" in first:
        return lambda row: Constraints(constraints_of(row))
    if "test" in first and "entry_point" in first:
        return _program
    marked = all("####" in str(row.get("answer", "")) for row in found.rows)
    verifier = head.verifier or ("number" if marked else "exact")
    return lambda row: Answer(_text(row, "answer"), verifier)


def _item(number: int, row: Mapping[str, Any], reader: Reader, path: Path) -> Item:
    name = next((str(row[n]) for n in ("id", "task_id", "name", "key") if n in row), str(number))
    try:
        field = next((n for n in QUESTION if n in row), "prompt")
        return Item(name, str(row.get("cluster", name)), _text(row, field), reader(row))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: item {name!r}: {error}") from error


def _text(row: Mapping[str, Any], field: str) -> str:
    value = row.get(field)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"expected text in the column {field!r}, got {value!r}")
    return str(value)


def _program(row: Mapping[str, Any]) -> Program:
    solution = "canonical_solution" if "canonical_solution" in row else "solution"
    return Program(_text(row, "entry_point"), _text(row, "test"), _text(row, solution))


def _choice(row: Mapping[str, Any]) -> Choice:
    choices = row.get("choices")
    if not (
        isinstance(choices, list)
        and all(isinstance(choice, str) and choice for choice in choices)
        and 2 <= len(choices) <= len(LETTERS)
    ):
        raise ValueError(f"expected 2 to {len(LETTERS)} texts in the column 'choices'")
    return Choice(tuple(choices), _right(row.get("answer"), choices))


def _right(answer: object, choices: list[str]) -> int:
    """The place of the right choice, which is said by its place from 0, its text or its letter."""
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(choices):
        return answer
    if isinstance(answer, str) and choices.count(answer) == 1:
        return choices.index(answer)
    letters = list(LETTERS[: len(choices)])
    if isinstance(answer, str) and answer in letters:
        return letters.index(answer)
    raise ValueError(
        f"the answer {answer!r} is no choice; give its place from 0, its text or its letter; "
        f"{nearest(str(answer), choices, 'choices')}"
    )
