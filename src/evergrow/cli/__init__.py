"""The command line: each file holds a group of commands and what a terminal shows of them.

A command parses, calls one function and prints. Its file is imported when the command is asked for;
what is heavy is imported inside the command.
"""

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from evergrow.errors import EvergrowError

# A command and its file here, in the order of --help.
COMMANDS = {
    "init": "init",
    "run": "run",
    "continue": "run",
    "extend": "run",
    "rewarm": "rewarm",
    "anneal": "run",
    "soup": "soup",
    "eval": "evaluate",
    "sample": "look",
    "report": "look",
    "list": "look",
    "log": "look",
    "compare": "compare",
    "open": "compare",
    "curate": "corpora",
    "why": "corpora",
    "prune": "look",
    "study": "study",
    "schema": "look",
    "grow": "grow",
}


class LazyCommands(Mapping[str, Any]):
    """COMMANDS as a mapping from names to click's commands, each made when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        module = import_module(f"{__name__}.{COMMANDS[name]}")
        return get_group(module.app).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class LazyGroup(TyperGroup):
    """The group of LazyCommands: typer fills a group in when it makes one, which is too early."""

    def __init__(self, **settings: Any) -> None:
        settings["commands"] = LazyCommands()
        super().__init__(**settings)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="With --debug, anywhere, an error shows where in the code it was raised.",
)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        sys.stdout.write(f"evergrow {version('evergrow')}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    """Models that keep learning: one lineage from the first token to every release."""


def main() -> None:
    """The entry point: errors are one line, unless ``--debug`` asks for the traceback."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    try:
        app()
    except (EvergrowError, OSError) as error:
        if debug:
            raise
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code if isinstance(error, EvergrowError) else 1)
