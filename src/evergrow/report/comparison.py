"""Runs beside one another: what their recipes differ in, what each stream came to, their curves."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from evergrow.disk import write_file
from evergrow.errors import InputError
from evergrow.report.arms_table import changes_of
from evergrow.report.canvas import life_axis
from evergrow.report.chart import Axis, Chart
from evergrow.report.drawing import readings
from evergrow.report.figures_life import with_losses
from evergrow.report.folder import Arm, RunFolder, read_run_folder
from evergrow.report.matrix import final_scores
from evergrow.report.templates import templates
from evergrow.report.words import listing
from evergrow.stage.changes import Change
from evergrow.statistics import t_interval

PAGE = "compare.html"
Interval = tuple[float, float] | None


@dataclass(frozen=True)
class Side:
    """One arm of one run among those compared; ``arm`` carries its label and its colour here."""

    folder: RunFolder
    arm: Arm

    @property
    def label(self) -> str:
        return self.arm.name


@dataclass(frozen=True)
class StreamRow:
    """What one stream came to in one run: losses, and how far it rose again.

    Intervals are 95 %: over seeds where there are several, else over what is held out; a rise has
    one over seeds only.
    """

    run: str
    stream: str
    role: str
    unit: str
    before: float | None
    after: float | None
    after_interval: Interval
    forgotten: float | None
    forgotten_interval: Interval


@dataclass(frozen=True)
class Difference:
    """A setting that is not the same everywhere: its dotted key, and its value in each run."""

    key: str
    values: list[str]


@dataclass(frozen=True)
class Comparison:
    """Everything that is said of some runs; ``warnings`` are reasons not to compare numbers."""

    sides: list[Side]
    rows: list[StreamRow]
    differences: list[Difference]
    warnings: list[str]


def read_comparison(places: Sequence[tuple[Path, str | None]]) -> Comparison:
    """Compare arms, each named by its recipe's folder and its name (None: all arms there).

    Raises InputError for fewer than two arms, an arm that is not there, and a folder without a run.
    """
    folders = {root: read_run_folder(root) for root, _ in places}
    found = [(folders[root], arm) for root, name in places for arm in _arms(folders[root], name)]
    if len(found) < 2:
        raise InputError("compare: name two runs or more, or one that has several arms")
    sides = [
        Side(folder, replace(arm, name=_label(folder, arm), color=number))
        for number, (folder, arm) in enumerate(found)
    ]
    rows = [row for side in sides for row in _rows(side)]
    return Comparison(sides, rows, _differences(sides), list(_warnings(sides)))


def _arms(folder: RunFolder, name: str | None) -> list[Arm]:
    if name is None:
        return folder.arms
    found = [arm for arm in folder.arms if arm.name == name]
    if not found:
        names = listing([arm.name for arm in folder.arms])
        raise InputError(f"{folder.root}/{name}: no arm of this run; it has {names}")
    return found


def _label(folder: RunFolder, arm: Arm) -> str:
    return folder.name if len(folder.arms) == 1 else f"{folder.name}/{arm.name}"


def _rows(side: Side) -> Iterator[StreamRow]:
    for change in changes_of(side.arm):
        end = change.last
        yield StreamRow(
            side.label,
            change.stream,
            "learnt" if change.is_learnt else "measured only",
            side.folder.unit,
            change.first.loss if change.first else None,
            end.loss if end else None,
            _end_interval(side.arm, change.stream),
            change.rise,
            _over_seeds([c.rise for c in _by_seed(side.arm, change.stream)]),
        )


def _by_seed(arm: Arm, stream: str) -> list[Change]:
    seeds = arm.scores.seeds.values() if arm.scores else []
    return [change for scores in seeds for change in scores.changes if change.stream == stream]


def _end_interval(arm: Arm, stream: str) -> Interval:
    """Of the last release's loss."""
    over_seeds = _over_seeds([c.last.loss if c.last else None for c in _by_seed(arm, stream)])
    found = final_scores(arm, stream)
    if over_seeds or len(found) != 1:
        return over_seeds
    return found[0].low, found[0].high


def _over_seeds(values: Sequence[float | None]) -> Interval:
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return None
    found = t_interval(known)
    return found.low, found.high


