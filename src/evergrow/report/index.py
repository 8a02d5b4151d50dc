"""One page of all runs below a folder: their state, what they learnt and forgot, sorted at will."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from evergrow.disk import write_file
from evergrow.errors import InputError
from evergrow.report.folder import has_runs
from evergrow.report.templates import templates
from evergrow.stage.summary import ArmSummary, read_summary

PAGE = "index.html"


@dataclass(frozen=True)
class Listed:
    """A run's line. ``average`` and ``forgotten`` are those of the arm that ends lowest.

    None: not measured yet. ``page`` is its report relative to the index, "" without one.
    """

    name: str
    page: str
    status: str
    changed: datetime
    arms: int
    seeds: int
    streams: str
    unit: str
    average: float | None
    forgotten: float | None
    tokens: float | None


def write_index(runs: Path) -> Path:
    """Write ``index.html`` into the folder of runs; returns its path."""
    page = templates().get_template("index.html.j2")
    found = sorted(list_folders(runs), key=lambda one: one.changed, reverse=True)
    target = runs / PAGE
    write_file(target, page.render(runs=found, written=datetime.now(UTC)))
    return target


def list_folders(runs: Path) -> list[Listed]:
    """Every recipe's folder below ``runs``, by name; a damaged one is called unreadable."""
    return [_listed(folder) for folder in sorted(runs.iterdir()) if _is_run(folder)]


def _is_run(folder: Path) -> bool:
    return folder.is_dir() and ((folder / "summary.json").exists() or has_runs(folder))


def _listed(folder: Path) -> Listed:
    path = folder / "summary.json"
    page = f"{folder.name}/report.html" if (folder / "report.html").exists() else ""
    if not path.exists():
        return Listed(folder.name, page, "begun", _changed(folder), 0, 0, "", "", None, None, None)
    try:
        summary = read_summary(folder)
    except InputError:
        changed = _changed(path)
        return Listed(folder.name, page, "unreadable", changed, 0, 0, "", "", None, None, None)
    best = min(summary.arms.values(), key=_last, default=None)
    return Listed(
        folder.name,
        page,
        summary.status,
        _changed(path),
        len(summary.arms),
        len(summary.seeds),
        ", ".join(summary.streams),
        summary.unit,
        best.average if best else None,
        _rise(best) if best else None,
        best.num_tokens if best else None,
    )


def _last(arm: ArmSummary) -> float:
    return float("inf") if arm.average is None else arm.average


def _rise(arm: ArmSummary) -> float | None:
    rises = [change.rise for change in arm.changes if change.rise is not None]
    return sum(rises) / len(rises) if rises else None


def _changed(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
