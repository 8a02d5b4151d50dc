"""Tasks in processes: results in order, errors whole, a dead worker told of."""

import importlib.util
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
from corpus.curate.tasks import Square

from evergrow.corpus.curate.executor import Executor, Kind, Task
from evergrow.errors import EvergrowError, InputError


def run(tasks: Sequence[Task], kind: Kind = "pool", workers: int = 2) -> list[int]:
    with Executor(kind, workers) as executor:
        return executor.run(tasks, lambda done: None)


def test_results_come_in_order_and_progress_is_told() -> None:
    told: list[int] = []
    tasks = [Square(n) for n in range(12)]
    with Executor("pool", 2) as executor:
        assert executor.run(tasks, told.append) == [n**2 for n in range(12)]
        assert told == list(range(1, 13))
        assert executor.run(tasks[:3], told.append) == [0, 1, 4]  # by the same processes
        assert executor.run([], told.append) == []
    assert run(tasks, workers=1) == [n**2 for n in range(12)]


def test_processes_are_begun_when_it_pays() -> None:
    with Executor("pool", None) as executor:
        executor.num_workers = 2
        assert executor.run([Square(n) for n in range(12)], lambda done: None)[-1] == 121
        assert executor._pool is None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("evergrow.corpus.curate.executor.START_SECONDS", 0)
            assert executor.run([Square(n) for n in range(12)], lambda done: None)[-1] == 121
        assert executor._pool is not None


def test_an_error_of_a_worker_comes_back_whole() -> None:
    with pytest.raises(InputError, match=r"^13: an unlucky number; take another one$"):
        run([Square(1), Square(13), Square(2)])


def test_a_worker_that_dies_is_an_error_in_a_sentence() -> None:
    with pytest.raises(EvergrowError, match=r"^square of \d+: a worker process died .* memory"):
        run([Square(99), Square(99)])
    assert [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())] == []


WAITING = """
import sys, time
from dataclasses import dataclass
from pathlib import Path
from evergrow.corpus.curate.executor import Executor

@dataclass(frozen=True)
class Wait:
    number: int
    @property
    def label(self): return "waiting"
    def run(self):
        Path(sys.argv[1], str(self.number)).write_text("")
        time.sleep(120)

if __name__ == "__main__":
    with Executor("pool", 2) as executor:
        executor.run([Wait(1), Wait(2)], lambda done: None)
"""


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "waiting.py"
    script.write_text(WAITING)
    process = subprocess.Popen([sys.executable, str(script), str(tmp_path)])
    deadline = time.monotonic() + 60
    while not (tmp_path / "1").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert workers
    assert alive == []


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_ray_that_is_missing_is_a_sentence() -> None:
    with pytest.raises(InputError, match=r"pip install 'evergrow\[ray\]', or use pool"):
        run([Square(1)], "ray", 1)
