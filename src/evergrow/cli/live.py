"""Progress while work runs: one bar for all of it, sentences above; lines in a log."""

import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from evergrow.cli.terminal import console, megabytes

if TYPE_CHECKING:
    from evergrow.listener import Listener, Reading
    from evergrow.listener import Progress as StageProgress

EVERY = 30.0  # seconds between two lines of a log


@contextmanager
def watching(output: Console | None = None) -> Iterator["Listener"]:
    """A listener whose sentences, and bars or lines of progress, go to ``output``."""
    from evergrow.listener import Listener

    seen = output or console

    def say(sentence: str) -> None:
        seen.print(sentence, markup=False, soft_wrap=True)

    if not seen.is_terminal:
        yield Listener(_Lines(say).progress, say)
        return
    with Progress(*_columns(), console=seen, transient=True, expand=True) as bars:
        yield Listener(_Bars(bars).progress, say)


def _columns() -> tuple[TextColumn | BarColumn, ...]:
    """What is known first stands first: at 80 columns the end is cut."""
    rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    return (
        TextColumn("{task.fields[left]}", markup=False),
        BarColumn(bar_width=16),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.description}  {task.fields[numbers]}", markup=False, table_column=rest),
    )


class Clock:
    """How long what is left will take, at the pace since it was first asked."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._first: tuple[float, int] | None = None

    def left(self, done: int, total: int) -> str:
        """Such as ``12 min left``."""
        now = self._now()
        began, before = self._first = self._first or (now, done)
        if done <= before or now <= began:
            return "time unknown"
        return f"{in_words((total - done) * (now - began) / (done - before))} left"


def in_words(seconds: float) -> str:
    """A time as a person says it, in two units at most."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


class _Bars:
    """A bar for all that is trained; for work that is no training one each."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, tuple[TaskID, Clock]] = {}

    def progress(self, state: "StageProgress") -> None:
        key = "" if state.whole else f"{state.folder} {state.stage}"
        done, total = state.whole or (state.done, state.total)
        if key not in self._tasks:
            task = self._bars.add_task(_name(state), total=total, numbers="", left="")
            self._tasks[key] = (task, Clock())
        task, clock = self._tasks[key]
        self._bars.update(
            task,
            description=_name(state),
            completed=done,
            total=total,
            left=clock.left(done, total),
            numbers=_numbers(state),
        )
        if done >= total:
            self._bars.remove_task(self._tasks.pop(key)[0])


class _Lines:
    """A line each EVERY seconds, for whoever reads a log while it is written."""

    def __init__(
        self, say: Callable[[str], None], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._say, self._now = say, now
        self._told = now()
        self._clocks: dict[str, Clock] = {}

    def progress(self, state: "StageProgress") -> None:
        key = "" if state.whole else f"{state.folder} {state.stage}"
        done, total = state.whole or (state.done, state.total)
        left = self._clocks.setdefault(key, Clock(self._now)).left(done, total)
        if self._now() - self._told >= EVERY:
            self._told = self._now()
            share = f", {done / total:.0%} of all" if state.whole else ""
            step = f"step {state.done:,} of {state.total:,}{share}, " if state.reading else ""
            self._say(f"{_name(state)}: {step}{', '.join(_parts(state)[:2])}, {left}")


def _name(state: "StageProgress") -> str:
    return f"{_short(state.folder)} {state.stage}"


def _short(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}" if folder.name.startswith("seed-") else folder.name


def _numbers(state: "StageProgress") -> str:
    return "  ".join(_parts(state))


def _parts(state: "StageProgress") -> list[str]:
    """What is read of training, the most wanted first; of other work its words."""
    return _read(state.reading) if state.reading else [state.words]


def _read(found: "Reading") -> list[str]:
    return [
        "loss skipped" if found.loss is None else f"loss {found.loss:.3f}",
        f"{found.speed:,.0f} {found.counted}/s",
        f"lr {found.lr:.2e}",
        f"MFU {found.reached:.0%}",
        megabytes(found.memory_bytes),
    ]


def tell_page(listener: "Listener", opens: bool) -> None:
    """Let the listener say where a run's page stands once it begins to train, and open it."""

    def page(path: Path) -> None:
        listener.say(f"page, written anew while it trains: {path}")
        if opens:
            webbrowser.open(path.resolve().as_uri())

    listener.page = page
