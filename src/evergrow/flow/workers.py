"""Stages side by side: a few processes that each carry out one stage after another."""

import os
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from evergrow.errors import EvergrowError, Stopped
from evergrow.listener import Listener, Progress, StopFlag
from evergrow.processes import STOPS, begin_process
from evergrow.stage.legs import carry_out_stage


@dataclass(frozen=True)
class Job:
    """Stage ``index`` of the Run in ``folder``."""

    folder: Path
    index: int


@dataclass(frozen=True)
class Done:
    """The end of a job; ``error`` is what it raised."""

    job: Job
    error: EvergrowError | None


def serve(connection: Connection, threads: int) -> None:
    """A worker process: take jobs until the connection closes."""
    import torch

    torch.set_num_threads(threads)
    stop = StopFlag()
    listener = Listener(connection.send, connection.send, stop)
    with stop.listening():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        while True:
            try:
                job: Job = connection.recv()
            except EOFError:
                return
            connection.send(Done(job, _carry_out(job, listener)))


def _carry_out(job: Job, listener: Listener) -> EvergrowError | None:
    if listener.stop.signal is not None:
        return Stopped(listener.stop.signal, "the stages finished so far")
    try:
        carry_out_stage(job.folder, job.index, listener)
    except EvergrowError as error:
        return error
    return None


class Workers:
    """``num_workers`` processes of ``threads`` CPU threads each; free ones are given jobs."""

    def __init__(self, num_workers: int, threads: int) -> None:
        self._processes: list[SpawnProcess] = []
        self._connections: list[Connection] = []
        self._jobs: dict[Connection, Job] = {}
        for _ in range(num_workers):
            pipe: tuple[Any, Any] = Pipe()  # of another class on Windows
            ours, theirs = pipe
            self._processes.append(begin_process(serve, theirs, threads))
            theirs.close()
            self._connections.append(ours)

    @property
    def running(self) -> list[Job]:
        """The jobs handed out and not done."""
        return list(self._jobs.values())

    def start(self, job: Job) -> bool:
        """Hand ``job`` to a free worker; False when all are busy."""
        for connection in self._connections:
            if connection not in self._jobs:
                connection.send(job)
                self._jobs[connection] = job
                return True
        return False

    def receive(self, seconds: float) -> list[Progress | str | Done]:
        """What the workers said within ``seconds``; of one that died, Done with an error."""
        messages: list[Progress | str | Done] = []
        for ready in wait(list(self._jobs), timeout=seconds):
            assert isinstance(ready, Connection)
            try:
                message = ready.recv()
            except (EOFError, ConnectionResetError):
                message = Done(self._jobs[ready], _died(self._jobs[ready]))
                self._connections.remove(ready)
            if isinstance(message, Done):
                del self._jobs[ready]
            messages.append(message)
        return messages

    def stop(self) -> None:
        """Ask every worker to save and stop."""
        for process in self._processes:
            if process.is_alive() and process.pid:
                os.kill(process.pid, signal.SIGTERM)

    def close(self) -> None:
        """Let idle workers end and wait for all."""
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            process.join()


def _died(job: Job) -> EvergrowError:
    return EvergrowError(
        f"{job.folder}: the process training it died without a word (out of memory?); "
        "run the same command again to go on"
    )
