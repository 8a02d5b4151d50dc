"""metrics.jsonl in a few hundred kilobytes, whatever its length: what pages and summaries read.

``digest.json`` stands beside the records and remembers how far it has read, so that whoever asks
next reads only the lines that came since. A run that went back to a checkpoint has other bytes
where it stopped: it is read anew.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3
from pydantic import ValidationError

from evergrow.config import Config
from evergrow.disk import read_object, sealed, write_file
from evergrow.errors import EvergrowError, InputError
from evergrow.stage.records import Step, parse_lines

FORMAT = 1
FILE = "digest.json"
MOST_BINS = 2048  # of a leg; more are joined two by two
LISTED = 100  # skipped steps that are named
WINDOW, FIRST_JUDGED, SIGMA = 1000, 128, 7.0  # of the spike score (OLMo 2, section 3)
CHUNK = 1 << 22  # bytes read at once


class Bin(Config):
    """Some steps of a leg in a row: the last one, a loss among them, and the sum of all losses."""

    step: int
    raw: float | None
    total: float = 0.0
    count: int = 0  # of losses that were learnt from

    @property
    def mean(self) -> float | None:
        """Their mean loss; None where none was learnt from."""
        return self.total / self.count if self.count else None


class Curve(Config):
    """The steps of one leg of a stage, ``width`` to a bin."""

    stage: str
    leg: str
    width: int = 1
    num_steps: int = 0
    bins: list[Bin] = []


class Skipped(Config):
    """A step that was skipped, and its loss."""

    stage: str
    leg: str
    step: int
    loss: float | None


class Digest(Config):
    """What was read of metrics.jsonl: so many bytes, the hash of the last of them, and the rest.

    ``norms`` are the last gradient norms of the trunk, from which ``num_spikes`` of ``num_judged``
    stuck out.
    """

    format: int = FORMAT
    offset: int = 0
    tail: str = ""
    curves: list[Curve] = []
    skipped: list[Skipped] = []
    num_skipped: int = 0
    norms: list[float] = []
    num_spikes: int = 0
    num_judged: int = 0

    def leg(self, stage: str, leg: str) -> Curve:
        """The steps of a leg, none where there are none yet."""
        found = (c for c in self.curves if (c.stage, c.leg) == (stage, leg))
        return next(found, Curve(stage=stage, leg=leg))

    @property
    def spike_score(self) -> float:
        """Percentage of the trunk's gradient norms that are spikes."""
        return 100 * self.num_spikes / self.num_judged if self.num_judged else 0.0


def read_digest(run: Path) -> Digest:
    """The digest of the Run in this folder, brought up to its last whole line and kept.

    Raises InputError for a damaged line.
    """
    path = run / "metrics.jsonl"
    if not path.is_file():
        return Digest()
    known = _known(run / FILE, path)
    found = _extended(known, path)
    if found.offset != known.offset:
        data = sealed(json.loads(found.model_dump_json(exclude_defaults=True)))
        write_file(run / FILE, json.dumps(data, separators=(",", ":")) + "\n")
    return found


def _known(path: Path, metrics: Path) -> Digest:
    """The digest that is there, if it is of these bytes; else an empty one."""
    try:
        found = Digest.model_validate(read_object(path, "it is made again"))
    except (EvergrowError, ValidationError):
        return Digest()
    is_same = found.format == FORMAT and found.tail == _tail(metrics, found.offset)
    return found if is_same else Digest()


def _tail(path: Path, offset: int) -> str:
    """A hash of the 4 kB before a place in a file; a shorter file has none."""
    if path.stat().st_size < offset:
        return ""
    with path.open("rb") as file:
        file.seek(max(0, offset - 4096))
        return blake3(file.read(min(offset, 4096))).hexdigest()[:32]


def _extended(known: Digest, path: Path) -> Digest:
    maker = _Maker(known)
    offset = known.offset
    for text in _whole_lines(path, offset):
        for step in parse_lines(text, Step, path):
            maker.add(step)
        offset += len(text.encode())
    if offset == known.offset:
        return known
    return maker.made(offset, _tail(path, offset))


