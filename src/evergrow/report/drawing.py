"""A chart drawn as SVG that needs no script: as wide as its place, with text of one size.

Across, everything stands at per cent of the width, so that a phone and a wide screen show the same
drawing; curves lie in a box of WIDE units that is stretched while their strokes are not. Down,
everything stands in pixels. Colours are CSS variables.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from markupsafe import Markup

from evergrow.report.canvas import arm_color, arm_dash, arm_symbol
from evergrow.report.chart import Axis, Bar, Baseline, Chart, Line, Marks, Value

WIDE = 1000
WIDE_LABEL = 0.97  # a label further right ends at its tick


def draw(chart: Chart) -> Markup:
    """The chart as one ``svg`` element; ``page.css`` has its colours and its margins."""
    parts = [
        *_bands(chart),
        *_grid(chart),
        *(_baseline(chart, baseline) for baseline in chart.baselines),
        *_curves(chart),
        *(_bar(chart, bar) for bar in chart.bars),
        *(part for marks in chart.marks for part in _marks(chart, marks)),
        *_labels(chart),
    ]
    return Markup(
        '<svg class="plot" role="img" aria-label="{}" style="height: {}px">{}</svg>'
    ).format(chart.label, chart.height, Markup("").join(parts))


def _across(axis: Axis, value: float) -> str:
    return f"{100 * axis.share(value):.2f}%"


def _down(chart: Chart, value: float) -> float:
    return round((1 - chart.y.share(value)) * chart.height, 1)


def _bands(chart: Chart) -> Iterator[Markup]:
    for band in chart.bands:
        left, right = chart.x.share(band.start), chart.x.share(band.end)
        if band.is_shaded:
            box = Markup('<rect class="band" x="{}" width="{:.2f}%" y="0" height="{}"/>')
            yield box.format(_across(chart.x, band.start), 100 * (right - left), chart.height)
        if band.name:
            name = Markup('<text class="quiet" x="{}" y="-7">{}</text>')
            yield name.format(_across(chart.x, band.start), band.name)


def _grid(chart: Chart) -> Iterator[Markup]:
    level = Markup('<line class="{}" x1="0" x2="100%" y1="{}" y2="{}"/>')
    if chart.grid == "y":
        for value, _ in chart.y.ticks:
            height = _down(chart, value)
            yield level.format("grid", height, height)
    for value, _ in chart.x.ticks if chart.grid == "x" else ():
        upright = Markup('<line class="grid" x1="{0}" x2="{0}" y1="0" y2="{1}"/>')
        yield upright.format(_across(chart.x, value), chart.height)
    for value in chart.rules:
        height = _down(chart, value)
        yield level.format("border", height, height)
    yield level.format("border", chart.height, chart.height)


def _baseline(chart: Chart, baseline: Baseline) -> Markup:
    """Named at its right end, above it."""
    x0, y0, x1, y1 = baseline.box
    across, down = (
        (_across(chart.x, x0), _across(chart.x, x1)),
        (_down(chart, y0), _down(chart, y1)),
    )
    return Markup(
        '<line class="baseline" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        '<text class="quiet" x="{}" y="{}" dx="-4" dy="-4" text-anchor="end">{}</text>'
    ).format(*across, *down, across[1], down[1], baseline.name)


def _curves(chart: Chart) -> Iterator[Markup]:
    """All lines in one stretched box, which cuts off what lies outside of the axes."""
    if not chart.lines:
        return
    box = Markup(
        '<svg class="curves" viewBox="0 0 {} {}" width="100%" height="{}" '
        'preserveAspectRatio="none">{}</svg>'
    )
    paths = Markup("").join(part for line in chart.lines for part in _curve(chart, line))
    yield box.format(WIDE, chart.height, chart.height, paths)


def _curve(chart: Chart, line: Line) -> Iterator[Markup]:
    drawn = _path(chart, line.x, line.y)
    if not drawn:
        return
    if line.is_filled:
        ends = [f"{WIDE * chart.x.share(x):.1f}" for x in (line.x[-1], line.x[0])]
        floor = f"L{ends[0]} {chart.height}L{ends[1]} {chart.height}Z"
        fill = Markup('<path class="fill" data-arm="{}" style="--arm: {}" d="{}{}"/>')
        yield fill.format(line.arm, arm_color(line.arm), drawn, floor)
    dash = f"; stroke-dasharray: {line.dash}" if line.dash else ""
    faint = f"; opacity: {line.opacity:g}" if line.opacity != 1 else ""
    yield Markup('<path data-arm="{}" style="--arm: {}; stroke-width: {:g}{}{}" d="{}"/>').format(
        line.arm, arm_color(line.arm), line.width, dash, faint, drawn
    )


def _path(chart: Chart, xs: Iterable[float], ys: Iterable[Value]) -> str:
    """The way of a pen through the points, lifted in gaps."""
    found, is_down = [], False
    for x, y in zip(xs, ys, strict=True):
        if y is None or not math.isfinite(y):
            is_down = False
            continue
        found.append(
            f"{'L' if is_down else 'M'}{WIDE * chart.x.share(x):.1f} {_down(chart, y):.1f}"
        )
        is_down = True
    return "".join(found)


def _bar(chart: Chart, bar: Bar) -> Markup:
    """A rectangle that cuts off its own text."""
    left, width = chart.x.share(bar.start), chart.x.share(bar.end) - chart.x.share(bar.start)
    top, bottom = _down(chart, bar.top), _down(chart, bar.base)
    look = f"fill: {bar.color}" if bar.color else "fill: url(#hatch)"
    faint = "; opacity: .35" if bar.is_faint else ""
    return Markup(
        '<svg class="share" x="{:.2f}%" width="{:.2f}%" y="{}" height="{}"><title>{}</title>'
        '<rect width="100%" height="100%" style="{}{}"/>'
        '<text x="50%" y="50%" dy=".35em" text-anchor="middle">{}</text></svg>'
    ).format(100 * left, 100 * width, top, bottom - top, bar.title, look, faint, bar.text)


def _marks(chart: Chart, marks: Marks) -> Iterator[Markup]:
    for low_high, y in zip(marks.whiskers, marks.y, strict=False):
        whisker = Markup(
            '<line class="whisker" data-arm="{}" style="--arm: {}" x1="{}" x2="{}" '
            'y1="{y}" y2="{y}"/>'
        )
        ends = [_across(chart.x, value) for value in low_high]
        yield whisker.format(marks.arm, arm_color(marks.arm), *ends, y=_down(chart, y))
    for place, (x, y) in enumerate(zip(marks.x, marks.y, strict=True)):
        title = marks.titles[place] if marks.titles else ""
        yield _mark(chart, marks, x, y, title)


def _mark(chart: Chart, marks: Marks, x: float, y: float, title: str) -> Markup:
    """One mark; one above the chart is an arrow at its edge, with its number beside it."""
    is_above = chart.y.share(y) > 1
    height = 7.0 if is_above else _down(chart, y)
    symbol = "arrow" if is_above else marks.symbol
    said = Markup('<text x="9" y="5">{:.2f}</text>').format(y) if is_above else Markup("")
    told = Markup("<title>{}</title>").format(title) if title else Markup("")
    return Markup(
        '<svg class="mark{}" data-arm="{}" style="--arm: {}" x="{}" y="{}">{}<path d="{}"/>{}</svg>'
    ).format(
        " hollow" if marks.is_hollow else "",
        marks.arm,
        arm_color(marks.arm),
        _across(chart.x, x),
        height,
        told,
        outline(symbol, marks.size / 2),
        said,
    )


@dataclass(frozen=True)
class Shape:
    """A polygon of ``corners`` around its middle; ``inner`` pulls in every other point."""

    corners: int
    turn: float = 0.0  # of the first corner, clockwise from straight up, in degrees
    inner: float | None = None
    reach: float = 1.2


SHAPES = {
    "square": Shape(4, 45, reach=1.3),
    "diamond": Shape(4, reach=1.3),
    "triangle": Shape(3, reach=1.3),
    "pentagon": Shape(5),
    "cross": Shape(4, inner=0.45, reach=1.4),
    "saltire": Shape(4, 45, 0.45, 1.4),
    "star": Shape(5, inner=0.45, reach=1.4),
    "arrow": Shape(3, inner=0.2, reach=1.5),
}


def outline(symbol: str, radius: float) -> str:
    """The path of a marker around 0, 0; a circle, or one of SHAPES."""
    if symbol == "circle":
        return f"M{-radius:g} 0a{radius:g} {radius:g} 0 1 0 {2 * radius:g} 0a{radius:g} {radius:g} 0 1 0 {-2 * radius:g} 0Z"  # noqa: E501
    shape = SHAPES[symbol]
    steps = shape.corners * (2 if shape.inner else 1)
    points = []
    for place in range(steps):
        reach = radius * shape.reach * (shape.inner if shape.inner and place % 2 else 1.0)
        angle = math.radians(shape.turn + 360 * place / steps)
        points.append(f"{reach * math.sin(angle):.1f} {-reach * math.cos(angle):.1f}")
    return f"M{'L'.join(points)}Z"


def swatch(number: int) -> Markup:
    """An arm's line and marker, as a legend shows them; ``number`` is its place."""
    dash = f"; stroke-dasharray: {arm_dash(number)}" if arm_dash(number) else ""
    return Markup(
        '<svg class="swatch" width="24" height="12" viewBox="-12 -6 24 12" aria-hidden="true" '
        'style="--arm: {}"><path d="M-12 0H12" style="stroke-width: 2{}"/><path class="point" '
        'd="{}"/></svg>'
    ).format(arm_color(number), dash, outline(arm_symbol(number), 3.4))


