"""The candidate's process: carries its program out, then answers calls with plain values."""

import os
import random
import sys
import types
from collections.abc import Callable
from typing import Any

from evergrow.sandbox.inside.channel import Channel, Closed, TooLong, confine
from evergrow.sandbox.inside.plain import NotPlain

MOST_TOLD = 300  # characters of an exception's text


def main(job: dict[str, Any]) -> None:
    """``job``: source, function (its name), channel (descriptor), message_bytes, limits, seed.

    Whatever the program does here, it can only send values: the verdict is made elsewhere.
    """
    confine(job["limits"], watcher=1)
    random.seed(job["seed"])
    channel = Channel(job["channel"], job["message_bytes"])
    try:
        function = _carry_out(job["source"], job["function"])
    except BaseException as error:  # noqa: BLE001  # the program's own, told to the other side
        channel.send(["raised", *_told(error)])
        os._exit(1)
    channel.send(["ready"])
    try:
        while True:
            number, arguments, keywords = channel.receive()
            _answer(channel, number, lambda a=arguments, k=keywords: function(*a, **k))
    except Closed:
        os._exit(0)  # threads of the program may go on


def _carry_out(source: str, name: str) -> Callable[..., Any]:
    module = types.ModuleType("candidate")
    sys.modules["candidate"] = module
    exec(compile(source, "<candidate>", "exec"), module.__dict__)
    if name not in module.__dict__:
        raise NameError(f"the program defines no {name!r}")
    return module.__dict__[name]


def _answer(channel: Channel, number: int, call: Callable[[], Any]) -> None:
    try:
        channel.send([number, "value", call()])
    except NotPlain as error:
        channel.send([number, "foreign", str(error)])
    except TooLong as error:
        channel.send([number, "long", str(error)])
    except Closed:
        raise
    except BaseException as error:  # noqa: BLE001  # the program's own, told to the other side
        channel.send([number, "raised", *_told(error)])


def _told(error: BaseException) -> tuple[str, str]:
    """The name of an exception's class and its text, both plain whatever the class says."""
    try:
        text = str(error)[:MOST_TOLD]
    except BaseException:  # noqa: BLE001  # its own __str__ may raise anything
        text = ""
    return str(type(error).__name__), "".join(text)
