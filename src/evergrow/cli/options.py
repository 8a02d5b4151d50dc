"""Arguments that several commands take, and how their words are read."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from evergrow.errors import InputError

if TYPE_CHECKING:
    from evergrow.flow.asked import Mix

Settings = dict[str, Any]  # values by dotted path, as YAML reads them


def parse_tokens(text: str) -> int:
    """At least one token, from a count such as 20M; raises InputError."""
    from evergrow.config import parse_count

    try:
        tokens = int(str(parse_count(text)))
    except ValueError as error:
        raise InputError(f"--tokens: {error}") from error
    if tokens == 0:
        raise InputError("--tokens: expected at least one token, got 0")
    return tokens


def mix_of(words: list[str] | None) -> "Mix | None":
    """Files, and their share as the last word; None without words. Raises InputError."""
    if not words:
        return None
    from evergrow.flow.asked import Mix

    *globs, last = words
    try:
        share = float(last)
    except ValueError:
        share = 0.0
    if not globs or not 0 < share < 1:
        raise InputError(
            f"--mix: expected files and their share between 0 and 1, such as --mix "
            f"'general/*.jsonl' 0.05, got {' '.join(words)}"
        )
    return Mix(globs, share)


def settings_of(overrides: list[str] | None) -> Settings:
    """Dotted keys and values of ``key.path=value`` words; raises InputError for other words."""
    from evergrow.config import parse_override

    return dict(parse_override(text) for text in overrides or [])


def named_files(words: list[str]) -> dict[str, list[str]]:
    """Globs by their names, of ``name=files`` words; a word without a name goes with the last.

    Raises InputError for words that begin without a name.
    """
    found: dict[str, list[str]] = {}
    for word in words:
        name, equals, files = word.partition("=")
        if equals and name and files:
            found[name] = [files]
        elif found and not equals:
            found[next(reversed(found))].append(word)
        else:
            raise InputError(
                f"--evaluate: expected name=files, such as old='mail/*.txt', got {word!r}"
            )
    return found


class ManyFiles(TyperCommand):
    """A command whose options of files take all words up to the next option.

    A shell turns ``--data *.md`` into many words where nobody quoted the glob.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        found: list[str] = []
        option: str | None = None  # of files, whose first value has been taken
        for word in args:
            if word.startswith("-"):
                option = None
            elif option is not None and found[-1] != option:
                found.append(option)
            found.append(word)
            option = word if word in FILES else option
        return super().parse_args(ctx, found)


FILES = ("--data", "--evaluate", "--mix")
RUNS = Path("runs")
RecipePath = Annotated[
    Path,
    typer.Argument(help="A recipe (YAML), or the name of one that comes along: quickstart."),
]
RunPath = Annotated[Path, typer.Argument(help="A run's folder, or a recipe's with one run.")]
ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A model folder, a run (its newest release), a GGUF file or a hub id.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="For machines: all of it.")]
Runs = Annotated[Path, typer.Option("--runs", help="Where runs are kept.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="key.path=value ...")]
Tokens = Annotated[
    int, typer.Option(parser=parse_tokens, metavar="COUNT", help="A count such as 500k, 20M or 3B.")
]
Opens = Annotated[
    bool, typer.Option("--open", help="Open its page in the browser; it follows the run.")
]
