"""Between a working stage and whoever watches it: progress, sentences, and the wish to stop."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any


class StopFlag:
    """Set by SIGTERM or Ctrl-C; the loop looks at it between two steps."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def requested(self) -> bool:
        return self.signal is not None

    @contextmanager
    def listening(self) -> Iterator["StopFlag"]:
        """Take SIGTERM and SIGINT as a wish to stop; outside the main thread, do nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        previous = {s: signal.signal(s, self._set) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield self
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _set(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or number


@dataclass(frozen=True)
class Progress:
    """How far a stage is: steps done of all its legs, and the latest record."""

    folder: Path
    stage: str
    leg: str
    done: int
    total: int
    record: dict[str, Any]


@dataclass
class Listener:
    """Where a stage tells how it goes; the defaults keep silent."""

    progress: Callable[[Progress], None] = lambda progress: None
    say: Callable[[str], None] = lambda sentence: None
    stop: StopFlag = field(default_factory=StopFlag)