def _whole_lines(path: Path, offset: int) -> Iterator[str]:
    """What follows ``offset`` in pieces of whole lines."""
    with path.open("rb") as file:
        file.seek(offset)
        rest = b""
        while piece := file.read(CHUNK):
            whole, end, rest = (rest + piece).rpartition(b"\n")
            if end:
                try:
                    yield (whole + end).decode()
                except UnicodeDecodeError as error:
                    raise InputError(f"{path}: damaged ({error}); run the recipe again") from error


class _Maker:
    """A digest that is being extended."""

    def __init__(self, known: Digest) -> None:
        self._digest = known
        self._curves = {(c.stage, c.leg): _Bins(c) for c in known.curves}
        self._skipped, self._num_skipped = list(known.skipped), known.num_skipped
        self._spikes = _Spikes(known)

    def add(self, step: Step) -> None:
        place = (step.stage, step.leg)
        if place not in self._curves:
            self._curves[place] = _Bins(Curve(stage=step.stage, leg=step.leg))
        self._curves[place].add(step)
        if step.leg == "trunk":
            self._spikes.add(step.grad_norm)
        if step.skipped:
            self._num_skipped += 1
            if len(self._skipped) < LISTED:
                told = {"stage": step.stage, "leg": step.leg, "step": step.step, "loss": step.loss}
                self._skipped.append(Skipped.model_validate(told))

    def made(self, offset: int, tail: str) -> Digest:
        return Digest(
            offset=offset,
            tail=tail,
            curves=[bins.made() for bins in self._curves.values()],
            skipped=self._skipped,
            num_skipped=self._num_skipped,
            norms=self._spikes.norms[-WINDOW:],
            num_spikes=self._spikes.num_spikes,
            num_judged=self._spikes.num_judged,
        )


class _Bins:
    """The bins of a leg while steps are added."""

    def __init__(self, curve: Curve) -> None:
        self._curve, self._width = curve, curve.width
        self._num_steps = curve.num_steps
        self._rows = [[b.step, b.raw, b.total, b.count] for b in curve.bins]

    def add(self, step: Step) -> None:
        learnt = step.loss is not None and not step.skipped
        if self._num_steps % self._width == 0:
            self._rows.append([step.step, step.loss, 0.0, 0])
        row = self._rows[-1]
        row[0] = step.step
        if learnt:
            row[2] += step.loss
            row[3] += 1
        self._num_steps += 1
        if len(self._rows) == MOST_BINS and self._num_steps % self._width == 0:
            self._rows = [_both(*self._rows[i : i + 2]) for i in range(0, MOST_BINS, 2)]
            self._width *= 2

    def made(self) -> Curve:
        bins = [Bin(step=s, raw=r, total=t, count=c) for s, r, t, c in self._rows]
        return Curve(
            stage=self._curve.stage,
            leg=self._curve.leg,
            width=self._width,
            num_steps=self._num_steps,
            bins=bins,
        )


def _both(first: list, second: list) -> list:
    return [second[0], first[1], first[2] + second[2], first[3] + second[3]]


class _Spikes:
    """Gradient norms that stick out of the window before them."""

    def __init__(self, known: Digest) -> None:
        self.norms = list(known.norms)
        self.num_spikes, self.num_judged = known.num_spikes, known.num_judged
        self._total = sum(self.norms)
        self._squares = sum(x * x for x in self.norms)

    def add(self, norm: float | None) -> None:
        """None, which is not finite, is a spike."""
        num = min(len(self.norms), WINDOW)
        if num >= FIRST_JUDGED:
            self.num_judged += 1
            mean = self._total / num
            deviation = max(0.0, self._squares / num - mean * mean) ** 0.5
            far = norm is None or abs(norm - mean) >= max(SIGMA * deviation, 1e-12)
            self.num_spikes += far
        if norm is None:
            return
        self.norms.append(norm)
        self._total += norm
        self._squares += norm * norm
        if len(self.norms) > WINDOW:
            gone = self.norms[-WINDOW - 1]
            self._total -= gone
            self._squares -= gone * gone
        if len(self.norms) > 8 * WINDOW:
            del self.norms[:-WINDOW]
            self._total = sum(self.norms)  # rounding does not pile up
            self._squares = sum(x * x for x in self.norms)
