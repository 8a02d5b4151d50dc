"""A sandboxed interpreter: begun with a job, watched, and ended with all that it began."""

import itertools
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from socket import socket
from typing import IO, Any

from evergrow.sandbox import seccomp
from evergrow.sandbox.limits import Limits
from evergrow.sandbox.tiers import Tier

GRACE = 2.0  # seconds in which a process that hung up, or was killed, may still end
GRACE_AFTER = 0.1  # the same once nothing more is wanted of it
_LOOK_EVERY = 0.004  # seconds
_ROOM = "evergrow.sandbox.inside"
_BOOT = """import json, sys, types
given = json.load(sys.stdin)
for name, text in given["modules"]:
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
module.main(given["job"])
"""
_numbers = itertools.count()  # of processes begun; next() is atomic


class Process:
    """Carries out ``main`` of a module of ``inside``; ended when the context is left.

    ``ends`` are the sockets that it inherits. ``ended`` is its exit code (128 + the signal's
    number), None while it lives; ``cpu_seconds`` are known of one that ended by itself.
    """

    def __init__(
        self, tier: Tier, limits: Limits, main: str, job: dict[str, Any], ends: Sequence[socket]
    ) -> None:
        self.cpu_seconds = 0.0
        self.ended: int | None = None
        command = tier.command(next(_numbers), limits)
        self.folder = tempfile.TemporaryDirectory() if tier.in_folder else None
        with ExitStack() as stack:
            given = stack.enter_context(_holding(_program(main, job)))
            inherited = [end.fileno() for end in ends]
            if tier.filtered and (filters := seccomp.program()) is not None:
                inherited.append(stack.enter_context(_holding(filters)).fileno())
                command[1:1] = ["--seccomp", str(inherited[-1])]
            self.process = subprocess.Popen(
                [*command, "-c", _BOOT],
                stdin=given,
                stdout=subprocess.PIPE if main == "candidate" else subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                pass_fds=inherited,
                env={"PYTHONHASHSEED": "0"},
                cwd=self.folder.name if self.folder else "/",
                start_new_session=True,
            )

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        if self.folder or not self.wait(GRACE_AFTER):
            self.kill()
        if self.process.stdout is not None:
            self.process.stdout.close()
        if self.folder is not None:
            self.folder.cleanup()

    @property
    def output(self) -> IO[bytes]:
        """What the candidate's process writes, errors among it."""
        assert self.process.stdout is not None
        return self.process.stdout

    def kill(self) -> None:
        """End it and all that it began, for certain.

        The one child of a sandbox's first process is the first inside; the kernel ends all others
        before that one is gone. Without a sandbox the group is ended, and who left it is not.
        """
        for child in [] if self.folder else _children(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        if self.folder or not self.wait(GRACE):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.wait(None)

    def wait(self, seconds: float | None) -> bool:
        """Whether it has ended, looked at for ``seconds`` (None: until it has)."""
        until = None if seconds is None else time.monotonic() + seconds
        while self.ended is None:
            done, status, usage = os.wait4(self.process.pid, 0 if until is None else os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                self.process.returncode = code
                self.ended = 128 - code if code < 0 else code
                self.cpu_seconds = usage.ru_utime + usage.ru_stime
            elif until is not None and time.monotonic() > until:
                return False
            else:
                time.sleep(_LOOK_EVERY)
        return True


@contextmanager
def _holding(data: bytes) -> Iterator[IO[bytes]]:
    """A file that can only be read, and has no name afterwards."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        with Path(file.name).open("rb") as again:
            yield again


def _program(main: str, job: dict[str, Any]) -> bytes:
    room = files(_ROOM)
    modules = [(package, "") for package in ("evergrow", "evergrow.sandbox", _ROOM)]
    modules += [
        (f"{_ROOM}.{name}", (room / f"{name}.py").read_text("utf-8"))
        for name in ("plain", "channel", main)
    ]
    return json.dumps({"modules": modules, "job": job}).encode()


def _children(process: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
