"""Every Run there is: its state, how far it is, and the space it takes."""

from dataclasses import dataclass
from pathlib import Path

from evergrow.errors import EvergrowError
from evergrow.flow.progress import saved_steps
from evergrow.run import Run, refuse_missing


@dataclass(frozen=True)
class Listed:
    """One Run in a list; ``tokens`` are those trained and saved, of stages under way too."""

    path: Path
    status: str
    stages: str
    tokens: int
    num_bytes: int


def list_runs(runs: Path) -> list[Listed]:
    """Every Run below ``runs``, by path. Raises InputError for a folder that is not there."""
    refuse_missing(runs, "go where your runs are kept, or name the folder with --runs")
    found = sorted((*runs.glob("*/*/manifest.json"), *runs.glob("*/*/seed-*/manifest.json")))
    return [_listed(path.parent) for path in found]


def _listed(folder: Path) -> Listed:
    """A Run's state; one whose manifest is damaged or of another format is unreadable."""
    try:
        run = Run(folder)
    except EvergrowError:
        return Listed(folder, "unreadable", "", 0, _size(folder))
    manifest = run.manifest
    done = [stage for stage in manifest.stages if stage.status == "done"]
    tokens = sum(_saved(run, index) for index in range(len(manifest.stages)))
    stages = f"{len(done)}/{len(manifest.stages)}"
    return Listed(folder, manifest.status, stages, tokens, _size(folder))


def _saved(run: Run, index: int) -> int:
    """Tokens of a stage's trunk that are trained and saved."""
    record = run.manifest.stages[index]
    return min(saved_steps(run, index), record.num_steps) * record.per_step


def _size(folder: Path) -> int:
    """Bytes below a Run's folder; a file linked into several runs counts in each."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
