"""Measuring a release on every source of its Run; what was measured before is taken as it is."""

import math
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from torch import nn

from evergrow.errors import EvergrowError
from evergrow.lineage import Measured
from evergrow.made import Made
from evergrow.objectives.objective import Objective
from evergrow.scores.opening import Opened
from evergrow.scores.store import Kind, Score, path_of, read_scores, write_score

VERSION = 2  # raise by hand when the same release and data would be measured otherwise
KINDS: tuple[Kind, ...] = ("loss", "shown", "probes")
Say = Callable[[str], None]


def measure_release(
    opened: Opened,
    root: Path,
    release: str,
    load: Callable[[], nn.Module],
    first: bool,
    say: Say,
) -> list[Measured]:
    """Measure the release called ``release`` (its key) on what it was not measured on yet.

    ``load`` gives the model, asked only when something is missing; ``first`` says that it is the
    model before the first stage, whose probes go beside raw data. Returns all its losses. Raises
    EvergrowError for a loss that is no number.
    """
    model: nn.Module | None = None
    for source, objective in opened.measuring.items():
        for kind in KINDS:
            made = _made(opened, source, kind, first)
            path = path_of(root, release, kind, source, made)
            if path.exists():
                continue
            model = load() if model is None else model
            data = opened.stocks[source].folder.name
            empty = Score(release=release, kind=kind, data=data, made=made)
            write_score(path, _measured(empty, objective, model, source, path.parent, first, say))
    return current_losses(opened, root, release)


def is_measured(opened: Opened, root: Path, release: str, first: bool) -> bool:
    """Whether nothing is missing of a release."""
    return all(
        path_of(root, release, kind, source, _made(opened, source, kind, first)).exists()
        for source in opened.measuring
        for kind in KINDS
    )


def current_losses(opened: Opened, root: Path, release: str) -> list[Measured]:
    """The losses of a release on the sources that are measured now, in their order."""
    data = [opened.stocks[source].folder.name for source in opened.measuring]
    found = {m.source: m for score in read_scores(root, release, data) for m in score.losses}
    return [found[source] for source in opened.measuring if source in found]


def measure_part(
    opened: Opened, model: nn.Module, sources: Iterable[str], where: str
) -> list[Measured]:
    """A quick look at each source, inside a stage; raises EvergrowError as above."""
    found = []
    for source in sources:
        found += opened.measuring[source].measure(model, [source], True)
    refuse_not_finite(found, where)
    return found


def refuse_not_finite(lines: Collection[Measured], where: str) -> None:
    """Raise EvergrowError for a loss that is no number: what follows would mean nothing."""
    for line in lines:
        if not math.isfinite(line.loss):
            raise EvergrowError(
                f"{where}: the loss on held-out {line.source} is {line.loss}, not a finite number; "
                "lower peak_lr or look at the data"
            )


def _made(opened: Opened, source: str, kind: Kind, first: bool) -> str:
    """The key of how a source is measured: what, with which settings, on which data."""
    evaluate, settings = opened.recipe.evaluate, opened.settings_of(source)
    told = {
        "objective": opened.config_at(*opened.place_of(source)).kind,
        "sequence_length": settings.sequence_length,
    }
    if kind == "shown":
        told |= {"sample_tokens": evaluate.sample_tokens, "seed": opened.seed}
    if kind == "probes":
        told |= {"first": first, "seed": opened.seed}
    data = {"data": str(opened.stocks[source].manifest["key"])}
    return Made(version=VERSION, settings=told, inputs=data).key


def _measured(
    score: Score,
    objective: Objective,
    model: nn.Module,
    source: str,
    folder: Path,
    first: bool,
    say: Say,
) -> Score:
    """``score`` with the lines of its kind; pictures are written into ``folder``."""
    if score.kind == "loss":
        losses = objective.measure(model, [source], False)
        refuse_not_finite(losses, str(folder))
        return score.model_copy(update={"losses": losses})
    if score.kind == "probes":
        return score.model_copy(update={"probes": objective.probe(model, [source], first, say)})
    if first and objective.counted == "tokens":
        return score  # first weights have nothing to say in words
    folder.mkdir(parents=True, exist_ok=True)
    return score.model_copy(update={"shown": objective.show(model, [source], folder)})
