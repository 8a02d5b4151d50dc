"""Plain values over a socket, each after its length, and the limits a process takes upon itself."""

import os
import resource
import select
from typing import Any

from evergrow.sandbox.inside import plain

_LENGTH = 4  # bytes


class Closed(Exception):
    """The other side is gone."""


class TooLong(Exception):
    """A message is longer than the limit; the text says by how much."""


class Channel:
    """One end of a stream socket; a message of more than ``most_bytes`` goes neither way."""

    def __init__(self, descriptor: int, most_bytes: int) -> None:
        self.descriptor = descriptor
        self.most_bytes = most_bytes

    def send(self, value: Any) -> None:
        """Raises NotPlain, TooLong and Closed."""
        data = plain.dumps(value)
        self._check(len(data))
        view = memoryview(len(data).to_bytes(_LENGTH, "big") + data)
        try:
            while view:
                view = view[os.write(self.descriptor, view) :]
        except OSError as error:
            raise Closed from error

    def receive(self) -> Any:
        """Raises NotPlain, TooLong and Closed."""
        length = int.from_bytes(self._read(_LENGTH), "big")
        self._check(length)
        return plain.loads(self._read(length))

    def _check(self, length: int) -> None:
        if length > self.most_bytes:
            raise TooLong(f"{length:,} bytes, more than the {self.most_bytes:,} that may cross")

    def _read(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            try:
                part = os.read(self.descriptor, min(length - len(data), 1 << 16))
            except OSError as error:
                raise Closed from error
            if not part:
                raise Closed
            data += part
        return bytes(data)


def confine(limits: dict[str, int], watcher: int) -> None:
    """Limit this process and its children for good: by name, as in Limits.

    ``watcher`` is a descriptor whose other end the process outside holds. Was that killed before
    the sandbox was told to end with it, nobody would ever end this process.
    """
    poll = select.poll()
    poll.register(watcher, 0)
    if poll.poll(0):
        os._exit(1)
    for name, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, limits["num_open_files"]),
        (resource.RLIMIT_NPROC, limits["num_processes"]),
    ):
        resource.setrlimit(name, (value, value))
    seconds = limits["cpu_seconds"]  # SIGXCPU at the first, SIGKILL at the second
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
