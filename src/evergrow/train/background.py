"""One thread that writes while training goes on; an error surfaces at the next call."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class BackgroundWriter:
    """Runs one job at a time; a new one waits for the one before it."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="evergrow-writer")
        self._last: Future[None] | None = None

    def submit(self, job: Callable[[], None]) -> None:
        """Start ``job`` after the previous one has ended; raises what the previous one raised."""
        self.wait()
        self._last = self._pool.submit(job)

    def wait(self) -> None:
        """Return when everything submitted is on disk; raises what the job raised."""
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def close(self) -> None:
        """Wait for the last job and end the thread."""
        self._pool.shutdown()
        self.wait()
