"""Charts over the life of the model, along trunk tokens: evaluations, losses, learning rate."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from evergrow.report.canvas import (
    DASH,
    MAX_POINTS,
    arm_dash,
    arm_symbol,
    axis,
    life_axis,
    padded,
    stage_bands,
    thin,
)
from evergrow.report.chart import Axis, Baseline, Chart, Line, Marks
from evergrow.report.folder import Arm, Moment, Run, RunFolder
from evergrow.report.matrix import floor
from evergrow.report.words import listing
from evergrow.schedules import Segment, curve

Points = list[tuple[int, float]]

SETTLED = 0.04  # part of a life after which a loss is on the scale of the rest
FAR = 1.5  # ranges of the rest by which a mark may stand above it and still set the scale


def losses(folder: RunFolder) -> list[Chart]:
    """The loss of every source over the life of the model, those that anything is known of."""
    found = [source_loss(folder, number) for number in range(len(folder.sources))]
    return [chart for chart in found if not chart.is_empty]


def source_loss(folder: RunFolder, number: int) -> Chart:
    """The loss of one source: trunk evaluations as lines, releases as hollow marks."""
    source = folder.sources[number]
    title = source if source in folder.learnt else f"{source} (measured only)"
    label = f"{folder.unit.capitalize()} of {source} along {folder.counted}"
    chart = Chart(
        f"loss-{number}",
        label,
        190,
        life_axis(folder.arms, folder.counted),
        Axis(0.0, 1.0, title=folder.unit),
        bands=stage_bands(folder),
        title=title,
    )
    return with_losses(chart, folder.arms, source)


def with_losses(chart: Chart, arms: Sequence[Arm], source: str) -> Chart:
    """The chart with what is known of a source, and a y axis that fits it.

    The first moments of a random model lie far above the rest: there the curve leaves the chart,
    and the mark of the model before stage 1 stands at the edge with its number.
    """
    lines: list[Line] = []
    marks: list[Marks] = []
    settled: list[float] = []
    ends: list[float] = []
    first = min(arm.first.way[0].start for arm in arms)
    for arm in arms:
        curves = [_trunk_curve(run, source) for run in arm.runs]
        lines += _seed_lines(arm, curves)
        rings = [_release_points(run, source) for run in arm.runs]
        marks += [_rings(arm, points) for points in rings if points]
        marks += [grown for run in arm.runs if (grown := _growth_marks(arm, run, source)).x]
        settled += [value for points in curves for _, value in _settled(points)]
        settled += [value for points in rings for place, value in points if place > first]
        ends += [value for points in (*curves, *rings) for _, value in points]
    constant = floor(arms, source)
    ends += [] if constant is None else [constant]
    low, high = padded(_with_near(settled, ends))
    y = axis(low, high, chart.y.title)
    baselines = ()
    if constant is not None and low <= constant <= high:
        box = (chart.x.low, constant, chart.x.high, constant)
        baselines = (Baseline(box, f"the best constant {constant:.2f}"),)
    return replace(chart, y=y, lines=tuple(lines), marks=tuple(marks), baselines=baselines)


def _with_near(settled: list[float], ends: list[float]) -> list[float]:
    """The values that set the scale: the settled ones, and marks not far above them."""
    if not settled:
        return ends
    top = max(settled) + FAR * (max(settled) - min(settled))
    return [*settled, *(value for value in ends if value <= top)]


def training_loss(folder: RunFolder) -> Chart:
    """Training loss of the trunk (nats a token): a running mean over faint raw values."""
    lines: list[Line] = []
    heights: list[float] = []
    for arm in folder.arms:
        run = arm.first
        legs = [(s.stage, run.digest.leg(run.trained(s.stage).name, "trunk").bins) for s in run.way]
        stages = [(stage, bins) for stage, bins in legs if bins]
        points = max(2, MAX_POINTS // max(1, len(stages)))
        for stage, bins in stages:
            tokens = np.array([stage.clock_at(one.step) for one in bins], dtype=float)
            loss = np.array([one.raw for one in bins], dtype=float)  # None is NaN
            picked = thin(len(bins), points - 1)
            learnt = np.array([one.mean for one in bins], dtype=float)
            smooth = running_mean(learnt, max(1, len(bins) // 40))
            lines.append(_line(arm, tokens[picked], loss[picked], 1.0, opacity=0.16, is_read=False))
            lines.append(_line(arm, tokens[picked], smooth[picked], dash=arm_dash(arm.color)))
            heights += list(smooth[len(smooth) // 20 :])
    low, high = padded(heights)
    return Chart(
        "training",
        f"Training loss of every arm along {folder.counted}",
        200,
        life_axis(folder.arms, folder.counted),
        axis(low, high, "training loss"),
        bands=stage_bands(folder),
        lines=tuple(lines),
    )


def rates(folder: RunFolder) -> list[Chart]:
    """The learning rate, a chart for each group of arms that share it."""
    return [
        learning_rate(folder, arms, number) for number, arms in enumerate(schedule_groups(folder))
    ]


def schedule_groups(folder: RunFolder) -> list[list[Arm]]:
    """Arms with the same rates together; by plan, so that a slower arm stays in its group."""
    groups: dict[str, list[Arm]] = {}
    for arm in folder.arms:
        plan = [[stage.tokens, stage.schedule, stage.release_schedule] for stage in arm.plan]
        groups.setdefault(json.dumps(plan, sort_keys=True), []).append(arm)
    return list(groups.values())


def learning_rate(folder: RunFolder, arms: list[Arm], number: int) -> Chart:
    """The trunk as one line, anneal branches as forks that end in a ring, what is to come faint.

    Arms that share the curve stripe it in their colours.
    """
    lines: list[Line] = []
    rings: list[Marks] = []
    top = 0.0
    for place, arm in enumerate(arms):
        dash = _stripe(place, len(arms)) if len(arms) > 1 else arm_dash(arm.color)
        done, planned = trunk_rates(arm.first)
        top = max([top, *(rate for _, rate in done + planned)])
        lines.append(_curve(arm, planned, 1.5, dash, opacity=0.4, is_read=False))
        for points, is_done in release_rates(arm.first):
            opacity = 1.0 if is_done else 0.4
            lines.append(_curve(arm, points, 1.7, dash, opacity, is_read=False))
        lines.append(_curve(arm, done, width=3.2, dash=dash, is_filled=place == 0))
        rings.append(_release_rings(arm, 8 + 5 * (len(arms) - 1 - place)))
    names = listing([arm.name for arm in arms])
    return Chart(
        f"rate-{number}",
        f"Learning rate of {names} along {folder.counted}",
        190,
        life_axis(folder.arms, folder.counted),
        axis(0.0, 1.12 * top or 1.0, "learning rate", 4),
        bands=stage_bands(folder),
        lines=tuple(line for line in lines if line.x),
        marks=tuple(rings),
        arms=tuple(arm.color for arm in arms),
    )


def trunk_rates(run: Run) -> tuple[Points, Points]:
    """(tokens, rate) of the trunk, as far as it has come and from there on."""
    done, planned = [], []
    for span in run.way:
        segments = [Segment.model_validate(segment) for segment in span.stage.schedule]
        done += curve(segments, span.start, span.reached) if span.reached > span.start else []
        planned += curve(segments, span.reached, span.end) if span.reached < span.end else []
    return done, planned


def release_rates(run: Run) -> list[tuple[Points, bool]]:
    """(tokens, rate) of each planned fork, and whether its release is made."""
    forks = []
    for span in run.way:
        if span.stage.release_schedule is None or span.stage.fork_step is None:
            continue
        segments = [Segment.model_validate(segment) for segment in span.stage.release_schedule]
        start = span.stage.clock_at(span.stage.fork_step)
        forks.append((curve(segments, start, span.end), span.stage.release is not None))
    return forks


def running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Mean of the last ``width`` finite values up to each place (fewer at the start)."""
    finite = np.isfinite(values)
    sums = np.cumsum(np.where(finite, values, 0.0))
    counts = np.cumsum(finite)
    sums[width:] -= sums[:-width].copy()
    counts[width:] -= counts[:-width].copy()
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _trunk_curve(run: Run, source: str) -> Points:
    way = {run.trained(span.stage).name: span.stage for span in run.way}
    return [
        (way[row.stage].clock_at(row.step), row.loss)
        for row in run.evaluations
        if row.source == source and row.stage in way
    ]


