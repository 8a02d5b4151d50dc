"""The package: its names, what importing it costs, and verbs that rooms do not hide."""

import builtins
import keyword
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_group

import evergrow
from evergrow.cli import app


def words_of(group: TyperGroup) -> list[str]:
    """The commands' words joined by _, such as grow_plan."""
    found = []
    for name, command in group.commands.items():
        below = words_of(command) if isinstance(command, TyperGroup) else [""]
        found += [f"{name}_{words}".rstrip("_") for words in below]
    return found


def in_python(name: str) -> str:
    """The name of a command in Python: one that Python has itself ends with _."""
    return f"{name}_" if keyword.iskeyword(name) or hasattr(builtins, name) else name


def test_every_command_is_a_function_of_its_name() -> None:
    verbs = {in_python(name) for name in words_of(get_group(app))}
    assert verbs <= set(evergrow.__all__)
    assert set(evergrow.__all__) - verbs == {"Listener", "load", "plan", "shift"}


def test_every_name_is_there_with_a_docstring_and_nothing_else_is() -> None:
    assert all(getattr(evergrow, name).__doc__ for name in evergrow.__all__)
    assert evergrow.__version__ == version("evergrow")
    assert {*evergrow.__all__, "__version__"} <= set(dir(evergrow))
    with pytest.raises(AttributeError, match="'evergrow' has no attribute 'runn'"):
        _ = evergrow.runn


def test_a_room_of_a_verbs_name_does_not_hide_the_verb() -> None:
    code = (
        "import evergrow, evergrow.run, evergrow.report.page, sys\n"
        "from evergrow.run import Run\n"
        "print(evergrow.run.__name__, evergrow.report.__name__, Run.__module__, "
        "evergrow.grow.__name__, callable(evergrow.run), callable(evergrow.report))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", f"import evergrow.grow; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == ["run", "report", "evergrow.run", "evergrow.grow", "True", "True"]


def test_importing_it_takes_a_millisecond() -> None:
    code = "from time import *; t = perf_counter(); import evergrow; print(perf_counter() - t)"
    ran = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    assert min(float(each.stdout) for each in ran) < 0.01


def test_the_wheel_says_the_version_of_the_citation() -> None:
    root = Path(__file__).parents[2]
    cited = (root / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {evergrow.__version__}\n" in cited
