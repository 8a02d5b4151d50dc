"""Run folders with made-up losses, in the real format."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from evergrow.run import Ledger, Manifest, Run, StageRecord, write_manifest

STEPS = 100  # a stage
Losses = Mapping[tuple[str, str, int], Mapping[str, float]]  # stage, leg, step -> source -> loss


def _stage(name: str, index: int) -> StageRecord:
    return StageRecord(
        name=name,
        key=f"{name}-{index}",
        parent=None,
        status="done",
        first_step=index * STEPS,
        num_steps=STEPS,
        fork_step=None,
        tokens=STEPS * 64,
        mixture={name: 1.0},
        replay={},
        schedule=[],
        release_schedule=None,
        ledger=Ledger(shares={}, replay_shares=(0, 1), replay_order="seen", num_samples=0),
        seen={},
    )


def _write_run(folder: Path, losses: Losses, stages: tuple[str, ...] = ("old", "new")) -> Run:
    manifest = Manifest(
        evergrow="0.1.0",
        commit=None,
        name="toy",
        arm=folder.parent.name,
        seed=int(folder.name.removeprefix("seed-")),
        recipe={},
        environment={},
        model={},
        data={},
        stages=[_stage(name, index) for index, name in enumerate(stages)],
        status="done",
    )
    write_manifest(folder, manifest)
    lines = [
        {"stage": stage, "leg": leg, "step": step, "source": source, "loss": loss}
        for (stage, leg, step), found in losses.items()
        for source, loss in found.items()
    ]
    (folder / "evals.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Run(folder)


@pytest.fixture
def write_run() -> Callable[..., Run]:
    """Writes a Run of 100 steps a stage; its arm and seed are read off the folder's name."""
    return _write_run
