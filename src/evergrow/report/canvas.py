"""What all charts share: colours by name, axes, stage bands, thinning of lines.

A colour in a figure is ``@name`` or ``@name/opacity``; the page puts in the value of the light or
the dark palette, so that one figure serves both and the screen can change while it is open.
"""

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from evergrow.report.folder import Arm, RunFolder

Figure = dict[str, Any]

# Arms: after Okabe & Ito 2008 (distinct with every common colour blindness), darkened for white
# paper and lightened for a dark screen. Sources: muted, so that nobody takes one for an arm.
LIGHT = {
    "page": "#ffffff", "card": "#ffffff", "ink": "#1d2329", "quiet": "#5d6873", "line": "#dde2e6",
    "grid": "#edf0f2", "band": "#f5f7f8", "heat": "#f2a65a",
    "alert": "#a3341c", "replay": "#aab3bb",
    "arm-0": "#0a6ebd", "arm-1": "#cf5a00", "arm-2": "#1f9a55", "arm-3": "#a8467f",
    "arm-4": "#8c6d00", "arm-5": "#2a93c9", "arm-6": "#6b5bb5", "arm-7": "#59636c",
    "source-0": "#b4c9de", "source-1": "#ead3a7", "source-2": "#bdd6b9",
    "source-3": "#dcc3d2", "source-4": "#cbc6e3", "source-5": "#d3ccc2",
}  # fmt: skip
DARK = {
    "page": "#14181c", "card": "#1b2025", "ink": "#e6eaed", "quiet": "#9aa5af", "line": "#333b43",
    "grid": "#262d33", "band": "#1b2126", "heat": "#945012",
    "alert": "#f0876f", "replay": "#6a747d",
    "arm-0": "#5cacee", "arm-1": "#f28e45", "arm-2": "#58c97f", "arm-3": "#df8fc0",
    "arm-4": "#d9b83a", "arm-5": "#8fd3f4", "arm-6": "#ab9df0", "arm-7": "#aab4bd",
    "source-0": "#3c5670", "source-1": "#6b5530", "source-2": "#41604a",
    "source-3": "#63475a", "source-4": "#4d476b", "source-5": "#59534a",
}  # fmt: skip
NUM_ARM_COLORS = 8
NUM_SOURCE_COLORS = 6
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "pentagon", "cross", "x", "star")
MAX_POINTS = 600
DASH = 11  # pixels of one arm's stripe where several share a curve
MAX_NAMED_BANDS = 8


def arm_color(arm: Arm) -> str:
    """The arm's colour on the whole page."""
    return f"@arm-{arm.color % NUM_ARM_COLORS}"


def arm_symbol(arm: Arm) -> str:
    """The arm's marker, for those who do not go by colour."""
    return SYMBOLS[arm.color % len(SYMBOLS)]


def source_color(folder: RunFolder, source: str) -> str:
    """The colour of a source on the whole page."""
    return f"@source-{folder.sources.index(source) % NUM_SOURCE_COLORS}"


def text(value: str) -> str:
    """A name as plotly must get it: its own small markup language is switched off."""
    return html.escape(value, quote=False)


def plain(values: Sequence[float] | np.ndarray) -> list[float | None]:
    """Numbers fit for JSON: six significant digits, gaps for what is not finite."""
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]


def thin(count: int, limit: int = MAX_POINTS) -> np.ndarray:
    """At most ``limit`` indices spread evenly over ``count`` points, both ends included."""
    if count == 0:
        return np.array([], dtype=int)
    return np.unique(np.linspace(0, count - 1, min(count, limit)).round().astype(int))


def layout(**more: Any) -> dict[str, Any]:
    """The look of every chart; ``more`` adds or replaces."""
    axis = {"gridcolor": "@grid", "linecolor": "@line", "zeroline": False, "automargin": True,
            "tickfont": {"color": "@quiet", "size": 12}, "fixedrange": True,
            "spikecolor": "@quiet", "spikethickness": 1, "spikedash": "solid"}  # fmt: skip
    basis: dict[str, Any] = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "@ink"},
        "margin": {"l": 48, "r": 12, "t": 26, "b": 36},
        "showlegend": False,
        "hovermode": "x unified",
        "hoverlabel": {"bgcolor": "@card", "bordercolor": "@line", "font": {"color": "@ink"}},
        "xaxis": axis,
        "yaxis": axis,
    }
    for key, value in more.items():
        basis[key] = {**basis.get(key, {}), **value} if isinstance(value, dict) else value
    return basis


def life_axis(folder: RunFolder) -> dict[str, Any]:
    """The x axis of all charts over the life of the model: tokens from first to last stage."""
    first = min(arm.first.way[0].start for arm in folder.arms)
    last = max(arm.first.way[-1].end for arm in folder.arms)
    room = 0.012 * (last - first)
    return {"range": [first - room, last + room], "tickformat": "~s", "fixedrange": False,
            "showgrid": False, "nticks": 9}  # fmt: skip


def stage_bands(folder: RunFolder) -> dict[str, Any]:
    """Every other stage shaded and, as far as there is room, named on top."""
    spans = max((arm.first.way for arm in folder.arms), key=len)
    shapes = [
        {"type": "rect", "xref": "x", "yref": "paper", "x0": span.start, "x1": span.end,
         "y0": 0, "y1": 1, "fillcolor": "@band", "line": {"width": 0}, "layer": "below"}
        for number, span in enumerate(spans) if number % 2
    ]  # fmt: skip
    every = math.ceil(len(spans) / MAX_NAMED_BANDS)
    names = [
        {"x": span.start, "y": 1, "xref": "x", "yref": "paper", "xanchor": "left",
         "yanchor": "bottom", "text": text(span.stage.name), "showarrow": False,
         "font": {"color": "@quiet", "size": 12}}
        for span in spans[::every]
    ]  # fmt: skip
    return {"shapes": shapes, "annotations": names}
