"""Charts over the life of the model, along trunk tokens: evaluations, losses, learning rate."""

import json
from collections.abc import Iterator

import numpy as np

from evergrow.report.canvas import (
    DASH,
    MAX_POINTS,
    Figure,
    arm_color,
    arm_symbol,
    layout,
    life_axis,
    plain,
    stage_bands,
    text,
    thin,
)
from evergrow.report.folder import Arm, Moment, Run, RunFolder
from evergrow.schedules import Segment, curve

Points = list[tuple[int, float]]

SETTLED = 0.04  # part of a life after which a loss is on the scale of the rest


def source_loss(folder: RunFolder, source: str) -> Figure:
    """Bits per byte of one source: trunk evaluations as lines, releases as rings."""
    traces, heights = [], []
    for arm in folder.arms:
        curves = [_trunk_curve(run, source) for run in arm.runs]
        traces += _seed_lines(arm, curves)
        rings = [_release_points(run, source) for run in arm.runs]
        traces += [_rings(arm, points) for points in rings if points]
        traces += [_growth_marks(arm, run, source) for run in arm.runs if run.growths]
        heights += [value for points in (*curves, *rings) for _, value in _settled(points)]
    return {
        "data": traces,
        "layout": layout(
            xaxis=life_axis(folder),
            yaxis={"range": _padded(heights), "nticks": 6},
            **stage_bands(folder),
        ),
    }


