"""The trusted side's process: holds solution and tests, asks the candidate, says a verdict."""

import builtins
import json
import os
import random
import sys
import types
from collections.abc import Callable
from typing import Any

from evergrow.sandbox.inside.channel import Channel, Closed, TooLong, confine
from evergrow.sandbox.inside.plain import NotPlain

TESTS = "<tests>"


class Ended(BaseException):
    """The candidate's part is over; no test's ``except Exception`` may catch it."""

    def __init__(self, verdict: str, detail: str) -> None:
        super().__init__(verdict, detail)
        self.verdict = verdict
        self.detail = detail


class Raised(Exception):
    """An exception of the candidate that is none of Python's own."""


class Candidate:
    """Called like the function under test; each call is answered by the other process."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.num_calls = 0
        self.raised: Exception | None = None

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        self.num_calls += 1
        try:
            self.channel.send([self.num_calls, arguments, keywords])
        except NotPlain as error:
            raise Ended("wrong", f"the tests hand over {error}") from None
        number, kind, *rest = self._received(3)
        if number != self.num_calls:
            raise Ended("wrong", f"an answer to call {number!r}, which nobody has made")
        if kind == "value" and len(rest) == 1:
            return rest[0]
        raise self._ended(kind, rest)

    def wait(self) -> None:
        """Until the candidate's program has been carried out."""
        kind, *rest = self._received(1)
        if kind != "ready":
            raise self._ended(kind, rest)

    def _received(self, least: int) -> Any:
        try:
            message = self.channel.receive()
        except Closed:
            raise Ended("gone", "") from None
        except TooLong as error:
            raise Ended("truncated", f"an answer of {error}") from None
        except NotPlain as error:
            raise Ended("wrong", f"an answer that is {error}") from None
        if type(message) is not list or len(message) < least:
            raise Ended("wrong", "an answer in no known form")
        return message

    def _ended(self, kind: Any, rest: list[Any]) -> BaseException:
        if not rest or not all(type(text) is str for text in rest):
            return Ended("wrong", "an answer in no known form")
        if kind == "foreign":
            return Ended("wrong", f"answered {rest[0]}")
        if kind == "long":
            return Ended("truncated", f"an answer of {rest[0]}")
        if kind != "raised" or len(rest) != 2:
            return Ended("wrong", "an answer in no known form")
        self.raised = _exception(*rest)
        return self.raised


def _exception(name: str, text: str) -> Exception:
    """An exception of Python's own of this name, so that tests can expect it, or Raised."""
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(text)
        except TypeError:  # UnicodeDecodeError and its like take more
            pass
    return Raised(f"{name}: {text}")


def main(job: dict[str, Any]) -> None:
    """``job``: solution, tests, channel and verdict (descriptors), message_bytes, limits, seed."""
    confine(job["limits"], watcher=job["verdict"])
    candidate = Candidate(Channel(job["channel"], job["message_bytes"]))
    verdict, detail, line = _judge(job, candidate)
    told = {"verdict": verdict, "detail": detail, "line": line, "num_calls": candidate.num_calls}
    os.write(job["verdict"], json.dumps(told).encode())
    os._exit(0)


def _judge(job: dict[str, Any], candidate: Candidate) -> tuple[str, str, int]:
    """The verdict, why, and the line of the tests (1, 2, ...; 0 without) that said so."""
    try:
        check = _check(job)
    except BaseException as error:  # noqa: BLE001  # the suite's own; no candidate was asked yet
        return "broken", f"{type(error).__name__}: {error}", _line(error)
    try:
        candidate.wait()
        check(candidate)
    except Ended as error:
        return error.verdict, error.detail, _line(error)
    except AssertionError as error:
        kind = "crashed" if error is candidate.raised else "wrong"
        return kind, _sentence(error), _line(error)
    except Exception as error:  # noqa: BLE001  # the candidate's, or the test's at what it answered
        if error is candidate.raised:
            return "crashed", _sentence(error), _line(error)
        return "wrong", f"the test cannot use the answer: {_sentence(error)}", _line(error)
    return "passed", "", 0


def _check(job: dict[str, Any]) -> Callable[[Candidate], object]:
    random.seed(job["seed"])
    module = types.ModuleType("suite")
    sys.modules["suite"] = module
    exec(compile(job["solution"], "<solution>", "exec"), module.__dict__)
    exec(compile(job["tests"], TESTS, "exec"), module.__dict__)
    random.seed(job["seed"])
    return module.__dict__["check"]


def _sentence(error: Exception) -> str:
    text = str(error)
    return (
        text if isinstance(error, Raised) else f"{type(error).__name__}{': ' if text else ''}{text}"
    )


def _line(error: BaseException) -> int:
    """The innermost line of the tests in an exception's way."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == TESTS:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
