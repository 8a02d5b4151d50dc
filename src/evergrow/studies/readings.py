"""Numbers of a Run that studies compare, in bits per byte; each function makes one measure."""

from collections.abc import Callable
from pathlib import Path

from evergrow.run import Run, root_of
from evergrow.scores.store import Score, losses, read_scores
from evergrow.stage.records import Evaluation, read_lines


def released(source: str) -> Callable[[Run], float | None]:
    """The last stage's release on all of the held-out part of ``source``."""

    def read(run: Run) -> float | None:
        found = losses(scores_of(run, run.manifest.stages[-1].key))
        return found[source].loss if source in found else None

    return read


def scores_of(run: Run, release: str) -> list[Score]:
    """What was measured of a Run's release, by its key, on the Run's data."""
    data = [Path(path).name for path in run.manifest.data.values()]
    return read_scores(root_of(run), release, data)


def at_start(source: str) -> Callable[[Run], float | None]:
    """``source`` where the last stage began, on the part measured inside stages.

    None for a Run of one stage: no finished model was there to begin with.
    """

    def read(run: Run) -> float | None:
        return _inside(run, source).get(0)

    return read


def early_peak(source: str, fraction: float) -> Callable[[Run], float | None]:
    """The highest value of ``source`` inside the first ``fraction`` of the last stage.

    The start itself is left out, so that the peak may lie below it. The highest of several values
    leans upwards: compare it with a control arm's too.
    """

    def read(run: Run) -> float | None:
        last = run.manifest.stages[-1].num_steps * fraction
        return max(
            (v for step, v in _inside(run, source).items() if 0 < step <= last), default=None
        )

    return read


def _inside(run: Run, source: str) -> dict[int, float]:
    """The measurements inside the last stage's trunk, by steps since its start."""
    stages = run.manifest.stages
    if len(stages) == 1:
        return {}
    return {
        look.step - stages[-1].first_step: look.loss
        for look in read_lines(run.folder / "evals.jsonl", Evaluation)
        if (look.stage, look.leg, look.source) == (stages[-1].name, "trunk", source)
    }
