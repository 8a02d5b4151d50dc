"""The verb eval_: losses, and scores on suites."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evergrow.cli.evaluate import show_suite_scores, suite_scores
from evergrow.cli.look import show_scores
from evergrow.errors import InputError
from evergrow.flow.look import evaluate
from evergrow.flow.verbs import measure_also
from evergrow.listener import Listener
from evergrow.python.bar import watched
from evergrow.python.results import PathLike, Rows
from evergrow.python.run import Files, globs_of


def eval_(
    model: PathLike,
    data: Files = (),
    *,
    add: Mapping[str, str] | None = None,
    sequence_length: int | None = None,
    suite: PathLike | None = None,
    other: PathLike | None = None,
    answers: PathLike | None = None,
    allow_unsandboxed: bool = False,
    listener: Listener | None = None,
    **asked: float | bool,
) -> Rows[Any]:
    """The loss of a model on each of ``data``, or its score on ``suite``, with 95 % intervals.

    Without ``data`` and ``suite`` a run's newest release is measured on its run's held-out parts.
    ``add`` names files that every release of a run is measured on from now on. A suite is asked as
    the command line has it: ``samples``, ``temperature``, ``top_p``, ``max_tokens``, ``chat``,
    ``limit`` and ``seed``; ``answers`` is a file of answers made elsewhere, ``other`` a second
    model. Raises InputError for what cannot be measured.
    """
    if suite is not None:
        models = [os.fspath(one) for one in (model, other) if one is not None]
        file = None if answers is None else Path(answers)
        found = suite_scores(models, os.fspath(suite), asked, file, allow_unsandboxed)
        return Rows(found, show_suite_scores)
    if asked or other or answers or allow_unsandboxed:
        raise InputError("suite: say which; what else was given belongs to one")
    with watched(listener) as watch:
        for name, files in (add or {}).items():
            measure_also(Path(model), name, files, watch)
    return Rows(evaluate(os.fspath(model), globs_of(data), sequence_length), show_scores)
