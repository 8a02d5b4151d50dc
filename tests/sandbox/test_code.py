import dataclasses

import pytest

from evergrow.errors import InputError
from evergrow.sandbox.code import VERDICTS, CodeTask, Verdict, program_of, verify, verify_all
from evergrow.sandbox.limits import Limits
from evergrow.sandbox.probe import tier

PROMPT = (
    "from math import pi\n\n\ndef half(x):\n    return x / 2\n\n\ndef area(r):\n    '''Of.'''\n"
)
TESTS = """
def check(candidate):
    assert candidate(1) == pi
    assert candidate(r=2) == 8 * half(pi)
"""
TASK = CodeTask("circle", PROMPT, "area", TESTS, "    return pi * r * r\n")
GOOD = "    return pi * r**2\n"
WHOLE = f"def area(r):\n{GOOD}"


def f(check: str, helpers: str = "") -> CodeTask:
    return CodeTask("f", helpers, "f", f"def check(candidate):\n    {check}\n", "")


def verdict(check: str, program: str, limits: Limits | None = None) -> Verdict:
    return verify(f(check), [program], limits)[0]


@pytest.mark.parametrize(
    ("completion", "program"),
    [
        (GOOD, PROMPT + GOOD),
        (f"\n{GOOD}\n\ndef area(r): pass", f"{PROMPT}\n{GOOD}\n\ndef area(r): pass"),
        (WHOLE, PROMPT.split("def area")[0] + WHOLE),
        (f"So:\n```python\n{WHOLE}```\nDone.", PROMPT.split("def area")[0] + WHOLE),
        (f"```\n{GOOD}```", PROMPT + GOOD),
        (f"```sh\nls\n```\n```py\n{GOOD}```", PROMPT + GOOD),
        (f"```python\n{GOOD}", PROMPT + GOOD),
        ("def other(r): pass", PROMPT + "def other(r): pass"),
    ],
)
def test_a_completion_becomes_a_program(completion: str, program: str) -> None:
    assert program_of(TASK, completion)[0] == program


def test_a_whole_answer_to_a_question_in_words_stands_alone() -> None:
    question = dataclasses.replace(TASK, prompt="Write a function area.")
    assert program_of(question, WHOLE) == (WHOLE, "")


def test_verdicts_come_in_order_and_name_the_test_that_failed() -> None:
    wrong, lost = "    return pi * r\n", "    return r.nothing\n"
    named = tier().name
    assert verify(TASK, [GOOD, wrong, lost, "    return (", f"```java\n{GOOD}```"]) == [
        Verdict("passed", "", "", 2, named),
        Verdict("wrong", "AssertionError", "assert candidate(r=2) == 8 * half(pi)", 2, named),
        Verdict(
            "crashed",
            "AttributeError: 'int' object has no attribute 'nothing'",
            "assert candidate(1) == pi",
            1,
            named,
        ),
        Verdict(
            "crashed", "SyntaxError: '(' was never closed (<candidate>, line 10)", "", 0, named
        ),
        Verdict("crashed", "the answer is written in 'java', not in Python", "", 0, named),
    ]


@pytest.mark.parametrize(
    ("check", "program", "kind", "detail"),
    [
        (
            "assert abs(candidate() - 1) < 1",
            "def f(): return None",
            "wrong",
            "cannot use the answer",
        ),
        ("candidate()", "def f(): assert 0, 'mine'", "crashed", "AssertionError: mine"),
        ("candidate()", "class E(Exception): pass\ndef f(): raise E(1)", "crashed", "E: 1"),
        ("candidate()", "def g(): pass", "crashed", "defines no 'f'"),
        ("candidate()", "def f(): return {1: [object()]}", "wrong", "class 'object'"),
        ("candidate(len)", "def f(x): return x", "wrong", "the tests hand over an object"),
        ("assert candidate() == 1", "def f(): return True", "passed", ""),
        ("assert candidate() == (1,)", "def f(): return [1]", "wrong", "AssertionError"),
        ("assert sorted(candidate()) == [1, 2]", "def f(): return {1, 2}", "passed", ""),
        ("candidate()", "import numpy\ndef f(): pass", "crashed", "No module named 'numpy'"),
        ("candidate()", "def f(): return input()", "crashed", "EOFError"),
        ("candidate()", "def f(): return f()", "crashed", "RecursionError"),
    ],
)
def test_an_answer_is_judged(check: str, program: str, kind: str, detail: str) -> None:
    found = verdict(check, program)
    assert found.kind == kind and detail in found.detail


