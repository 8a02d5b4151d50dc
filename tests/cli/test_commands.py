"""The command line: its frozen set of options, what it imports, exit codes and one-line errors."""

import os
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Call
from typer.core import TyperGroup
from typer.main import get_command, get_group

from evergrow import cli
from evergrow.errors import EvergrowError, InputError, Stopped

FOLDER = Path(cli.__file__).parent
SHARED = {"evergrow.cli", *(f"evergrow.cli.{name}" for name in ("live", "options", "terminal"))}

# An option enters here with the recipe, study or test that needs it, and leaves with it.
COMMANDS = {
    "anneal": ["run", "--floor", "--shape", "--tokens"],
    "soup": ["models", "--evaluate", "--json", "--out"],
    "compare": ["runs", "--csv"],
    "continue": [
        "model",
        "--data",
        "--dry",
        "--evaluate",
        "--mix",
        "--name",
        "--new",
        "--open",
        "--peak-lr",
        "--replay",
        "--runs",
        "--set",
        "--tokens",
    ],
    "init": ["folder", "--model", "--name"],
    "curate": ["recipe", "overrides", "--runs", "--what-if"],
    "eval": [
        "model",
        "other",
        "--add",
        "--allow-unsandboxed",
        "--answers",
        "--chat",
        "--data",
        "--json",
        "--limit",
        "--max-tokens",
        "--samples",
        "--seed",
        "--sequence-length",
        "--suite",
        "--temperature",
        "--top-p",
    ],
    "extend": ["run", "--open", "--tokens"],
    "grow apply": [
        "source",
        "--data",
        "--depth",
        "--drop",
        "--experts",
        "--goal",
        "--layers",
        "--method",
        "--noise",
        "--out",
        "--per-token",
        "--seed",
        "--to",
        "--tokenizer",
    ],
    "grow plan": [
        "source",
        "--data",
        "--depth",
        "--drop",
        "--experts",
        "--goal",
        "--json",
        "--layers",
        "--method",
        "--noise",
        "--per-token",
        "--seed",
        "--to",
        "--tokenizer",
    ],
    "grow verify": ["source", "grown", "--data", "--json", "--tolerance"],
    "list": ["--json", "--runs"],
    "log": ["run", "--json", "--seen"],
    "open": ["run", "--runs"],
    "prune": ["run", "--dry"],
    "report": ["run"],
    "rewarm": [
        "model",
        "--data",
        "--evaluate",
        "--json",
        "--most-lost",
        "--name",
        "--peak-lr",
        "--runs",
        "--set",
        "--tokens",
    ],
    "run": ["recipe", "overrides", "--dry", "--fresh", "--json", "--open", "--runs"],
    "sample": ["model", "--prompt", "--seed", "--temperature", "--tokens"],
    "schema": [],
    "study": ["name", "overrides", "--fresh", "--modality", "--runs", "--scale", "--seeds"],
    "why": ["corpus", "document", "--json", "--limit", "--rule", "--runs"],
}


def commands_of(group: Any, words: str = "") -> dict[str, Any]:
    """Every command by its words, such as "grow plan"."""
    found = {}
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            found |= commands_of(command, f"{words}{name} ")
        else:
            found[words + name] = command
    return found


def test_the_commands_and_their_options_are_frozen() -> None:
    found = {}
    for name, command in commands_of(get_command(cli.app)).items():
        arguments = [p.name for p in command.params if not p.opts[0].startswith("-")]
        options = sorted(o for p in command.params for o in p.opts if o.startswith("-"))
        found[name] = arguments + options
    assert found == COMMANDS


def test_every_command_and_option_says_what_it_is_for() -> None:
    for name, command in commands_of(get_command(cli.app)).items():
        assert command.help, name
        silent = [p.name for p in command.params if not p.help and p.name != "help"]
        assert silent == [], name


def test_every_command_stands_in_the_file_that_is_named() -> None:
    named = {(module, command) for command, module in cli.COMMANDS.items()}
    files = {path.stem for path in FOLDER.glob("*.py") if "app = typer.Typer" in path.read_text()}
    found = {
        (name, command)
        for name in files - {"__init__"}
        for command in get_group(import_module(f"evergrow.cli.{name}").app).commands
    }
    assert found == named


@pytest.mark.parametrize("file", sorted(set(cli.COMMANDS.values())))
def test_a_command_imports_its_own_file_and_nothing_heavy(file: str) -> None:
    name = next(name for name, module in cli.COMMANDS.items() if module == file)
    loaded = modules_after(name, "--help")
    assert {m for m in loaded if m.startswith("evergrow.cli")} - SHARED == {f"evergrow.cli.{file}"}
    assert loaded & {"torch", "transformers", "numpy"} == set()  # typer itself asks for pydantic


def test_help_of_all_commands_imports_nothing_heavy() -> None:
    loaded = modules_after("--help")
    assert loaded >= {f"evergrow.cli.{file}" for file in cli.COMMANDS.values()}
    assert loaded & {"torch", "transformers", "numpy", "pydantic"} == set()


def modules_after(*args: str) -> set[str]:
    """The modules that a process has imported when ``evergrow args`` has ended well."""
    code = (
        "import atexit, sys; atexit.register(lambda: sys.stderr.write(' '.join(sys.modules)));"
        f"sys.argv = {['evergrow', *args]!r}; from evergrow.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_the_module_is_the_command_and_says_its_version() -> None:
    command = [sys.executable, "-m", "evergrow"]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"evergrow {version('evergrow')}\n")
    done = subprocess.run([*command, "runn"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "No such command 'runn'. Did you mean 'run', 'prune'?" in done.stderr


def test_help_ends_well(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--help") == 0
    said = capsys.readouterr().out
    assert "--debug" in said
    listed = said.split("Commands:\n")[1].split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in listed] == list(cli.COMMANDS)


@pytest.mark.parametrize(
    "args",
    [["runn"], ["run"], ["list", "--run"], ["anneal", "r", "--tokens", "1", "--shape", "square"]],
)
def test_wrong_usage_ends_with_2(
    args: list[str], call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*args) == 2
    assert "Usage: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (EvergrowError("it broke"), 1, "it broke"),
        (InputError("not so"), 2, "not so"),
        (PermissionError(13, "Permission denied", "runs"), 1,
         "[Errno 13] Permission denied: 'runs'"),
        (Stopped(2, "step 7"), 130,
         "stopped by signal 2; everything up to step 7 is saved; run the same command to go on"),
        (Stopped(15, "step 7"), 143,
         "stopped by signal 15; everything up to step 7 is saved; run the same command to go on"),
    ],
)  # fmt: skip
def test_errors_have_their_exit_codes(
    error: Exception,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    call: Call,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    assert call("list") == code
    assert capsys.readouterr().err == f"error: {said}\n"


def test_debug_shows_where_it_happened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["evergrow", "log", str(tmp_path), "--debug"])
    with pytest.raises(InputError, match="no run here"):
        cli.main()


@pytest.mark.parametrize(
    ("typed", "place", "offered"),
    [("evergrow con", 1, "continue"), ("evergrow run --d", 2, "--dry")],
)
def test_a_shell_completes_verbs_and_options(typed: str, place: int, offered: str) -> None:
    asked = {"COMP_WORDS": typed, "COMP_CWORD": str(place), "_EVERGROW_COMPLETE": "complete_bash"}
    code = "import sys; sys.argv = ['evergrow']; from evergrow.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True
    )
    assert done.stdout.split() == [offered]
