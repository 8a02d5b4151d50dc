"""Numbers of a Run that studies compare, in bits per byte; each function makes one measure."""

from collections.abc import Callable

from evergrow.run import Run, StageRecord


def released(source: str) -> Callable[[Run], float | None]:
    """The last stage's release on all of the held-out part of ``source``."""

    def read(run: Run) -> float | None:
        last = run.manifest.stages[-1]
        found = _losses(run, last, source, "release")
        return found[last.num_steps] if found else None

    return read


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
    return _losses(run, stages[-1], source, "trunk") if len(stages) > 1 else {}


def _losses(run: Run, stage: StageRecord, source: str, leg: str) -> dict[int, float]:
    return {
        line["step"] - stage.first_step: line["loss"]
        for line in run.read("evals")
        if (line["stage"], line["leg"], line["source"]) == (stage.name, leg, source)
    }
