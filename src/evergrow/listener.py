"""Between a working stage and whoever watches it: progress, sentences, and the wish to stop."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from evergrow.errors import Stopped
from evergrow.processes import STOPS


class StopFlag:
    """Set by SIGTERM or Ctrl-C; the loop looks at it between two steps."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._at_once: str | None = None

    def requested(self) -> bool:
        return self.signal is not None

    @contextmanager
    def listening(self) -> Iterator["StopFlag"]:
        """Take SIGTERM and SIGINT as a wish to stop; outside the main thread, do nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        previous = {s: signal.signal(s, self._set) for s in STOPS}
        try:
            yield self
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    @contextmanager
    def at_once(self, saved: str) -> Iterator[None]:
        """Inside, a signal raises Stopped: for work without a flag, that may be killed anywhere.

        ``saved`` says what is kept.
        """
        self._at_once = saved
        try:
            if self.signal is not None:
                raise Stopped(self.signal, saved)
            yield
        finally:
            self._at_once = None

    def _set(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or number
        if self._at_once is not None:
            raise Stopped(number, self._at_once)


@dataclass(frozen=True)
class Reading:
    """What training shows at a step; a skipped one has no loss. ``speed`` is in ``counted`` a
    second, ``reached`` the share of the processor's operations that training gets to."""

    loss: float | None
    lr: float
    speed: float
    counted: str
    reached: float
    memory_bytes: float


@dataclass(frozen=True)
class Progress:
    """How far a stage is: steps done of all its legs, and what is read of them.

    Work that is no training has ``words`` instead of a reading. ``whole`` is how many steps are
    done of all that there are to do, where more than this stage is.
    """

    folder: Path
    stage: str
    leg: str
    done: int
    total: int
    reading: Reading | None = None
    words: str = ""
    whole: tuple[int, int] | None = None


@dataclass
class Listener:
    """Where a stage tells how it goes; the defaults keep silent.

    ``page`` hears once of the page that follows what is trained.
    """

    progress: Callable[[Progress], None] = lambda progress: None
    say: Callable[[str], None] = lambda sentence: None
    stop: StopFlag = field(default_factory=StopFlag)
    page: Callable[[Path], None] = lambda path: None
