"""The last release of every arm on every source: a dot with its interval."""

from evergrow.report.canvas import Figure, arm_color, arm_symbol, layout, plain, text
from evergrow.report.folder import Arm, RunFolder
from evergrow.report.matrix import final_scores

ROW = 20  # pixels a dot
GAP = 1.2  # rows of room between two sources


def scores_height(folder: RunFolder) -> int:
    """Pixels that the chart needs for its rows."""
    return round(60 + ROW * len(folder.sources) * (len(folder.arms) + GAP))


def scores(folder: RunFolder) -> Figure:
    """Losses with whiskers: the bootstrap interval of one seed, the range of several."""
    step = len(folder.arms) + GAP
    traces = [_dots(folder, arm, step) for arm in folder.arms]
    middle = [place * step + (len(folder.arms) - 1) / 2 for place in range(len(folder.sources))]
    lines = [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": place * step - (GAP + 1) / 2,
         "y1": place * step - (GAP + 1) / 2, "line": {"color": "@line", "width": 1}}
        for place in range(1, len(folder.sources))
    ]  # fmt: skip
    return {
        "data": [trace for trace in traces if trace["x"]],
        "layout": layout(
            hovermode="closest",
            margin={"t": 10},
            xaxis={"tickformat": ".2f", "nticks": 7,
                   "title": {"text": folder.unit, "font": {"size": 12}}},
            yaxis={"tickvals": middle, "ticktext": [text(source) for source in folder.sources],
                   "range": [len(folder.sources) * step - GAP / 2 - 0.5, -0.9], "showgrid": False,
                   "tickfont": {"color": "@ink", "size": 13}},
            shapes=lines,
        ),
    }  # fmt: skip


def _dots(folder: RunFolder, arm: Arm, step: float) -> Figure:
    """One arm's dots; ``step`` rows lie between two sources."""
    places, values, below, above, bounds = [], [], [], [], []
    for place, source in enumerate(folder.sources):
        interval = _interval(arm, source)
        if interval is None:
            continue
        value, low, high = interval
        bounds.append([low, high])
        places.append(place * step + arm.color)
        values.append(value)
        below.append(value - low)
        above.append(high - value)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": text(arm.name),
        "meta": {"arm": arm.color},
        "x": plain(values),
        "y": places,
        "marker": {"symbol": arm_symbol(arm), "size": 9, "color": arm_color(arm)},
        "error_x": {"type": "data", "symmetric": False, "array": plain(above),
                    "arrayminus": plain(below), "thickness": 1.6, "width": 3,
                    "color": arm_color(arm)},
        "customdata": bounds,
        "hovertemplate": "%{fullData.name}: %{x:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f})"
        "<extra></extra>",
    }  # fmt: skip


def _interval(arm: Arm, source: str) -> tuple[float, float, float] | None:
    rows = final_scores(arm, source)
    if not rows:
        return None
    values = [row.loss for row in rows]
    mean = sum(values) / len(values)
    if len(rows) > 1:
        return mean, min(values), max(values)
    low, high = rows[0].low, rows[0].high
    return mean, mean if low is None else low, mean if high is None else high
