"""What all charts share."""

import pytest

from evergrow.report.canvas import DARK, LIGHT, NUM_ARM_COLORS, layout, plain, text, thin


def test_thinning_keeps_both_ends() -> None:
    assert thin(5, 10).tolist() == [0, 1, 2, 3, 4]
    picked = thin(10_000, 600)
    assert (picked[0], picked[-1], len(picked)) == (0, 9_999, 600)
    assert thin(0).tolist() == []


def test_numbers_are_fit_for_json() -> None:
    assert plain([1.23456789, float("nan"), float("inf"), -2.0]) == [1.23457, None, None, -2.0]


def test_names_cannot_use_plotlys_markup() -> None:
    assert text("<b>x</b>&") == "&lt;b&gt;x&lt;/b&gt;&amp;"


def test_layout_adds_to_an_axis_and_replaces_the_rest() -> None:
    made = layout(xaxis={"showgrid": False}, hovermode="closest")
    assert made["xaxis"]["showgrid"] is False
    assert made["xaxis"]["gridcolor"] == "@grid"
    assert made["hovermode"] == "closest"


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_can_be_seen(palette: dict[str, str]) -> None:
    """WCAG 2 contrast with the page: text 4.5, marks and lines of arms 3."""
    assert contrast(palette["ink"], palette["page"]) > 10
    assert contrast(palette["quiet"], palette["page"]) > 4.5
    assert contrast(palette["ink"], palette["heat"]) > 4.5
    for number in range(NUM_ARM_COLORS):
        assert contrast(palette[f"arm-{number}"], palette["page"]) > 3


def test_both_palettes_name_the_same_colours() -> None:
    assert LIGHT.keys() == DARK.keys()


def contrast(first: str, second: str) -> float:
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
