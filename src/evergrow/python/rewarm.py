"""The verb rewarm: at which rate a finished model goes on, by short probes."""

import os
from collections.abc import Mapping
from pathlib import Path

from evergrow.cli.rewarm import show_rewarmed
from evergrow.flow.rewarm import name_of
from evergrow.flow.rewarm import rewarm as probed
from evergrow.listener import Listener
from evergrow.models.find import find_model
from evergrow.python.bar import watched
from evergrow.python.results import PathLike, Record
from evergrow.python.run import Count, Files, Settings, globs_of, tokens_of
from evergrow.report.rewarm import PAGE


def rewarm(
    model: PathLike,
    data: Files,
    *,
    evaluate: Mapping[str, Files],
    tokens: Count = "100k",
    peak_lr: float | None = None,
    most_lost: float | None = None,
    name: str | None = None,
    settings: Settings | None = None,
    runs: PathLike = "runs",
    listener: Listener | None = None,
) -> Record:
    """Which peak rate a finished model should go on at, by short probes beside it.

    Each learns ``tokens`` of ``data`` at a rate of a grid around ``peak_lr`` (else what the model
    records, else usual for its size) and is measured on ``evaluate``, old text by its names.
    Proposed is the rate with the largest gain on the new less the loss on the old, of those that
    lose at most ``most_lost``. Probes stand in ``runs/rewarm-MODEL`` and are never trained twice;
    the model is not changed. Raises InputError for what cannot be trained or measured.
    """
    word = os.fspath(model)
    old = {one: globs_of(files) for one, files in evaluate.items()}
    with watched(listener) as watch:
        found = probed(
            word,
            globs_of(data),
            old,
            tokens_of(tokens),
            Path(runs),
            watch,
            name,
            peak_lr,
            most_lost,
            settings,
        )
    page = Path(runs) / (name or name_of(find_model(word))) / PAGE
    return Record(found, lambda: show_rewarmed(found), page)
