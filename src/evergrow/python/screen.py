"""What a command prints, kept to be shown: as text in a terminal, as HTML in a notebook."""

from collections.abc import Callable, Sequence
from html import escape
from io import StringIO
from pathlib import Path
from typing import final

from rich.console import Console, ConsoleRenderable, RenderHook
from rich.table import Table
from rich.text import Text

from evergrow.cli.terminal import console

WIDTH = 100  # characters of a line


@final
class _Kept(RenderHook):
    """Takes what a console is told to print, so that nothing is printed."""

    def __init__(self) -> None:
        self.parts: list[ConsoleRenderable] = []

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        self.parts += renderables
        return []


def kept(show: Callable[[], None]) -> list[ConsoleRenderable]:
    """What ``show`` prints on the command line's console, which stays silent."""
    hook = _Kept()
    console.push_render_hook(hook)
    try:
        show()
    finally:
        console.pop_render_hook()
    return hook.parts


def as_text(show: Callable[[], None]) -> str:
    """What ``show`` prints, in lines of at most WIDTH characters, without colours."""
    return _text(kept(show))


def _text(parts: Sequence[ConsoleRenderable]) -> str:
    paper = Console(file=StringIO(), width=WIDTH, force_jupyter=False, color_system=None)
    with paper.capture() as captured:
        paper.print(*parts, sep="\n", soft_wrap=False)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n")


def as_html(show: Callable[[], None]) -> str:
    """The same for a notebook: tables as tables, sentences as paragraphs, trees as they are."""
    return "\n".join(_html(part) for part in kept(show))


def link(path: Path, words: str) -> str:
    """To a file, from the folder where the notebook runs: its server shows no other files."""
    there = path.absolute()
    is_below = there.is_relative_to(Path.cwd())
    target = there.relative_to(Path.cwd()).as_posix() if is_below else there.as_uri()
    return f'<p><a href="{escape(target)}" target="_blank">{escape(words)}</a></p>'


def _html(part: ConsoleRenderable) -> str:
    if isinstance(part, Table):
        return _table(part)
    if isinstance(part, Text):
        return f"<p>{escape(part.plain)}</p>"
    return f"<pre>{escape(_text([part]))}</pre>"


def _table(table: Table) -> str:
    title = f"<caption>{escape(_plain(table.title))}</caption>" if table.title else ""
    columns = [[_plain(cell) for cell in column.cells] for column in table.columns]
    sides = [column.justify for column in table.columns]
    heads = [_plain(column.header) for column in table.columns]
    head = f"<thead>{_row('th', heads, sides)}</thead>" if any(heads) else ""
    rows = "".join(_row("td", row, sides) for row in zip(*columns, strict=True))
    return f"<table>{title}{head}<tbody>{rows}</tbody></table>"


def _row(tag: str, cells: Sequence[str], sides: Sequence[str]) -> str:
    styled = ("right" if side == "right" else "left" for side in sides)
    inner = (
        f'<{tag} style="text-align:{side}">{escape(cell)}</{tag}>'
        for cell, side in zip(cells, styled, strict=True)
    )
    return f"<tr>{''.join(inner)}</tr>"


def _plain(cell: object) -> str:
    """A cell's words; rich's marks for colour are read, not shown."""
    return cell.plain if isinstance(cell, Text) else Text.from_markup(str(cell)).plain