def _release_points(run: Run, source: str) -> Points:
    places: list[tuple[Moment, int]] = [(None, run.way[0].start)]
    places += [(span.stage.name, span.end) for span in run.way]
    return [
        (place, found[source].loss)
        for moment, place in places
        if source in (found := run.losses.get(moment, {}))
    ]


def _settled(points: Points) -> Points:
    """Without the first moments of a life, when a random model falls from far above the rest."""
    if len(points) < 3:
        return points
    border = points[0][0] + SETTLED * (points[-1][0] - points[0][0])
    return [point for point in points if point[0] > border]


def _seed_lines(arm: Arm, curves: list[Points]) -> Iterator[Line]:
    """One line for one seed; with several, each faint and their mean in full colour."""
    dash = arm_dash(arm.color)
    if len(curves) == 1:
        yield _curve(arm, curves[0], dash=dash)
        return
    for points in curves:
        yield _curve(arm, points, width=1.0, opacity=0.3, is_read=False)
    # All seeds are measured at the same moments; one that is behind ends the mean.
    moments = zip(*curves, strict=False)
    mean = [(points[0][0], sum(value for _, value in points) / len(points)) for points in moments]
    yield _curve(arm, mean, width=2.2, dash=dash)


def _curve(
    arm: Arm,
    points: Points,
    width: float = 2.0,
    dash: str = "",
    opacity: float = 1.0,
    is_read: bool = True,
    is_filled: bool = False,
) -> Line:
    picked = [points[place] for place in thin(len(points))]
    xs, ys = tuple(float(p[0]) for p in picked), tuple(p[1] for p in picked)
    return Line(arm.name, arm.color, xs, ys, width, dash, opacity, is_filled, is_read)


