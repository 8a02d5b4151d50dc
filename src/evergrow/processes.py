"""Child processes: spawned light, deaf to the signals that stop a run, ending with their parent."""

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

STOPS = (signal.SIGTERM, signal.SIGINT)
LOOK_EVERY = 0.2  # seconds between two looks at the parent


def usable_cores() -> int:
    """How many processors this process may use; macOS has no affinity to ask for."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def spawning() -> SpawnContext:
    """The way in which processes are begun here: a fork would take threads and locks along."""
    return multiprocessing.get_context("spawn")


def begin_process(function: Callable[..., None], *arguments: Any) -> SpawnProcess:
    """A running child that carries out ``function``; both are pickled.

    The child watches its parent before it imports what ``function`` needs, which takes seconds for
    torch. A signal to stop waits until the child unblocks it.
    """
    with deaf():
        inner = (os.getpid(), pickle.dumps(function), arguments)
        process = spawning().Process(target=_carry_out, args=inner, daemon=True)
        process.start()
    return process


def _carry_out(parent: int, function: bytes, arguments: tuple[Any, ...]) -> None:
    end_with(parent)
    pickle.loads(function)(*arguments)  # our own parent wrote it


@contextmanager
def deaf() -> Iterator[None]:
    """Children begun inside do not hear the signals that stop a run, from their first moment."""
    resource_tracker.ensure_running()  # unblocks the signals when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with(parent: int) -> None:
    """End this process soon after the process ``parent``, which cannot tell when it is killed."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY)
    os._exit(1)