MADE_OF = ("sources.", "corpora.")
SAME_FOR_ALL = {"name", "description", "arms", "workers"}  # what a recipe is called, not what it is


def _differences(sides: Sequence[Side]) -> list[Difference]:
    """What a run is made of (sources, corpora) last; one that only some have is a row."""
    settings = [dict(_flat(side.arm.first.manifest.recipe)) for side in sides]
    keys = dict.fromkeys(_whole(key, settings) for found in settings for key in found)
    rows = [Difference(key, [_told(key, found) for found in settings]) for key in keys]
    differing = [row for row in rows if len(set(row.values)) > 1]
    return sorted(differing, key=lambda row: row.key.startswith(MADE_OF))


def _whole(key: str, settings: Sequence[Mapping[str, str]]) -> str:
    """The key, or the source it belongs to where a run has no such source."""
    parts = key.split(".")
    if not key.startswith(MADE_OF):
        return key
    of = ".".join(parts[:2])
    return key if all(_told(of, found) for found in settings) else of


def _told(key: str, settings: Mapping[str, str]) -> str:
    """A setting; of a whole source its first one."""
    below = [value for name, value in settings.items() if name.startswith(f"{key}.")]
    return settings.get(key) or (below[0] if below else "")


def _flat(data: Mapping[str, JsonValue]) -> Iterator[tuple[str, str]]:
    """Dotted keys and values as text."""
    for key, value in data.items():
        if key not in SAME_FOR_ALL:
            yield from _flat_value(key, value)


def _flat_value(key: str, value: JsonValue) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from _flat_value(f"{key}.{name}", part)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for place, part in enumerate(value):
            yield from _flat_value(f"{key}.{place}", part)
    elif value not in (None, {}, []):
        yield key, str(value)


def _warnings(sides: Sequence[Side]) -> Iterator[str]:
    units = {side.folder.unit for side in sides}
    if len(units) > 1:
        yield f"Losses are in {listing(sorted(units))}: compare only those of one unit."
    for source in _sources(sides):
        data = {name for side in sides if (name := side.arm.first.manifest.data.get(source))}
        if len(data) > 1:
            yield f"{source} is other data in some of these runs, so its losses are not comparable."
    lengths = {side.arm.first.way[-1].end for side in sides}
    if len(lengths) > 1:
        yield "They read different amounts: curves end at different places."


def _sources(sides: Sequence[Side]) -> list[str]:
    return list(dict.fromkeys(source for side in sides for source in side.folder.sources))


def write_comparison(found: Comparison, folder: Path) -> Path:
    """Write ``compare.html`` into ``folder``; returns its path."""
    charts = list(_charts(found.sides))
    page = templates().get_template("compare.html.j2")
    text = page.render(
        found=found,
        charts=charts,
        figures={chart.name: asdict(readings(chart)) for chart in charts},
        written=datetime.now(UTC),
    )
    target = folder / PAGE
    write_file(target, text)
    return target


def _charts(sides: Sequence[Side]) -> Iterator[Chart]:
    """The curves of every source laid over one another."""
    for number, source in enumerate(_sources(sides)):
        own = [side for side in sides if source in side.folder.sources]
        folder = own[0].folder
        arms = [side.arm for side in own]
        chart = Chart(
            f"loss-{number}",
            f"{folder.unit.capitalize()} of {source} along {folder.counted}",
            220,
            life_axis(arms, folder.counted),
            Axis(0.0, 1.0, title=folder.unit),
            title=source,
        )
        drawn = with_losses(chart, arms, source)
        if not drawn.is_empty:
            yield drawn


def as_csv(found: Comparison) -> str:
    """The rows of streams, a line each, intervals as two columns."""
    out = io.StringIO()
    heads = ("run", "stream", "role", "unit", "before", "after", "after_low", "after_high",
             "forgotten", "forgotten_low", "forgotten_high")  # fmt: skip
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    for row in found.rows:
        ends = row.after_interval or (None, None)
        rises = row.forgotten_interval or (None, None)
        facts = (row.run, row.stream, row.role, row.unit, row.before, row.after)
        writer.writerow([*facts, *ends, row.forgotten, *rises])
    return out.getvalue()