def test_a_test_may_expect_an_exception() -> None:
    check = "\n    ".join(
        ("try: candidate()", "except ValueError as error: assert str(error) == 'no'", "else: 1 / 0")
    )
    assert verdict(check, "def f(): raise ValueError('no')").kind == "passed"
    assert verdict(check, "def f(): return 1").kind == "wrong"
    gone = "try: candidate()\n    except Exception: pass"
    assert verdict(gone, "import os\ndef f(): os._exit(0)").kind == "crashed"


def test_what_sleeps_is_ended_by_the_clock_on_the_wall() -> None:
    program = "import time\ndef f(): time.sleep(60)"
    found = verdict("candidate()", program, Limits(wall_seconds=1.5))
    assert (found.kind, found.detail) == (
        "timed out",
        "no end after 1.5 s of the clock on the wall",
    )


@pytest.mark.parametrize(("more", "kind"), [(0, "passed"), (1, "truncated")])
def test_what_is_printed_counts_to_the_byte(more: int, kind: str) -> None:
    program = f"import os\ndef f(): os.write(1, b'x' * {9000 + more})"
    kinds = {verdict("candidate()", program, Limits(output_bytes=9000)).kind for _ in range(5)}
    assert kinds == {kind}


def test_the_tests_too_are_limited() -> None:
    found = verdict(
        "while candidate(): sum(range(10**6))", "def f(): return 1", Limits(cpu_seconds=1)
    )
    assert found.kind == "timed out"
    hungry = verdict("x = [candidate()] * 10**9", "def f(): return 1")
    assert hungry.kind == "wrong" and "MemoryError" in hungry.detail


def test_what_a_candidate_says_reaches_the_screen_without_control_characters() -> None:
    found = verdict("candidate()", "def f(): raise ValueError('\\x1b[2J' + 'x' * 9000)")
    assert found.detail.isprintable() and len(found.detail) == 300


def test_chance_is_the_same_each_time() -> None:
    program = "import random\ndef f(): return random.random() + hash('a')"
    found = [verdict("import random\n    raise ValueError(candidate(), random.random())", program)]
    assert (
        verdict("import random\n    raise ValueError(candidate(), random.random())", program)
        in found
    )


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (dataclasses.replace(TASK, solution="    return ("), "SyntaxError"),
        (dataclasses.replace(TASK, tests="x = 1"), "KeyError: 'check'"),
        (dataclasses.replace(TASK, tests="import nowhere"), "No module named 'nowhere'"),
    ],
)
def test_a_task_whose_own_tests_do_not_run_is_refused(task: CodeTask, reason: str) -> None:
    with pytest.raises(InputError, match=f"^{task.id}: its own tests do not run .*{reason}"):
        verify(task, [GOOD])


def test_one_candidate_changes_nothing_for_another() -> None:
    """Good ones among bombs, killers and litter: the same verdicts as alone, and a clean folder."""
    look = "import os\ndef f(): return os.listdir('.') + os.listdir('/dev/shm')"
    litter = "import os\ndef f():\n    open('left', 'w').write('x' * 9999)\n    return []"
    bomb = "import os, time\ndef f():\n    while True:\n        if os.fork() == 0: time.sleep(9)"
    killer = "import os\ndef f():\n    try: os.kill(-1, 9)\n    except OSError: return []"
    forker = "import os\ndef f():\n    if os.fork() == 0: os._exit(0)\n    os.wait()\n    return []"
    pairs = [(f("assert candidate() == []"), p) for p in (look, litter, bomb, killer, forker) * 3]
    kinds = [found.kind for found in verify_all(pairs, Limits(cpu_seconds=2))]
    assert kinds == ["passed", "passed", "crashed", "passed", "passed"] * 3


def test_the_kinds_of_verdict_are_five() -> None:
    assert VERDICTS == ("passed", "wrong", "crashed", "timed out", "truncated")
