"""A task that worker processes can import, and how to die in the middle of one."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from evergrow.errors import InputError


@dataclass(frozen=True)
class Square:
    """Squares a number; refuses 13, and dies of 99 as an out-of-memory killer has it."""

    number: int

    @property
    def label(self) -> str:
        return f"square of {self.number}"

    def run(self) -> int:
        if self.number == 13:
            raise InputError("13: an unlucky number; take another one")
        if self.number == 99:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.number**2


class Killed(BaseException):
    """Stands for ``kill -9``: nothing catches it."""


def killed_before(number: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Die when the ``number``-th whole file is about to appear; returns the count of files."""
    calls = [0]

    def replace(path: Path, target: Path) -> Path:
        calls[0] += 1
        if calls[0] == number:
            raise Killed
        return original(path, target)

    original = Path.replace
    monkeypatch.setattr(Path, "replace", replace)
    return calls
