"""The verb shift: how far new text lies from what a model knows; ``continue --dry``."""

import os
from dataclasses import asdict

from evergrow.cli.ahead import show_shift
from evergrow.flow.shift import measure_shift
from evergrow.python.results import PathLike, Record
from evergrow.python.run import Files, globs_of


def shift(model: PathLike, data: Files, *, evaluate: Files = ()) -> Record:
    """How far new text lies from what a model knows, and what follows, as ``continue --dry`` says.

    The loss on a sample of ``data`` beside that on the model's old text: what a run's newest
    release scored on its streams, or a sample of the files to ``evaluate``. Proposes the share of
    old text and the rate, each with its source. Nothing is trained or written. Raises InputError
    for texts of too few words and for models of pictures.
    """
    found = measure_shift(os.fspath(model), globs_of(data), globs_of(evaluate))
    return Record(asdict(found), lambda: show_shift(found))
