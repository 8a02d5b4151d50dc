"""Progress while work runs: a bar for each stage, sentences above."""

import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from evergrow.cli.terminal import console, megabytes

if TYPE_CHECKING:
    from evergrow.listener import Listener
    from evergrow.listener import Progress as StageProgress


@contextmanager
def watching() -> Iterator["Listener"]:
    """A listener that draws a bar for each stage being trained and prints sentences above them."""
    from evergrow.listener import Listener

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[numbers]}"),
    )
    silent = not console.is_terminal  # bars are for eyes; a log gets the sentences alone
    with Progress(*columns, console=console, transient=True, disable=silent) as bars:
        tasks: dict[tuple[str, str], Any] = {}

        def progress(state: "StageProgress") -> None:
            key = (str(state.folder), state.stage)
            if key not in tasks:
                name = f"{_short(state.folder)} {state.stage}"
                tasks[key] = bars.add_task(name, total=state.total, numbers="")
            bars.update(tasks[key], completed=state.done, numbers=_numbers(state.record))
            if state.done == state.total:
                bars.remove_task(tasks.pop(key))

        yield Listener(
            progress, lambda text: bars.console.print(text, markup=False, soft_wrap=True)
        )


def _short(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}" if folder.name.startswith("seed-") else folder.name


def _numbers(record: dict[str, Any]) -> str:
    if "words" in record:  # work that is no training
        return str(record["words"])
    loss = "loss skipped" if record["loss"] is None else f"loss {record['loss']:.3f}"
    return (
        f"{loss}  lr {record['lr']:.2e}  {record['tokens_per_second']:,.0f}/s  "
        f"MFU {record['mfu']:.0%}  {megabytes(record['peak_memory_bytes'])}"
    )


def tell_page(listener: "Listener", opens: bool) -> None:
    """Let the listener say where a run's page stands once it begins to train, and open it."""

    def page(path: Path) -> None:
        listener.say(f"page, written anew while it trains: {path}")
        if opens:
            webbrowser.open(path.resolve().as_uri())

    listener.page = page
