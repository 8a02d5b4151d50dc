"""The loss matrix as a heat map: rows before and after each stage, columns streams, one scale."""

from collections.abc import Sequence
from dataclasses import dataclass

from evergrow.lineage import Measured
from evergrow.report.folder import Arm, Moment, Run, RunFolder, Span
from evergrow.run import StageRecord
from evergrow.stage.summary import leaves


@dataclass(frozen=True)
class Cell:
    """One number; ``shade`` in [0, 1] on the common scale, ``own`` when the row's stage learnt it.

    ``lost`` is how far the value lies above the lowest that a release since the stream's own stage
    reached; None up to that stage. What is only measured was known before the first stage.
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


def released(arm: Arm, stage: Moment, stream: str) -> float | None:
    """Bits per byte on all held-out text of ``stream`` after ``stage`` (None: before stage 1).

    Mean over seeds. A stream is a source; a stage's name stands for its sources by weight.
    """
    values = [_measured(run, stage, stream) for run in arm.runs]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def final_scores(arm: Arm, source: str) -> list[Measured]:
    """For each seed the loss of its last release on ``source``."""
    rows = [
        [
            found[source]
            for span in run.way
            if source in (found := run.losses.get(span.stage.name, {}))
        ]
        for run in arm.runs
    ]
    return [found[-1] for found in rows if found]


def floor(arms: Sequence[Arm], source: str) -> float | None:
    """What the best constant scores on ``source``, where the last releases record it."""
    scores = [score for arm in arms for score in final_scores(arm, source)]
    return next((score.floor for score in scores if score.floor is not None), None)


def ways(arm: Arm) -> list[tuple[str, list[Span]]]:
    """The way to every leaf of the arm's stages, the last stage's first, by the leaf's name."""
    run = arm.first
    last = len(run.spans) - 1
    places = sorted(leaves(arm.stages), key=lambda place: (place != last, place))
    return [
        (arm.stages[leaf].name, [run.spans[place] for place in arm.stages[leaf].path])
        for leaf in places
    ]


def heat_map(folder: RunFolder, arm: Arm, way: list[Span]) -> list[Row]:
    """The rows of one arm on the way to a leaf; none before its first release."""
    low, high = _scale(folder)
    reached: dict[str, float] = {}
    measured_only = {source for source in folder.sources if source not in folder.learnt}
    rows = []
    start = [None] if way[0].stage.begin.kind == "start" else []
    for stage in [*start, *(span.stage for span in way)]:
        cells = []
        for stream in columns(folder):
            value = released(arm, stage.name if stage else None, stream)
            own = stage is not None and learns(stage, stream)
            lost = None if value is None or stream not in reached else value - reached[stream]
            shade = 0.0 if value is None or high <= low else (value - low) / (high - low)
            cells.append(Cell(value, min(1.0, max(0.0, shade)), own, lost))
            if value is not None and (own or stream in reached or stream in measured_only):
                reached[stream] = min(value, reached.get(stream, value))
        if any(cell.value is not None for cell in cells):
            rows.append(Row(f"after {stage.name}" if stage else "before", cells))
    return rows


def _measured(run: Run, stage: Moment, stream: str) -> float | None:
    found = {source: line.loss for source, line in run.losses.get(stage, {}).items()}
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
