"""A contestant of the signals' benchmark: a process that does jobs, each in a fork of its own.

So every timed job starts with the libraries loaded and nothing remembered of the documents.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Job = Callable[[dict[str, Any]], dict[str, Any]]


def read_texts(path: str) -> Iterator[str]:
    """The documents, a JSON string a line."""
    with Path(path).open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def serve(jobs: dict[str, Job]) -> None:
    """Do what standard input orders, a JSON object a line; answer on standard output."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    answers.write("{}\n")
    answers.flush()
    for line in sys.stdin:
        order = json.loads(line)
        if os.fork() == 0:
            begun = time.process_time()
            answer = jobs[order["job"]](order)
            answer.setdefault("cpu_seconds", time.process_time() - begun)
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
            os._exit(0)
        _, status = os.wait()
        if status:
            sys.exit(f"job {order['job']} failed")
