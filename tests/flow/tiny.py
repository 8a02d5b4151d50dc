"""A recipe so small that a test can carry it out in a second, and what two runs must share."""

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from evergrow.config import override
from evergrow.flow.pages import Carried
from evergrow.flow.recipes import carry_out
from evergrow.lineage import Measured
from evergrow.listener import Listener
from evergrow.objectives.lines import Probed
from evergrow.recipe import Recipe, decode_recipe
from evergrow.run import Run, root_of
from evergrow.scores.store import Score, losses, read_scores

SYLLABLES = {
    "land": ["tree", "root", "leaf", "moss", "stone", "hill"],
    "sea": ["wave", "salt", "tide", "reef", "sail", "foam"],
    "sky": ["cloud", "wind", "star", "rain", "moon", "dawn"],
}
PER_STEP = 128  # tokens: 4 windows of 32


def write_texts(folder: Path) -> Path:
    """Three folders of short texts, each of its own few words, the same every time."""
    for number, (name, syllables) in enumerate(SYLLABLES.items()):
        choose = random.Random(number)
        (folder / name).mkdir(parents=True)
        for i in range(24):
            words = [
                choose.choice(syllables) + choose.choice(["", "s", "ing", "-" + str(i)])
                for _ in range(150)
            ]
            (folder / name / f"{i:02d}.txt").write_text(" ".join(words) + "\n")
    return folder


RECIPE: dict[str, Any] = {
    "name": "tiny",
    "sources": {"land": {"files": ["land/*.txt"]}, "sea": {"files": ["sea/*.txt"]}},
    "held_out": {"fraction": 0.1, "tokens": 500},
    "tokenizer": {"vocab_size": 300},
    "model": {"preset": "olmo2", "hidden": 16, "layers": 2, "heads": 2},
    "train": {"sequence_length": 32, "batch_size": 4, "threads": 1, "log_every": 2},
    "schedule": {"kind": "infinite", "peak_lr": 3e-3, "anneal": {"fraction": 0.25}},
    "replay": {"fraction": 0.25},
    "stages": [
        {"name": "one", "data": "land", "tokens": 12 * PER_STEP},
        {"name": "two", "data": "sea", "tokens": 12 * PER_STEP},
    ],
    "evaluate": {"every": 5 * PER_STEP, "part": 500, "sample_tokens": 8},
    "checkpoints": {"every": 3 * PER_STEP},
}


def tiny(**changes: Any) -> Recipe:
    """The recipe with dotted changes; ``__`` stands for the dot."""
    data = copy.deepcopy(RECIPE)
    for path, value in changes.items():
        data = override(data, path.replace("__", "."), value)
    return decode_recipe(data)


def carry(
    recipe: Recipe, runs: Path, base: Path, listener: Listener | None = None, fresh: bool = False
) -> Carried:
    return carry_out(recipe, runs, base, listener or Listener(), fresh)


def run_of(carried: Carried, arm: str = "main") -> Run:
    return Run(carried.folder / arm)


RECORDS = ("metrics.jsonl", "evals.jsonl")


def contents(run: Path) -> dict[str, bytes]:
    """All that must not depend on interruptions, by path: records, checkpoints and releases."""
    paths = [run / name for name in (*RECORDS, "manifest.json")]
    paths += [p for part in ("checkpoints", "releases") for p in (run / part).rglob("*")]
    found = {p.relative_to(run).as_posix(): p.read_bytes() for p in sorted(paths) if p.is_file()}
    return found | scores_of(run)


def scores_of(run: Path) -> dict[str, bytes]:
    """The scores of the Run's own releases."""
    manifest = Run(run).manifest
    keys = [
        manifest.start.key,
        *(s.key for s in manifest.stages),
        *(b.key for b in manifest.branches),
    ]
    roots = [f / "scores" for f in (run.parent, run.parent.parent) if (f / "scores").is_dir()]
    files = [p for root in roots for key in keys for p in (root / key).glob("*")]
    return {f"scores/{p.parent.name}/{p.name}": p.read_bytes() for p in sorted(files)}


def assert_same(run: Path, other: Path) -> None:
    """Both hold the same files with the same bytes."""
    one, two = contents(run), contents(other)
    assert sorted(one) == sorted(two)
    assert [name for name in one if one[name] != two[name]] == []


def scores_at(run: Run, stage: str | None) -> list[Score]:
    """What was measured of a stage's release, or of the first model."""
    keys = {s.name: s.key for s in run.manifest.stages} | {
        b.name: b.key for b in run.manifest.branches
    }
    data = [Path(path).name for path in run.manifest.data.values()]
    key = run.manifest.start.key if stage is None else keys[stage]
    return read_scores(root_of(run), key, data)


def losses_at(run: Run, stage: str | None) -> dict[str, Measured]:
    """The losses of a stage's release, or of the first model, by source."""
    return losses(scores_at(run, stage))


def probes_at(run: Run, stage: str | None) -> list[Probed]:
    """The probes of a stage's release, or of the first model."""
    return [line for score in scores_at(run, stage) for line in score.probes]


class Killed(BaseException):
    """Stands for ``kill -9``: nothing catches it."""


@contextmanager
def killed_at(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, call: int = 1, after: bool = False
) -> Iterator[None]:
    """Inside, the ``call``-th call of ``where.name`` ends the process, before or after its work."""
    work = getattr(where, name)
    calls = 0

    def count(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls != call:
            return work(*args, **kwargs)
        if after:
            work(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(where, name, count)
        yield


def trunk(run: Run) -> list[dict[str, Any]]:
    """The steps of the trunk."""
    return [m for m in run.read("metrics") if m["leg"] == "trunk"]


def release(run: Run, name: str) -> bytes:
    """The weights of a release."""
    return (run.folder / "releases" / name / "model.safetensors").read_bytes()


def sky(base: Path) -> list[str]:
    """The files of the third stream."""
    return [str(base / "sky" / "*.txt")]