def training_loss(folder: RunFolder) -> Figure:
    """Training loss of the trunk (nats a token): a running mean over faint raw values."""
    traces, heights = [], []
    for arm in folder.arms:
        run = arm.first
        legs = [(s.stage, run.digest.leg(s.stage.name, "trunk").bins) for s in run.way]
        stages = [(stage, bins) for stage, bins in legs if bins]
        points = max(2, MAX_POINTS // max(1, len(stages)))
        for stage, bins in stages:
            tokens = np.array([stage.clock_at(one.step) for one in bins], dtype=float)
            loss = np.array([one.raw for one in bins], dtype=float)  # None is NaN
            picked = thin(len(bins), points - 1)
            learnt = np.array([one.mean for one in bins], dtype=float)
            smooth = running_mean(learnt, max(1, len(bins) // 40))
            raw = {"width": 1, "color": arm_color(arm)}
            traces.append(
                _line(arm, tokens[picked], loss[picked], raw, opacity=0.16, hoverinfo="skip")
            )
            traces.append(
                _line(arm, tokens[picked], smooth[picked], {"width": 2, "color": arm_color(arm)})
            )
            heights += list(smooth[len(smooth) // 20 :])
    return {
        "data": traces,
        "layout": layout(
            xaxis=life_axis(folder),
            yaxis={"range": _padded(heights), "nticks": 6},
            **stage_bands(folder),
        ),
    }


def schedule_groups(folder: RunFolder) -> list[list[Arm]]:
    """Arms with the same rates together; by plan, so that a slower arm stays in its group."""
    groups: dict[str, list[Arm]] = {}
    for arm in folder.arms:
        plan = [[stage.tokens, stage.schedule, stage.release_schedule] for stage in arm.stages]
        groups.setdefault(json.dumps(plan, sort_keys=True), []).append(arm)
    return list(groups.values())


def learning_rate(folder: RunFolder, arms: list[Arm]) -> Figure:
    """The trunk as one line, anneal branches as forks that end in a ring, what is to come faint.

    Arms that share the curve stripe it in their colours.
    """
    traces, top = [], 0.0
    for place, arm in enumerate(arms):
        dash = {"color": arm_color(arm), "dash": _stripe(place, len(arms))}
        done, planned = trunk_rates(arm.first)
        top = max([top, *(rate for _, rate in done + planned)])
        fill = {"fill": "tozeroy", "fillcolor": f"{arm_color(arm)}/0.08"} if place == 0 else {}
        look = {"simplify": False, **dash}
        traces.append(_curve(arm, planned, {"width": 1.5, **look}, opacity=0.4, hoverinfo="skip"))
        for points, is_done in release_rates(arm.first):
            faint = 1.0 if is_done else 0.4
            line = {"width": 1.7, **look}
            traces.append(_curve(arm, points, line, opacity=faint, hoverinfo="skip"))
        trunk = {"width": 3.2, **look}
        traces.append(_curve(arm, done, trunk, hovertemplate="%{y:.3~g}", **fill))
        traces.append(_release_rings(arm, 8 + 5 * (len(arms) - 1 - place)))
    return {
        "data": traces,
        "layout": layout(
            xaxis=life_axis(folder),
            yaxis={"range": [0, 1.12 * top or 1], "nticks": 5, "exponentformat": "power"},
            **stage_bands(folder),
        ),
    }


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
    way = {span.stage.name: span.stage for span in run.way}
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


def _padded(values: list[float]) -> list[float] | None:
    """A range with a little room around the finite values."""
    finite = [value for value in values if np.isfinite(value)]
    if not finite:
        return None
    room = max(0.07 * (max(finite) - min(finite)), 0.02)
    return [float(min(finite) - room), float(max(finite) + room)]


def _seed_lines(arm: Arm, curves: list[Points]) -> Iterator[Figure]:
    """One line for one seed; with several, each faint and their mean in full colour."""
    color = arm_color(arm)
    if len(curves) == 1:
        yield _curve(arm, curves[0], {"width": 2, "color": color})
        return
    for points in curves:
        yield _curve(arm, points, {"width": 1, "color": color}, opacity=0.3, hoverinfo="skip")
    # All seeds are measured at the same moments; one that is behind ends the mean.
    moments = zip(*curves, strict=False)
    mean = [(points[0][0], sum(value for _, value in points) / len(points)) for points in moments]
    yield _curve(arm, mean, {"width": 2.2, "color": color})


def _curve(arm: Arm, points: Points, line: dict[str, object], **more: object) -> Figure:
    picked = [points[place] for place in thin(len(points))]
    tokens, values = np.array([p[0] for p in picked]), np.array([p[1] for p in picked])
    return _line(arm, tokens, values, line, **more)


def _line(
    arm: Arm, tokens: np.ndarray, values: np.ndarray, line: dict[str, object], **more: object
) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": text(arm.name),
        "meta": {"arm": arm.color},
        "x": plain(tokens),
        "y": plain(values),
        "line": line,
        "hovertemplate": "%{y:.3f}",
        **more,
    }


def _rings(arm: Arm, points: Points) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{text(arm.name)}, release",
        "meta": {"arm": arm.color},
        "x": plain([point[0] for point in points]),
        "y": plain([point[1] for point in points]),
        "marker": {"symbol": arm_symbol(arm), "size": 9, "color": "@page",
                   "line": {"width": 2, "color": arm_color(arm)}},
        "hovertemplate": "%{y:.3f}",
        "cliponaxis": False,
    }  # fmt: skip


def _growth_marks(arm: Arm, run: Run, source: str) -> Figure:
    """Filled triangles where a larger model was born, at its first loss."""
    births = [
        (span.start, growth, growth.loss[source])
        for span in run.way
        if (growth := run.growths.get(span.stage.name)) and source in growth.loss
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{text(arm.name)}, grown",
        "meta": {"arm": arm.color},
        "x": plain([start for start, _, _ in births]),
        "y": plain([loss.after for _, _, loss in births]),
        "marker": {"symbol": "triangle-up", "size": 11, "color": arm_color(arm)},
        "hovertemplate": "%{y:.3f}",
        "cliponaxis": False,
    }


def _stripe(place: int, number: int) -> str:
    """The dash of one of ``number`` lines drawn over each other so that all stay visible."""
    return "solid" if place == 0 else f"{DASH * (number - place)}px,{DASH * place}px"


def _release_rings(arm: Arm, size: int) -> Figure:
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
    ring = _rings(arm, ends)
    ring["marker"].update(size=size, symbol="circle")
    return {**ring, "hoverinfo": "skip", "hovertemplate": None}
