"""What the probes of ``rewarm`` found, and its page: new loss gained against old loss lost."""

from pathlib import Path

from evergrow.config import Config
from evergrow.disk import write_file
from evergrow.report.canvas import axis, padded
from evergrow.report.chart import Baseline, Chart, Line, Marks
from evergrow.report.templates import templates
from evergrow.run import FORMAT

PAGE = "rewarm.html"


class Probe(Config):
    """A short training at one peak rate; losses in bits per byte, ``old`` by its name.

    ``gained`` is how far the new fell, ``lost`` how far the old rose on average.
    """

    name: str
    peak: float
    new: float
    old: dict[str, float]
    gained: float
    lost: float

    @property
    def net(self) -> float:
        """Gained less lost: a byte of the new and a byte of the old weigh the same."""
        return self.gained - self.lost


class Rewarmed(Config):
    """The whole of rewarm.json.

    ``before`` are the losses without training; ``grid`` says around which rate the probes lie, and
    who says so; ``floor`` is the probe at a constant lowest rate.
    """

    format: int = FORMAT
    model: str
    tokens: int
    grid: str
    rule: str
    before: dict[str, float]
    probes: list[Probe]
    floor: Probe
    peak: float
    why: str
    command: str


def write_rewarm(root: Path, found: Rewarmed) -> Path:
    """Write rewarm.json and its page into ``root``; returns the page."""
    write_file(root / "rewarm.json", found.model_dump_json(indent=1) + "\n")
    page = templates().get_template("rewarm.html.j2")
    write_file(root / PAGE, page.render(found=found, chart=trade(found)))
    return root / PAGE


def trade(found: Rewarmed) -> Chart:
    """A mark a peak rate, old lost to the right and new gained upwards; the proposed one is full.

    Along the dashed line as much is gained as lost.
    """
    probes = [*found.probes, found.floor]
    x = axis(*padded([0.0, *(p.lost for p in probes)]), "bits per byte lost on the old")
    y = axis(*padded([0.0, *(p.gained for p in probes)]), "gained on the new")
    low, high = max(x.low, y.low), min(x.high, y.high)
    even = (Baseline((low, low, high, high), "as much lost as gained"),) if high > low else ()
    grid = sorted(found.probes, key=lambda probe: probe.peak)
    line = Line(
        "by peak rate",
        0,
        tuple(probe.lost for probe in grid),
        tuple(probe.gained for probe in grid),
        is_read=False,
    )
    marks = tuple(_mark(probe, found) for probe in probes)
    label = "New loss gained against old loss lost, a mark a peak rate"
    return Chart("trade", label, 260, x, y, lines=(line,), marks=marks, baselines=even)


def _mark(probe: Probe, found: Rewarmed) -> Marks:
    said = "floor" if probe is found.floor else "peak"
    return Marks(
        f"{said} {probe.peak:.3g}",
        1 if probe is found.floor else 0,
        (probe.lost,),
        (probe.gained,),
        "square" if probe is found.floor else "circle",
        is_hollow=probe.peak != found.peak or probe is found.floor,
        is_read=False,
        titles=(f"{said} {probe.peak:.3g}: gained {probe.gained:.3f}, lost {probe.lost:.3f}",),
    )
