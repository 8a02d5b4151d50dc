"""Numbers as text."""

from evergrow.report.words import bits, count, fine, listing, reach, signed, size


def test_numbers_as_text() -> None:
    assert [count(n) for n in (0, 812, 8412.7, 179_200, 999_800, 2.5e9)] == [
        "0", "812", "8.41k", "179k", "1M", "2.5B"
    ]  # fmt: skip
    assert bits(-0.0594) == "\u22120.059"
    assert bits(None) == bits(float("nan")) == "\u2013"
    assert [size(n) for n in (812, 1_500_000)] == ["812 B", "1.5 MB"]
    assert listing(["a", "b", "c"]) == "a, b and c"


def test_differences_and_ranges() -> None:
    assert [signed(n) for n in (0.847, -0.5, -0.001)] == ["+0.85", "\u22120.50", "+0.00"]
    assert [fine(n) for n in (0.58, 0.0594)] == ["0.58", "0.059"]
    assert reach([0.664, 0.08]) == "0.08 to 0.66"
    assert reach([2.001, 2.002]) == "2.00"
