"""summary.json and report.html of a recipe's folder: at its end, and now and then while it trains.

While it trains they are made by a process of their own, which imports no torch: a page that takes
a second costs training none.
"""

import multiprocessing
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, final

from evergrow.errors import EvergrowError
from evergrow.report import write_report
from evergrow.report.folder import has_runs, read_run_folder
from evergrow.stage.summary import Summary, write_summary

EVERY = 15.0  # seconds between refreshed pages


@dataclass(frozen=True)
class Carried:
    """A recipe that was carried out: its folder, its report and its summary."""

    folder: Path
    report: Path
    summary: Summary


def write_pages(root: Path, status: str) -> Carried:
    """Write ``summary.json`` and ``report.html`` from what the folder holds."""
    summary = write_summary(root, status)
    return Carried(root, write_report(root), summary)


def write_pages_again(root: Path) -> Path:
    """``report.html`` from the scores as they are now, also of corpora alone; returns its path."""
    if not has_runs(root):
        return write_report(root)
    return write_pages(root, read_run_folder(root).status).report


@final
class Refreshed:
    """As a context: pages of the recipe in ``root`` that follow what happens there."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._asked = time.monotonic()  # a short run ends before the first
        self._process: Any = None
        self._ours: Connection | None = None
        self._is_busy = False

    def __enter__(self) -> "Refreshed":
        return self

    def __exit__(self, *error: object) -> None:
        if self._ours is not None:
            self._ours.close()
            self._process.join()

    def refresh(self) -> None:
        """Ask for new pages, if the last are old and nobody is making any."""
        if self._is_busy and self._ours is not None and self._ours.poll():
            with suppress(EOFError, OSError):  # it died: the next pages are the last ones
                self._ours.recv()
                self._is_busy = False
        if self._is_busy or time.monotonic() - self._asked < EVERY:
            return
        self._asked, self._is_busy = time.monotonic(), True
        self._ours = self._ours or self._begin()
        with suppress(OSError):
            self._ours.send("running")

    def _begin(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        pipe: tuple[Any, Any] = context.Pipe()  # of another class on Windows
        ours, theirs = pipe
        arguments = (theirs, str(self._root))
        self._process = context.Process(target=serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        return ours


def serve(connection: Connection, root: str) -> None:
    """Write pages whenever asked, until the other end is closed or its process is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that trains
    while True:
        try:
            status = connection.recv()
        except (EOFError, OSError):
            return
        with suppress(EvergrowError):  # such as a file that is being written
            write_pages(Path(root), status)
        with suppress(OSError):
            connection.send("written")
