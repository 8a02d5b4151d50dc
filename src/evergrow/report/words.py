"""Numbers as text."""

import math
from collections.abc import Sequence

MINUS, DASH = "\u2212", "\u2013"


def bits(value: float | None) -> str:
    """Bits per byte with three decimals; a dash when there is no number."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:.3f}".replace("-", MINUS)


def signed(value: float) -> str:
    """A difference with its sign and two decimals; what rounds to nothing has a plus."""
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", MINUS)


def count(value: float | None) -> str:
    """A count in three digits: 812, 8.12k, 540k, 1.2M."""
    if value is None or not math.isfinite(value):
        return DASH
    if value >= 1e15:
        return f"{value:.3g}"
    for factor, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= factor * 0.9995:
            return f"{value / factor:.3g}{letter}"
    return f"{value:.3g}" if value != round(value) else str(round(value))


def size(num_bytes: float) -> str:
    """Bytes as B, kB, MB, GB (powers of ten)."""
    for factor, letter in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if num_bytes >= factor:
            return f"{num_bytes / factor:.3g} {letter}"
    return f"{num_bytes:.0f} B"


def listing(names: Sequence[str], last: str = "and") -> str:
    """``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def plural(number: int, noun: str, several: str = "") -> str:
    """``1 arm``, ``3 arms``; ``several`` where an s is not enough."""
    return f"{number} {noun}" if number == 1 else f"{number} {several or noun + 's'}"


def fine(value: float) -> str:
    """A size with two decimals, three below a tenth."""
    return (f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}").replace("-", MINUS)


def reach(values: Sequence[float]) -> str:
    """``0.08 to 0.66``, or one number where both ends read the same."""
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return (low if low == high else f"{low} to {high}").replace("-", MINUS)
