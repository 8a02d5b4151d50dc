"""The last release of every arm on every source: a dot with its interval."""

from evergrow.report.canvas import arm_symbol, axis, padded
from evergrow.report.chart import Axis, Baseline, Chart, Marks
from evergrow.report.folder import Arm, RunFolder
from evergrow.report.matrix import final_scores, floor

ROW = 20  # pixels a dot
GAP = 1.9  # rows of room above a source, for its name


def scores(folder: RunFolder) -> Chart:
    """Losses with whiskers: the bootstrap interval of one seed, the range of several."""
    step = len(folder.arms) + GAP
    num_rows = step * len(folder.sources)
    marks = tuple(dots for arm in folder.arms if (dots := _dots(folder, arm, step)).x)
    floors = {source: floor(folder.arms, source) for source in folder.sources}
    bounds = [value for one in marks for ends in one.whiskers for value in ends]
    bounds += [value for value in floors.values() if value is not None and bounds]
    names = tuple((place * step + 0.8, source) for place, source in enumerate(folder.sources))
    return Chart(
        "scores",
        f"{folder.unit.capitalize()} of the last releases with intervals",
        round(ROW * num_rows),
        axis(*padded(bounds), folder.unit, 6),
        Axis(num_rows, 0.0, names),
        marks=marks,
        baselines=tuple(
            Baseline((value, (place + 1) * step, value, place * step + 0.9), "constant")
            for place, value in enumerate(floors.values())
            if value is not None
        ),
        rules=tuple(place * step for place in range(1, len(folder.sources))),
        grid="x",
        has_rows=True,
    )


def _dots(folder: RunFolder, arm: Arm, step: float) -> Marks:
    """One arm's dots; ``step`` rows lie between two sources."""
    places, values, whiskers, titles = [], [], [], []
    for place, source in enumerate(folder.sources):
        interval = _interval(arm, source)
        if interval is None:
            continue
        value, low, high = interval
        places.append(place * step + GAP - 0.4 + arm.color)
        values.append(value)
        whiskers.append((low, high))
        titles.append(f"{arm.name}, {source}: {value:.3f} ({low:.3f} to {high:.3f})")
    return Marks(
        arm.name,
        arm.color,
        tuple(values),
        tuple(places),
        arm_symbol(arm.color),
        is_read=False,
        whiskers=tuple(whiskers),
        titles=tuple(titles),
    )


def _interval(arm: Arm, source: str) -> tuple[float, float, float] | None:
    rows = final_scores(arm, source)
    if not rows:
        return None
    values = [row.loss for row in rows]
    mean = sum(values) / len(values)
    if len(rows) > 1:
        return mean, min(values), max(values)
    return mean, rows[0].low, rows[0].high
