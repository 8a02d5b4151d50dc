"""Runs the contestants in turn: a block of steps each, then the next round."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from contestants.environments import CONTESTANTS, python_of
from contestants.shapes import SHAPES
from contestants.tokens import write_tokens


class WorkerDiedError(Exception):
    """A contestant ended before it was asked to; the message holds the end of its log."""


class Block(NamedTuple):
    """What one block of steps cost."""

    cpu_seconds: float
    wall_seconds: float
    peak_memory_bytes: int  # of the process; on a GPU of the device
    import_memory_bytes: int  # of the process before it built anything
    loss: float


@dataclass(frozen=True)
class Plan:
    """One size on one device; the first of ``num_blocks + 1`` rounds warms up and is kept apart."""

    size: str
    device: str
    threads: int
    block_steps: int
    num_blocks: int
    names: Sequence[str]


class Worker:
    """A contestant's process, waiting between blocks."""

    def __init__(self, name: str, plan: Plan, folder: Path) -> None:
        contestant = CONTESTANTS[name]
        self.name = name
        self._steps = plan.block_steps
        self._log = folder / f"{name}.log"
        settings = {
            "device": plan.device,
            "size": plan.size,
            "threads": plan.threads,
            "steps": plan.block_steps,
            "tokens": str(folder / "tokens.bin"),
            "folder": str(folder / name),
        }
        inherited = dict(os.environ)
        if contestant.venv:
            inherited.pop("PYTHONPATH", None)
        environment = {"OMP_NUM_THREADS": str(plan.threads), "HF_HUB_OFFLINE": "1"}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [python_of(contestant), "-m", contestant.module, json.dumps(settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=Path(__file__).parents[1],
                env=inherited | environment | contestant.environment,
                text=True,
            )
        self._answer()  # built, and waiting before its first step

    def run_block(self) -> Block:
        """Run a block of steps and say what it cost."""
        assert self._process.stdin
        self._process.stdin.write(f"{self._steps}\n")
        self._process.stdin.flush()
        return self._answer()

    def kill(self) -> None:
        """End the process; it holds nothing that is still needed."""
        self._process.kill()
        self._process.wait()

    def _answer(self) -> Block:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            log = self._log.read_text(errors="replace")
            raise WorkerDiedError(
                f"{self.name} ended too early; the end of its log:\n{log[-2000:]}"
            )
        return Block(**json.loads(line))


def alternate(plan: Plan) -> dict[str, list[Block]]:
    """The blocks of every contestant, warm-up first; every round starts with another contestant."""
    blocks: dict[str, list[Block]] = {name: [] for name in plan.names}
    with TemporaryDirectory(prefix="evergrow-speed-") as temporary:
        folder = Path(temporary)
        write_tokens(folder / "tokens.bin", SHAPES[plan.device][plan.size].vocab_size)
        workers: list[Worker] = []
        try:
            for name in plan.names:
                workers.append(Worker(name, plan, folder))  # noqa: PERF401, kept for the clean-up
            for round_number in range(plan.num_blocks + 1):
                first = round_number % len(workers)
                for worker in workers[first:] + workers[:first]:
                    blocks[worker.name].append(worker.run_block())
        finally:
            for worker in workers:
                worker.kill()
    return blocks
