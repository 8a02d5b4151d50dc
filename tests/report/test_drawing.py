"""SVG from charts: places by hand, gaps, what lies outside, and text that stays text."""

import re
from dataclasses import replace

import pytest

from evergrow.report.chart import Axis, Band, Bar, Chart, Line, Marks
from evergrow.report.drawing import SHAPES, draw, outline, readings, swatch

EMPTY = Chart("c", "a chart", 100, Axis(0.0, 200.0, ((50.0, "50"),), "tokens"), Axis(1.0, 3.0))


def test_a_line_is_drawn_to_scale_and_lifted_in_gaps() -> None:
    line = Line("a", 1, (0.0, 100.0, 150.0, 200.0), (3.0, 2.0, None, 1.0), width=1.5, dash="9 3")
    drawn = draw(replace(EMPTY, lines=(line,)))
    assert 'd="M0.0 0.0L500.0 50.0M1000.0 100.0"' in drawn
    assert "--arm: var(--arm-1); stroke-width: 1.5; stroke-dasharray: 9 3" in drawn
    assert 'x="25.00%"' in drawn and ">50</text>" in drawn


def test_a_filled_line_stands_on_the_axis() -> None:
    line = Line("a", 0, (0.0, 200.0), (2.0, 3.0), is_filled=True)
    drawn = draw(replace(EMPTY, lines=(line,)))
    assert 'd="M0.0 50.0L1000.0 0.0L1000.0 100L0.0 100Z"' in drawn


def test_a_mark_above_the_chart_is_an_arrow_with_its_number() -> None:
    marks = Marks("a", 0, (0.0, 100.0), (8.046, 2.0), "circle", is_hollow=True)
    drawn = draw(replace(EMPTY, marks=(marks,)))
    places = re.findall(r'class="mark hollow".*? x="([\d.]+%)" y="([\d.]+)"', drawn)
    assert places == [("0.00%", "7.0"), ("50.00%", "50.0")]
    assert '<text x="9" y="5">8.05</text>' in drawn
    assert drawn.count(outline("arrow", 4.5)) == drawn.count(outline("circle", 4.5)) == 1


def test_whiskers_bars_bands_and_rules() -> None:
    marks = Marks("a", 0, (100.0,), (2.0,), "square", whiskers=((50.0, 150.0),), titles=("t",))
    bar = Bar(0.0, 100.0, 1.0, 2.0, "text", "title", None, is_faint=True)
    bands = (Band(0.0, 100.0, "one", False), Band(100.0, 200.0, "", True))
    drawn = draw(replace(EMPTY, marks=(marks,), bars=(bar,), bands=bands, rules=(2.5,)))
    assert 'class="whisker"' in drawn and 'x1="25.00%" x2="75.00%" y1="50.0"' in drawn
    assert 'x="0.00%" width="50.00%" y="50.0" height="50.0"><title>title</title>' in drawn
    assert "fill: url(#hatch); opacity: .35" in drawn
    assert drawn.count('class="band"') == 1 and ">one</text>" in drawn
    assert 'y1="25.0"' in drawn and "<title>t</title>" in drawn


def test_names_stay_text() -> None:
    bad = "</svg><script>boom()</script>"
    bands = (Band(0.0, 1.0, bad, False),)
    bars = (Bar(0.0, 1.0, 1.0, 2.0, bad, bad, None),)
    drawn = draw(replace(EMPTY, label=bad, bands=bands, bars=bars))
    assert "<script" not in drawn
    assert drawn.count("&lt;script&gt;") == 4


def test_the_pointer_reads_six_digits_of_what_is_to_be_read() -> None:
    line = Line("a", 3, (1.23456789, 2.0), (None, float("nan")))
    raw = replace(line, is_read=False)
    found = readings(replace(EMPTY, lines=(line, raw)))
    assert len(found.lines) == 1
    assert (found.lines[0].x, found.lines[0].y, found.lines[0].arm) == (
        [1.23457, 2.0],
        [None] * 2,
        3,
    )
    assert (found.low, found.high, found.counted) == (0.0, 200.0, "tokens")


@pytest.mark.parametrize("symbol", ["circle", *SHAPES])
def test_every_marker_is_around_its_middle(symbol: str) -> None:
    numbers = [float(n) for n in re.findall(r"-?[\d.]+", outline(symbol, 5.0))]
    assert max(abs(n) for n in numbers) <= 10
    assert outline(symbol, 5.0).startswith("M") and outline(symbol, 5.0).endswith("Z")


def test_a_legend_shows_line_and_marker() -> None:
    assert "stroke-dasharray: 9 3" in swatch(4)
    assert "stroke-dasharray" not in swatch(0)
    assert swatch(4).count("<path") == 2
