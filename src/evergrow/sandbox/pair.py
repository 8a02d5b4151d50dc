"""One candidate and its judge, each in a sandboxed process of its own, until a verdict is there."""

import json
import os
import selectors
import signal
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass

from evergrow.sandbox.limits import Limits
from evergrow.sandbox.process import GRACE, Process
from evergrow.sandbox.tiers import Tier

SEED = 0  # of what is random in tests and candidates: the same verdict each time
_AT_ONCE = 1 << 16  # bytes; a verdict has at most these
_MOST_SHOWN = 300  # characters of its detail


@dataclass(frozen=True, slots=True)
class Told:
    """What came out: a verdict's name, why, the line of the tests, how often was asked.

    ``verdict`` is "broken" where the tests did not run even before they asked.
    """

    verdict: str
    detail: str
    line: int = 0
    num_calls: int = 0


def judged(tier: Tier, source: str, function: str, tests: tuple[str, str], limits: Limits) -> Told:
    """Carry ``source`` out and have ``tests`` (solution, tests) ask its ``function``."""
    shared = {"limits": limits.inside(), "message_bytes": limits.message_bytes, "seed": SEED}
    with ExitStack() as stack:
        asks, answers, says, hears = (
            stack.enter_context(end) for end in (*socket.socketpair(), *socket.socketpair())
        )
        job = {"source": source, "function": function, "channel": answers.fileno(), **shared}
        candidate = stack.enter_context(Process(tier, limits, "candidate", job, [answers]))
        job = {"solution": tests[0], "tests": tests[1], "channel": asks.fileno(), **shared}
        job["verdict"] = says.fileno()
        judge = stack.enter_context(Process(tier, limits, "judge", job, [asks, says]))
        for theirs in (asks, answers, says):
            theirs.close()
        return _watched(candidate, judge, hears, limits)


def _watched(candidate: Process, judge: Process, hears: socket.socket, limits: Limits) -> Told:
    """Read what both say until the judge has spoken, hung up, or a limit is reached.

    What the candidate wrote is read first, so that its length counts the same each time.
    """
    deadline = time.monotonic() + limits.wall_seconds
    said, num_written = b"", 0
    with selectors.DefaultSelector() as selector:
        selector.register(hears, selectors.EVENT_READ)
        selector.register(candidate.output, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            ready = {key.fileobj for key, _ in selector.select(left)}
            if candidate.output in ready:
                data = os.read(candidate.output.fileno(), _AT_ONCE)
                if not data:
                    selector.unregister(candidate.output)
                num_written += len(data)
                if num_written > limits.output_bytes:
                    return Told("truncated", f"printed more than {limits.output_bytes:,} bytes")
            elif hears in ready:
                data = hears.recv(_AT_ONCE)
                said += data
                if not data or len(said) > _AT_ONCE:
                    return _understood(said, candidate, judge, limits)
    return Told("timed out", f"no end after {limits.wall_seconds:g} s of the clock on the wall")


def _understood(said: bytes, candidate: Process, judge: Process, limits: Limits) -> Told:
    """What the judge said; where it or the candidate ended without a word, how."""
    try:
        told = json.loads(said)
        verdict, detail = str(told["verdict"]), str(told["detail"])
        line, num_calls = int(told["line"]), int(told["num_calls"])
    except (ValueError, TypeError, LookupError, RecursionError):
        return Told(*_death(judge, limits, "the process of the tests"))
    if verdict == "gone":
        verdict, detail = _death(candidate, limits, "the candidate's process")
    shown = "".join(c if c.isprintable() else " " for c in detail[:_MOST_SHOWN])
    return Told(verdict, shown, line, num_calls)


def _death(process: Process, limits: Limits, whose: str) -> tuple[str, str]:
    """(verdict, why) of a process that hung up."""
    if not process.wait(GRACE):
        return "crashed", f"{whose} hung up"
    if process.ended == 128 + signal.SIGXCPU or process.cpu_seconds >= limits.cpu_seconds:
        return "timed out", f"{whose} used {limits.cpu_seconds} s of processor time"
    code = process.ended or 0
    how = f"by signal {code - 128}" if code > 128 else f"with exit code {code}"
    return "crashed", f"{whose} ended {how} before the tests had"
