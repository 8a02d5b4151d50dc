"""What all charts share: colours by name, markers, axes with round ticks, stage bands, thinning.

A colour is a CSS variable; the page gives it the value of the light or the dark palette, so that
one drawing serves both, and paper.
"""

import math
from collections.abc import Sequence

import numpy as np

from evergrow.report.chart import Axis, Band
from evergrow.report.folder import Arm, RunFolder
from evergrow.report.words import count

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
SYMBOLS = ("circle", "square", "diamond", "triangle", "pentagon", "cross", "saltire", "star")
# From the fifth arm on colours alone are too near to each other for a protanope.
DASHES = ("", "", "", "", "9 3", "2 3", "9 3 2 3", "5 5")
MAX_POINTS = 600
DASH = 11  # pixels of one arm's stripe where several share a curve
MAX_NAMED_BANDS = 8


def arm_color(number: int) -> str:
    """The colour of an arm, by its place, on the whole page."""
    return f"var(--arm-{number % NUM_ARM_COLORS})"


def arm_symbol(number: int) -> str:
    """Its marker, for those who do not go by colour."""
    return SYMBOLS[number % len(SYMBOLS)]


def arm_dash(number: int) -> str:
    """The dashes of its lines; "" for a whole line."""
    return DASHES[number % len(DASHES)]


def source_color(folder: RunFolder, source: str) -> str:
    """The colour of a source on the whole page."""
    return f"var(--source-{folder.sources.index(source) % NUM_SOURCE_COLORS})"


def thin(count: int, limit: int = MAX_POINTS) -> np.ndarray:
    """At most ``limit`` indices spread evenly over ``count`` points, both ends included."""
    if count == 0:
        return np.array([], dtype=int)
    return np.unique(np.linspace(0, count - 1, min(count, limit)).round().astype(int))


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart), about so many, from low to high."""
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * min((1, 2, 5, 10), key=lambda factor: abs(factor * power - rough))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [place * step for place in range(first, last + 1)]


def axis(low: float, high: float, title: str, about: int = 5) -> Axis:
    """An axis of numbers; labels have as many decimals as their distance needs, or a power."""
    places = ticks(low, high, about)
    step = places[1] - places[0] if len(places) > 1 else abs(high - low) or 1.0
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    labels = [f"{p:.0e}" if digits > 4 and p else f"{p:.{min(digits, 4)}f}" for p in places]
    return Axis(low, high, tuple(zip(places, labels, strict=True)), title)


def padded(values: Sequence[float]) -> tuple[float, float]:
    """A range with a little room around the finite values; 0 to 1 without any."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.0, 1.0
    room = max(0.07 * (max(finite) - min(finite)), 0.02)
    return min(finite) - room, max(finite) + room


def life_axis(arms: Sequence[Arm], counted: str) -> Axis:
    """The x axis of all charts over the life of the model: tokens from first to last stage."""
    first = min(arm.first.way[0].start for arm in arms)
    last = max(arm.first.way[-1].end for arm in arms)
    room = 0.012 * (last - first)
    places = tuple((place, count(place)) for place in ticks(first, last, 8))
    return Axis(first - room, last + room, places, counted)


def stage_bands(folder: RunFolder) -> tuple[Band, ...]:
    """The stages from border to border, every other shaded; named as far as there is room."""
    spans = max((arm.first.way for arm in folder.arms), key=len)
    every = math.ceil(len(spans) / MAX_NAMED_BANDS)
    return tuple(
        Band(span.start, span.end, "" if number % every else span.stage.name, number % 2 == 1)
        for number, span in enumerate(spans)
    )
