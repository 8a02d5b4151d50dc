"""Code with tests: completions of a task become programs, are carried out and judged."""

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, cast, get_args

from evergrow.errors import InputError
from evergrow.processes import usable_cores
from evergrow.sandbox.limits import Limits
from evergrow.sandbox.pair import Told, judged
from evergrow.sandbox.probe import tier as tier_of_this_machine
from evergrow.sandbox.tiers import Tier

VerdictKind = Literal["passed", "wrong", "crashed", "timed out", "truncated"]
VERDICTS: tuple[VerdictKind, ...] = get_args(VerdictKind)
MOST_CHARACTERS = 1 << 20  # of a program
_FENCE = re.compile(r"^ {0,3}```[ \t]*([\w+#.-]*)[^\n]*\n(.*?)(?:^ {0,3}```|\Z)", re.M | re.S)
_PYTHON = {"", "python", "py", "python3", "python2", "py3"}


@dataclass(frozen=True, slots=True)
class CodeTask:
    """A function to write and tests of it, ``def check(candidate)``, as HumanEval has them.

    The solution's program is carried out on the trusted side, where tests find their helpers; a
    task without one, ``""``, has none.
    """

    id: str
    prompt: str
    function: str
    tests: str
    solution: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a completion did: ``detail`` says why, ``test`` is the line of the tests that said so.

    ``num_calls`` counts how often the tests asked it; ``tier`` is the sandbox's.
    """

    kind: VerdictKind
    detail: str
    test: str
    num_calls: int
    tier: str


def verify(
    task: CodeTask,
    completions: Sequence[str],
    limits: Limits | None = None,
    allow_unsandboxed: bool = False,
) -> list[Verdict]:
    """A verdict for each completion of a task; see ``verify_all``."""
    return verify_all([(task, c) for c in completions], limits, allow_unsandboxed)


def verify_all(
    pairs: Iterable[tuple[CodeTask, str]],
    limits: Limits | None = None,
    allow_unsandboxed: bool = False,
) -> list[Verdict]:
    """A verdict for each (task, completion), in their order, as many at a time as processors.

    No program shares a process, a user or a folder with another, so order and company change
    nothing. Raises EvergrowError where no sandbox works, and InputError where a task's own tests
    do not run.
    """
    tier = tier_of_this_machine(allow_unsandboxed)
    bounds = limits or Limits()
    with ThreadPoolExecutor(usable_cores()) as workers:
        return list(workers.map(lambda pair: verify_one(tier, pair[0], pair[1], bounds), pairs))


def verify_one(tier: Tier, task: CodeTask, completion: str, limits: Limits) -> Verdict:
    """The verdict of one completion in a given tier."""
    program, language = program_of(task, completion)
    if language not in _PYTHON:
        detail = f"the answer is written in {language!r}, not in Python"
        return Verdict("crashed", detail, "", 0, tier.name)
    if len(program) > MOST_CHARACTERS:
        detail = f"a program of {len(program):,} characters, more than {MOST_CHARACTERS:,}"
        return Verdict("truncated", detail, "", 0, tier.name)
    solution = program_of(task, task.solution)[0] if task.solution else ""
    told = judged(tier, program, task.function, (solution, task.tests), limits)
    return _verdict(task, tier, told)


def program_of(task: CodeTask, completion: str) -> tuple[str, str]:
    """(program, language in small letters, "" where none is said) of a completion.

    The first fenced block in Python counts, where there are fences. Text that begins at the margin
    and defines the function is whole and follows the prompt's imports and helpers; other text goes
    on where the prompt ends.
    """
    blocks = [(found[1].lower(), found[2]) for found in _FENCE.finditer(completion)]
    ours = [block for block in blocks if block[0] in _PYTHON]
    language, text = (ours or blocks or [("", completion)])[0]
    definition = re.compile(rf"^(?:async +)?def +{re.escape(task.function)}\b", re.M)
    if text.lstrip("\n")[:1].isspace() or not definition.search(text):
        return task.prompt + text, language
    before = list(definition.finditer(task.prompt))
    return (task.prompt[: before[-1].start()] if before else "") + text, language


def _verdict(task: CodeTask, tier: Tier, told: Told) -> Verdict:
    lines = task.tests.split("\n")
    test = lines[told.line - 1].strip() if 0 < told.line <= len(lines) else ""
    if told.verdict not in VERDICTS:
        raise InputError(
            f"{task.id}: its own tests do not run ({told.detail}{f' at {test!r}' if test else ''})"
            "; mend the task: its solution is a program like any answer, its tests define check"
        )
    return Verdict(cast(VerdictKind, told.verdict), told.detail, test, told.num_calls, tier.name)
