"""What all charts share."""

import pytest

from evergrow.report.canvas import (
    DARK,
    LIGHT,
    NUM_ARM_COLORS,
    arm_dash,
    arm_symbol,
    axis,
    padded,
    thin,
    ticks,
)


def test_thinning_keeps_both_ends() -> None:
    assert thin(5, 10).tolist() == [0, 1, 2, 3, 4]
    picked = thin(10_000, 600)
    assert (picked[0], picked[-1], len(picked)) == (0, 9_999, 600)
    assert thin(0).tolist() == []


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0.0, 1.0, 5) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert ticks(1.93, 3.31, 5) == pytest.approx([2.0, 2.2, 2.4, 2.6, 2.8, 3.0, 3.2])
    assert ticks(0, 598_000, 8) == [50_000.0 * n for n in range(12)]
    assert ticks(2.0, 2.0, 5) == [2.0]


def test_labels_have_as_many_decimals_as_they_need() -> None:
    assert [label for _, label in axis(1.9, 3.3, "").ticks][:2] == ["2.0", "2.2"]
    assert [label for _, label in axis(0, 0.005, "", 5).ticks][:2] == ["0.000", "0.001"]
    assert [label for _, label in axis(0, 5e-5, "", 5).ticks][:2] == ["0.0000", "1e-05"]
    assert [label for _, label in axis(10, 30, "", 4).ticks] == ["10", "15", "20", "25", "30"]


def test_room_around_the_finite_values() -> None:
    assert padded([1.0, 2.0, float("nan")]) == pytest.approx((0.93, 2.07))
    assert padded([]) == (0.0, 1.0)


def test_arms_from_the_fifth_on_are_dashed_and_no_two_look_alike() -> None:
    dashes = [arm_dash(number) for number in range(NUM_ARM_COLORS)]
    assert dashes[:4] == [""] * 4
    assert len(set(dashes[4:])) == 4 and "" not in dashes[4:]
    assert len({arm_symbol(number) for number in range(NUM_ARM_COLORS)}) == NUM_ARM_COLORS


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
