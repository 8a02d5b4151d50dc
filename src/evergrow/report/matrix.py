"""The loss matrix as a heat map: rows before and after each stage, columns streams, one scale."""

from dataclasses import dataclass

from evergrow.report.folder import Arm, Evaluation, Run, RunFolder
from evergrow.run import StageRecord


@dataclass(frozen=True)
class Cell:
    """One number; ``shade`` in [0, 1] on the common scale, ``own`` when the row's stage learnt it.

    ``lost`` is how far the value lies above the lowest that a release since the stream's own stage
    reached; None up to that stage.
    """

    value: float | None
    shade: float
    own: bool
    lost: float | None


@dataclass(frozen=True)
class Row:
    """The model before stage 1 or after one stage."""

    label: str
    cells: list[Cell]


def columns(folder: RunFolder) -> list[str]:
    """The streams, then the sources that no stage learns."""
    return [*folder.streams, *(s for s in folder.sources if s not in folder.learnt)]


def learns(stage: StageRecord, stream: str) -> bool:
    """Whether ``stream`` is the stage's new data."""
    return stage.name == stream or stage.mixture.get(stream, 0) > 0


def released(arm: Arm, stage: str | None, stream: str) -> float | None:
    """Bits per byte on all held-out text of ``stream`` after ``stage`` (None: before stage 1).

    Mean over seeds. A stream is a source; a stage's name stands for its sources by weight.
    """
    values = [_measured(run, stage, stream) for run in arm.runs]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def best_released(arm: Arm, stream: str) -> float | None:
    """The lowest value of a release since the stream's own stage; None before that."""
    first = next((place for place, stage in enumerate(arm.stages) if learns(stage, stream)), 0)
    values = [released(arm, stage.name, stream) for stage in arm.stages[first:]]
    return min((value for value in values if value is not None), default=None)


def final_scores(arm: Arm, source: str) -> list[Evaluation]:
    """For each seed the evaluation of its last release on ``source``."""
    rows = [
        [row for row in run.evaluations if row.leg == "release" and row.source == source]
        for run in arm.runs
    ]
    return [found[-1] for found in rows if found]


def heat_map(folder: RunFolder, arm: Arm) -> list[Row]:
    """The rows of one arm; none before its first evaluation."""
    low, high = _scale(folder)
    reached: dict[str, float] = {}
    rows = []
    for stage in [None, *arm.stages]:
        cells = []
        for stream in columns(folder):
            value = released(arm, stage.name if stage else None, stream)
            own = stage is not None and learns(stage, stream)
            lost = None if value is None or stream not in reached else value - reached[stream]
            shade = 0.0 if value is None or high <= low else (value - low) / (high - low)
            cells.append(Cell(value, min(1.0, max(0.0, shade)), own, lost))
            if value is not None and (own or stream in reached):
                reached[stream] = min(value, reached.get(stream, value))
        if any(cell.value is not None for cell in cells):
            rows.append(Row(f"after {stage.name}" if stage else "before", cells))
    return rows


def _measured(run: Run, stage: str | None, stream: str) -> float | None:
    leg = "start" if stage is None else "release"
    rows = [row for row in run.evaluations if (row.stage, row.leg) == (stage, leg)]
    found = {row.source: row.loss for row in rows}
    if stream in found:
        return found[stream]
    mixture = next((s.mixture for s in run.manifest.stages if s.name == stream), {})
    if not mixture or not mixture.keys() <= found.keys():
        return None
    return sum(weight * found[source] for source, weight in mixture.items()) / sum(mixture.values())


def _scale(folder: RunFolder) -> tuple[float, float]:
    """Lowest and highest value of all arms after any stage; an untrained model may lie above it."""
    values = [
        value
        for arm in folder.arms
        for stage in arm.stages
        for stream in columns(folder)
        if (value := released(arm, stage.name, stream)) is not None
    ]
    return (min(values), max(values)) if values else (0.0, 0.0)
