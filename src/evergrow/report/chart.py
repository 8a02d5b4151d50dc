"""A chart as plain records: axes, bands, lines, marks and bars; `drawing.py` makes SVG of it."""

from dataclasses import dataclass

Value = float | None


@dataclass(frozen=True)
class Axis:
    """A range, its ticks with their labels, and what it counts."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...] = ()
    title: str = ""

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the low end and 1 at the high one."""
        return (value - self.low) / (self.high - self.low) if self.high != self.low else 0.5


@dataclass(frozen=True)
class Band:
    """A stage behind the curves."""

    start: float
    end: float
    name: str
    is_shaded: bool


@dataclass(frozen=True)
class Line:
    """A curve of one arm; y is None in a gap. One that ``is_read`` answers the pointer."""

    name: str
    arm: int
    x: tuple[float, ...]
    y: tuple[Value, ...]
    width: float = 2.0
    dash: str = ""
    opacity: float = 1.0
    is_filled: bool = False
    is_read: bool = True


@dataclass(frozen=True)
class Marks:
    """Points of one arm; ``whiskers`` are their intervals along x, ``titles`` show on hovering.

    A mark above the chart stands at its upper edge with its number.
    """

    name: str
    arm: int
    x: tuple[float, ...]
    y: tuple[float, ...]
    symbol: str
    size: float = 9.0
    is_hollow: bool = False
    is_read: bool = True
    whiskers: tuple[tuple[float, float], ...] = ()
    titles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bar:
    """A rectangle between shares of the height; without ``color`` it is hatched."""

    start: float
    end: float
    base: float
    top: float
    text: str
    title: str
    color: str | None
    is_faint: bool = False


@dataclass(frozen=True)
class Baseline:
    """A quiet dashed line from one corner of ``box`` (x, y, x, y) to the other, with a name."""

    box: tuple[float, float, float, float]
    name: str


@dataclass(frozen=True)
class Chart:
    """A drawing with its place on the page; ``label`` is read aloud where it cannot be seen.

    ``height`` is that of the plot in pixels, without its axes; ``arms`` are named above it.
    """

    name: str
    label: str
    height: int
    x: Axis
    y: Axis
    bands: tuple[Band, ...] = ()
    lines: tuple[Line, ...] = ()
    marks: tuple[Marks, ...] = ()
    bars: tuple[Bar, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    rules: tuple[float, ...] = ()  # borders between rows, at these y
    grid: str = "y"  # the axis whose ticks have lines
    has_rows: bool = False  # the labels of y stand above their rows, inside
    title: str = ""
    arms: tuple[int, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        drawn = [*(line.x for line in self.lines), *(mark.x for mark in self.marks)]
        return not any(drawn) and not self.bars