def _line(
    arm: Arm,
    tokens: np.ndarray,
    values: np.ndarray,
    width: float = 2.0,
    dash: str = "",
    opacity: float = 1.0,
    is_read: bool = True,
) -> Line:
    xs = tuple(float(x) for x in tokens)
    ys = tuple(float(y) if math.isfinite(y) else None for y in values)
    return Line(arm.name, arm.color, xs, ys, width, dash, opacity, is_read=is_read)


def _rings(arm: Arm, points: Points) -> Marks:
    return Marks(
        f"{arm.name}, release",
        arm.color,
        tuple(float(point[0]) for point in points),
        tuple(point[1] for point in points),
        arm_symbol(arm.color),
        is_hollow=True,
    )


def _growth_marks(arm: Arm, run: Run, source: str) -> Marks:
    """Filled triangles where a larger model was born, at its first loss."""
    births = [
        (span.start, growth.loss[source])
        for span in run.way
        if (growth := run.growths.get(span.stage.name)) and source in growth.loss
    ]
    xs, ys = tuple(float(start) for start, _ in births), tuple(loss.after for _, loss in births)
    return Marks(f"{arm.name}, grown", arm.color, xs, ys, "triangle", 11)


def _stripe(place: int, number: int) -> str:
    """The dash of one of ``number`` lines drawn over each other so that all stay visible."""
    return "" if place == 0 else f"{DASH * (number - place)} {DASH * place}"


def _release_rings(arm: Arm, size: float) -> Marks:
    """Rings at the rate a release ended with, on its fork or on a trunk that anneals itself."""
    ends = []
    for span in arm.first.way:
        if span.stage.release is None:
            continue
        segments = span.stage.release_schedule or span.stage.schedule
        last = curve(
            [Segment.model_validate(segment) for segment in segments], span.start, span.end
        )
        ends.append(last[-1])
    xs, ys = tuple(float(x) for x, _ in ends), tuple(y for _, y in ends)
    return Marks(arm.name, arm.color, xs, ys, "circle", size, is_hollow=True, is_read=False)
