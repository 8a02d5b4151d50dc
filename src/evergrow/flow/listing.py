"""Every Run there is: its state, how far it is, and the space it takes."""

from dataclasses import dataclass
from pathlib import Path

from evergrow.errors import EvergrowError
from evergrow.run import Run


@dataclass(frozen=True)
class Listed:
    """One Run in a list."""

    path: Path
    status: str
    stages: str
    tokens: int
    num_bytes: int


def list_runs(runs: Path) -> list[Listed]:
    """Every Run below ``runs``, by path."""
    found = sorted((*runs.glob("*/*/manifest.json"), *runs.glob("*/*/seed-*/manifest.json")))
    return [_listed(path.parent) for path in found]


def _listed(folder: Path) -> Listed:
    """A Run's state; one whose manifest is damaged or of another format is unreadable."""
    try:
        manifest = Run(folder).manifest
    except EvergrowError:
        return Listed(folder, "unreadable", "", 0, _size(folder))
    done = [stage for stage in manifest.stages if stage.status == "done"]
    tokens = sum(stage.tokens for stage in done)
    stages = f"{len(done)}/{len(manifest.stages)}"
    return Listed(folder, manifest.status, stages, tokens, _size(folder))


def _size(folder: Path) -> int:
    """Bytes below a Run's folder; a file linked into several runs counts in each."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
