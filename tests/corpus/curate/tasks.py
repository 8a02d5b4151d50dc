"""A task that worker processes can import."""

import os
import signal
from dataclasses import dataclass

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
