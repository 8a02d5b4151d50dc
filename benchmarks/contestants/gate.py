"""The worker's end of the pipe: a contestant waits here between blocks of steps."""

import json
import os
import resource
import sys
import time
from pathlib import Path

import torch

from contestants.shapes import SEED, SHAPES
from contestants.tokens import TokenFile


class Gate:
    """Lets a contestant run as many steps as the driver asks for, and reports what they cost.

    The driver writes a number of steps a line; closing the pipe ends the worker. What contestants
    print goes to standard error, because standard output carries the answers.
    """

    def __init__(self) -> None:
        settings = json.loads(sys.argv[1])
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._import_memory_bytes = peak_memory_bytes()
        self.device = torch.device(settings["device"])
        self.shape = SHAPES[settings["device"]][settings["size"]]
        self.tokens = TokenFile(Path(settings["tokens"]), self.shape)
        self.block_steps = settings["steps"]  # every contestant logs once a block
        self.folder = settings["folder"]
        self.loss = torch.tensor(float("nan"))  # cross-entropy of the last step, where it is known
        self._steps_left = 0
        self._clocks = (time.process_time(), time.perf_counter())
        torch.set_num_threads(settings["threads"])
        torch.set_flush_denormal(True)
        torch.manual_seed(SEED)

    def before_step(self) -> None:
        """Call before every step; returns when the driver wants that step."""
        if self._steps_left == 0:
            self._report()
            self._steps_left = self._next_command()
            self._clocks = (time.process_time(), time.perf_counter())
        self._steps_left -= 1

    def _report(self) -> None:
        """What the block cost; the first report says that the worker is ready."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        cpu, wall = time.process_time(), time.perf_counter()
        answer = {
            "cpu_seconds": cpu - self._clocks[0],  # of all threads
            "wall_seconds": wall - self._clocks[1],
            "peak_memory_bytes": self._peak_memory_bytes(),
            "import_memory_bytes": self._import_memory_bytes,
            "loss": self.loss.item(),
        }
        print(json.dumps(answer), file=self._answers, flush=True)

    def _next_command(self) -> int:
        line = sys.stdin.readline()
        if not line:
            raise SystemExit(0)
        return int(line)

    def _peak_memory_bytes(self) -> int:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated()
        return peak_memory_bytes()


def peak_memory_bytes() -> int:
    """The largest resident memory of this process so far; Linux counts in KiB, macOS in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
