"""The verb soup."""

import os
from collections.abc import Sequence
from pathlib import Path

from evergrow.flow.souping import soup as souped
from evergrow.listener import Listener
from evergrow.python.bar import watched
from evergrow.python.results import PathLike, Release
from evergrow.python.run import Files, globs_of


def soup(
    models: Sequence[PathLike],
    out: PathLike,
    *,
    evaluate: Files = (),
    listener: Listener | None = None,
) -> Release:
    """Average ``models``, measure each and the average, and write the best of all to ``out``.

    Measured on the files of ``evaluate``, else on the held-out streams of the run that released
    them; ``node.details["soup"]`` says what each scored. Raises InputError for fewer than two
    models, and for others in shape or tokenizer.
    """
    given = [os.fspath(model) for model in models]
    with watched(listener) as watch:
        return Release(souped(given, Path(out), globs_of(evaluate), watch).folder)
