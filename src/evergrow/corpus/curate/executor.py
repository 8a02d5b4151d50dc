"""Tasks side by side in processes: a pool of this machine, or Ray.

A task is a small record that can be pickled and says all there is to do; its result does not depend
on who does it or when. What a task raises for the user comes back whole.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Literal, Protocol, Self, final

from evergrow.errors import EvergrowError, InputError
from evergrow.processes import deaf, end_with, spawning

Kind = Literal["pool", "ray"]
MAX_WAITING = 4  # tasks handed to the pool a worker: bounds memory of results and of pickles
START_SECONDS = 4  # what it costs to start processes


class Task(Protocol):
    """Something to do; ``label`` names it in errors."""

    @property
    def label(self) -> str: ...

    def run(self) -> Any:
        """Do it; called in any process, any number of times."""
        ...


@final
class Executor:
    """Carries out tasks: here, in processes that stay until it is closed, or by Ray.

    Without ``num_workers`` there are as many as cores, once there is work enough for them.

    As a context it ends its processes: when they are idle, or at once after an error, since every
    unit appears whole or not at all.
    """

    def __init__(self, kind: Kind, num_workers: int | None) -> None:
        self.kind = kind
        self.num_workers = num_workers or os.cpu_count() or 1
        self._is_asked = num_workers is not None
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if self._pool is None:
            return
        if kind is not None:
            for process in list((self._pool._processes or {}).values()):
                process.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def run(self, tasks: Sequence[Task], done: Callable[[int], None]) -> list[Any]:
        """The results of all tasks, in order; ``done`` is told how many are.

        Raises the first error that a task raised (by time), and EvergrowError when a process died.
        What was finished stays finished on disk.
        """
        results: list[Any] = [None] * len(tasks)
        for number, (index, result) in enumerate(self._results(tasks)):
            if isinstance(result, EvergrowError):
                raise result
            results[index] = result
            done(number + 1)
        return results

    def _results(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
        if not tasks:
            return iter(())
        if self.kind == "ray":
            return _with_ray(tasks, self.num_workers)
        if self.num_workers == 1 or len(tasks) == 1:
            return _here(tasks)
        if self._is_asked or self._pool is not None:
            return self._beside(tasks)
        return self._as_it_pays(tasks)

    def _as_it_pays(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
        """The first task here; the others, too, when they will be done before processes start."""
        began = time.monotonic()
        yield 0, tasks[0].run()
        rest = tasks[1:]
        is_short = (time.monotonic() - began) * len(rest) < START_SECONDS
        for index, result in (_here if is_short else self._beside)(rest):
            yield index + 1, result

    def _beside(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
        if self._pool is None:
            # It begins a process a task until there are so many.
            self._pool = ProcessPoolExecutor(self.num_workers, spawning(), end_with, (os.getpid(),))
        return _in_pool(self._pool, tasks, self.num_workers)


def _here(tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
    return ((index, task.run()) for index, task in enumerate(tasks))


def _attempt(task: Task) -> Any:
    """The task's result, or the error it raised for the user."""
    try:
        return task.run()
    except EvergrowError as error:
        return error


def _in_pool(
    pool: ProcessPoolExecutor, tasks: Sequence[Task], num_workers: int
) -> Iterator[tuple[int, Any]]:
    futures: dict[Future[Any], int] = {}
    waiting = iter(enumerate(tasks))
    while True:
        while len(futures) < num_workers * MAX_WAITING:
            if (following := next(waiting, None)) is None:
                break
            futures[_submit(pool, following[1])] = following[0]
        if not futures:
            return
        for future in wait(futures, return_when=FIRST_COMPLETED).done:
            index = futures.pop(future)
            try:
                yield index, future.result()
            except BrokenProcessPool as error:
                raise EvergrowError(
                    f"{tasks[index].label}: a worker process died without a word (out of memory?); "
                    "run the same command again to go on, with fewer workers or a smaller "
                    "shard_bytes"
                ) from error


def _submit(pool: ProcessPoolExecutor, task: Task) -> Future[Any]:
    """Hand over a task; the signals to stop are this process' alone, from the first moment."""
    with deaf():
        return pool.submit(_attempt, task)


def _with_ray(tasks: Sequence[Task], num_workers: int) -> Iterator[tuple[int, Any]]:
    """Ray Data over the tasks: a block each; the folder must be one that all its machines see.

    Raises InputError when Ray is not installed.
    """
    try:
        import ray  # pyright: ignore[reportMissingImports]
        import ray.data  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            "executor: ray, but Ray is not installed; pip install 'evergrow[ray]', or use pool"
        ) from error

    if not ray.is_initialized():
        ray.init(num_cpus=num_workers, include_dashboard=False, log_to_driver=False)
    rows = [{"index": index, "task": task} for index, task in enumerate(tasks)]
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map(_attempt_row)
    try:
        for row in dataset.iter_rows():
            yield int(row["index"]), row["result"]
    except ray.exceptions.RayError as error:
        first = next(iter(str(error).splitlines()), "without a word")
        raise EvergrowError(
            f"{tasks[0].label} and what follows: Ray failed ({first}); run the same command again "
            "to go on, or set executor: pool"
        ) from error


def _attempt_row(row: dict[str, Any]) -> dict[str, Any]:
    return {"index": row["index"], "result": _attempt(row["task"])}
