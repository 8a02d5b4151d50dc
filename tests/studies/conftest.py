"""Run folders with made-up losses, in the real format."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from stage_records import stage_record

from evergrow.lineage import Measured
from evergrow.objectives.lines import Probed
from evergrow.run import Begin, Manifest, Run, StageRecord, Start, write_manifest
from evergrow.scores.store import Score, path_of, write_score

STEPS = 100  # a stage
PER_STEP = 64  # tokens
# stage, leg, step -> source -> loss; those of the leg "release" are scores, others quick looks
Losses = Mapping[tuple[str, str, int], Mapping[str, float]]
Probes = Mapping[str | None, Sequence[Probed]]  # by stage; None: of the first weights


def _stage(name: str, index: int, run: str) -> StageRecord:
    return stage_record(
        name,
        key=f"{run}-{name}",
        begin=Begin(kind="trunk", stage=index - 1) if index else Begin(kind="start"),
        path=list(range(index + 1)),
        first_step=index * STEPS,
        num_steps=STEPS,
        clock=index * STEPS * PER_STEP,
        per_step=PER_STEP,
    )


def _write_run(
    folder: Path,
    losses: Losses,
    stages: tuple[str, ...] = ("old", "new"),
    probes: Probes | None = None,
) -> Run:
    root, arm, seed = folder.parents[1], folder.parent.name, folder.name.removeprefix("seed-")
    own = f"{arm}-{seed}"
    sources = {source for found in losses.values() for source in found}
    manifest = Manifest(
        evergrow="0.1.0",
        commit=None,
        name="toy",
        arm=arm,
        seed=int(seed),
        recipe={},
        environment={},
        start=Start(source="a preset", kind="causal", key=f"{own}-start"),
        model={},
        data={source: f"data/{source}-0" for source in sources},
        stages=[_stage(name, index, own) for index, name in enumerate(stages)],
        status="done",
    )
    write_manifest(folder, manifest)
    (root / "data").mkdir(exist_ok=True)
    looks = []
    for (stage, leg, step), found in losses.items():
        for source, loss in found.items():
            if leg == "release":
                line = Measured(source=source, unit="bits per byte", loss=loss, low=loss, high=loss)
                _write_score(root, f"{own}-{stage}", source, losses=[line])
            else:
                place = {"stage": stage, "leg": leg, "step": step, "tokens": step * PER_STEP}
                looks.append({**place, "source": source, "loss": loss})
    (folder / "evals.jsonl").write_text("".join(json.dumps(line) + "\n" for line in looks))
    for stage, lines in (probes or {}).items():
        for source in {line.source for line in lines}:
            here = [line for line in lines if line.source == source]
            _write_score(root, f"{own}-{stage or 'start'}", source, probes=here)
    return Run(folder)


def _write_score(root: Path, release: str, source: str, **lines: Any) -> None:
    kind = "loss" if "losses" in lines else "probes"
    score = Score(release=release, kind=kind, data=f"{source}-0", made="0" * 12, **lines)
    write_score(path_of(root, release, kind, source, score.made), score)


@pytest.fixture
def write_run() -> Callable[..., Run]:
    """Writes a Run of 100 steps a stage; its arm and seed are read off the folder's name."""
    return _write_run