def _labels(chart: Chart) -> Iterator[Markup]:
    """Ticks and titles of both axes."""
    below = Markup('<text class="tick{}" x="{}" y="{}" text-anchor="{}">{}</text>')
    for place, (value, label) in enumerate(chart.x.ticks):
        anchor = "end" if chart.x.share(value) > WIDE_LABEL else "middle"
        odd = " odd" if place % 2 else ""
        yield below.format(odd, _across(chart.x, value), chart.height + 17, anchor, label)
    if chart.x.title:
        title = Markup('<text class="tick" x="100%" y="{}" text-anchor="end">{}</text>')
        yield title.format(chart.height + 34, chart.x.title)
    for value, label in chart.y.ticks:
        if chart.has_rows:
            yield Markup('<text class="row" x="0" y="{}">{}</text>').format(
                _down(chart, value), label
            )
        else:
            height = _down(chart, value) + 4
            yield Markup('<text class="tick" x="-8" y="{}" text-anchor="end">{}</text>').format(
                height, label
            )
    if chart.y.title:
        upright = Markup(
            '<text class="tick" text-anchor="middle" transform="translate(-54 {}) rotate(-90)">'
            "{}</text>"
        )
        yield upright.format(chart.height / 2, chart.y.title)


@dataclass(frozen=True)
class Reading:
    """A curve or a row of marks, as the pointer reads it."""

    name: str
    arm: int
    x: list[float]
    y: list[Value]


@dataclass(frozen=True)
class Readings:
    """What a chart tells the pointer: its x axis, and what lies above it."""

    low: float
    high: float
    counted: str
    lines: list[Reading]
    marks: list[Reading]


def readings(chart: Chart) -> Readings:
    """The numbers behind a drawing, of six digits; gaps are None."""
    lines = [_reading(line) for line in chart.lines if line.is_read]
    marks = [_reading(mark) for mark in chart.marks if mark.is_read]
    return Readings(chart.x.low, chart.x.high, chart.x.title, lines, marks)


def _reading(drawn: Line | Marks) -> Reading:
    xs = [_short(x) for x in drawn.x]
    ys = [None if y is None or not math.isfinite(y) else _short(y) for y in drawn.y]
    return Reading(drawn.name, drawn.arm, xs, ys)


def _short(value: float) -> float:
    return float(f"{value:.6g}")
