"""Progress by default: the terminal's bar, or in a notebook one of its own, which needs no widget.

rich draws bars in a notebook with ipywidgets alone; ``<progress>`` is HTML that each one shows.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from importlib import import_module
from pathlib import Path

from evergrow.cli.live import tell_page, watching
from evergrow.listener import Listener, Progress
from evergrow.python.screen import link

BETWEEN = 0.2  # seconds between two drawings


@contextmanager
def watched(listener: Listener | None) -> Iterator[Listener]:
    """The caller's listener; by default one that draws a bar where the process runs."""
    if listener is not None:
        yield listener
    elif _is_notebook():
        with in_notebook() as own:
            yield own
    else:
        with watching() as own:
            tell_page(own, opens=False)
            yield own


def _is_notebook() -> bool:
    """Whether this process answers cells: Jupyter, VS Code and Colab all run ipykernel."""
    return "ipykernel" in sys.modules and import_module("IPython").get_ipython() is not None


@contextmanager
def in_notebook() -> Iterator[Listener]:
    """Sentences as lines, below them one bar that is drawn again and gone at the end."""
    display = import_module("IPython.display")
    handle = display.display(display.HTML(""), display_id=True)
    drawn = 0.0

    def draw(progress: Progress) -> None:
        nonlocal drawn
        if time.monotonic() - drawn >= BETWEEN:
            drawn = time.monotonic()
            handle.update(display.HTML(bar(progress)))

    def page(path: Path) -> None:
        words = "The page, written anew while it trains"
        display.display(display.HTML(link(path, words)))

    try:
        yield Listener(draw, _say, page=page)
    finally:
        handle.update(display.HTML(""))


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")


def bar(progress: Progress) -> str:
    """Of all that is trained where that is known, else of one stage: how far it is, its loss."""
    done, total = progress.whole or (progress.done, progress.total)
    loss = progress.reading.loss if progress.reading else None
    words = progress.words if loss is None else f"loss {loss:.3f}"
    return (
        f'<div><progress value="{done}" max="{total}"></progress> {done:,} of {total:,} '
        f"{escape(progress.folder.name)} {escape(progress.stage)} {escape(words)}</div>"
    )
