"""summary.json: what every arm learnt and forgot, computed from the records of its Runs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evergrow.disk import write_file
from evergrow.evals.loss_matrix import measure
from evergrow.flow.flops import counts_of, stage_flops
from evergrow.recipe import load_recipe
from evergrow.run import FORMAT, Run, StageRecord
from evergrow.statistics import spike_score, t_interval

MEASURES = ("average", "forgetting", "backward_transfer", "forward_transfer", "transient_peak")

COUNTS = (
    "num_tokens",
    "num_tokens_total",
    "flops",
    "flops_total",
    "tokens_per_second",
    "spike_score",
)


def write_summary(root: Path, status: str) -> dict[str, Any]:
    """Compute and write ``summary.json`` of the Runs below ``root``; returns its content."""
    recipe = load_recipe(root / "recipe.yaml")
    runs = runs_below(root, list(recipe.arms))
    arms: dict[str, dict[str, Any]] = {}
    for arm in dict.fromkeys(run.manifest.arm for run in runs):
        own = [run for run in runs if run.manifest.arm == arm]
        by_seed = {str(run.manifest.seed): summarise_run(run, root) for run in own}
        arms[arm] = next(iter(by_seed.values())) if len(own) == 1 else _over_seeds(by_seed)
    longest = max((run.manifest.stages for run in runs), key=len)
    summary = {
        "format": FORMAT,
        "name": recipe.name,
        "status": status,
        "streams": [stage.name for stage in longest],
        "unit": next((str(r.manifest.model["unit"]) for r in runs if r.manifest.model), ""),
        "seeds": recipe.seeds,
        "arms": arms,
        "data": _data_facts(root),
    }
    write_file(root / "summary.json", json.dumps(summary, indent=1) + "\n")
    return summary


def runs_below(root: Path, arms: list[str]) -> list[Run]:
    """Every Run of a recipe's folder, in the order of ``arms``, then by seed."""
    found = [
        Run(p.parent) for p in (*root.glob("*/manifest.json"), *root.glob("*/seed-*/manifest.json"))
    ]
    known = {arm: place for place, arm in enumerate(arms)}
    return sorted(
        found, key=lambda run: (known.get(run.manifest.arm, len(known)), run.manifest.seed)
    )


def summarise_run(run: Run, root: Path) -> dict[str, Any]:
    """The numbers of one Run; measures that are not defined yet are None."""
    done = [record for record in run.manifest.stages if record.status == "done"]
    evals = run.read("evals")
    streams = run.manifest.stages
    rows = [_row(evals, streams, record.name, "release") for record in done]
    before = _row(evals, streams, None, "start")
    numbers: dict[str, Any] = dict.fromkeys(MEASURES)
    if rows:
        known = None if None in before else [b for b in before if b is not None]
        matrix = [[x for x in row[: len(rows)] if x is not None] for row in rows]
        curves = [_curve(evals, streams[: len(rows)], record.name) for record in done]
        measures = measure(matrix, known, curves, [s.name for s in streams[: len(rows)]])
        numbers = {name: getattr(measures, name) for name in MEASURES}
    per_step = streams[0].tokens // streams[0].num_steps
    return {
        "loss_matrix": rows,
        "before": before,
        **numbers,
        "num_tokens": (done[-1].first_step + done[-1].num_steps) * per_step if done else 0,
        "num_tokens_total": sum(_compute(record) for record in done) * per_step
        + sum(branch.tokens for branch in run.manifest.branches),
        **_flops(run, len(done)),
        "tokens_per_second": _speed(run, per_step),
        "spike_score": spike_score(
            [line["grad_norm"] for line in run.read("metrics") if line["leg"] == "trunk"]
        ),
        "releases": {
            record.name: (run.folder / str(record.release)).relative_to(root).as_posix()
            for record in done
        },
        "extra": _extra(evals, streams, done),
        "not_learnt": _not_learnt(evals, done),
    }


def _not_learnt(evals: list[dict[str, Any]], done: list[StageRecord]) -> list[str]:
    """Sources that the release of their own stage reconstructs no better than a constant does.

    What was not learnt cannot be forgotten. Text has no such floor.
    """
    own = {(record.name, source) for record in done for source in record.mixture}
    return [
        line["source"]
        for line in evals
        if line["leg"] == "release"
        and (line["stage"], line["source"]) in own
        and line["loss"] >= line.get("floor", float("inf"))
    ]


def _row(
    evals: list[dict[str, Any]], streams: list[StageRecord], stage: str | None, leg: str
) -> list[float | None]:
    """The losses on every stage's data after ``stage``; a mixture counts by its weights."""
    found = {
        line["source"]: line["loss"]
        for line in evals
        if line["stage"] == stage and line["leg"] == leg
    }
    return [_mixed(found, record.mixture) for record in streams]


def _mixed(found: Mapping[str, float], mixture: Mapping[str, float]) -> float | None:
    if not mixture.keys() <= found.keys():
        return None
    return sum(weight * found[source] for source, weight in mixture.items())


def _curve(
    evals: list[dict[str, Any]], streams: list[StageRecord], stage: str
) -> list[tuple[int, dict[str, float]]]:
    """The measurements inside a stage, (step, {stream: loss}), the first at its start."""
    steps: dict[int, dict[str, float]] = {}
    for line in evals:
        if line["stage"] == stage and line["leg"] == "trunk":
            steps.setdefault(line["step"], {})[line["source"]] = line["loss"]
    points = []
    for step, found in sorted(steps.items()):
        mixed = {record.name: _mixed(found, record.mixture) for record in streams}
        points.append((step, {name: loss for name, loss in mixed.items() if loss is not None}))
    return points


def _compute(record: StageRecord) -> int:
    """Optimiser steps a stage cost: its trunk and its release."""
    if record.fork_step is None:
        return record.num_steps
    return record.num_steps + record.first_step + record.num_steps - record.fork_step


def _flops(run: Run, num_done: int) -> dict[str, float]:
    """Operations along the trunk, as ``num_tokens`` counts, and of everything computed."""
    manifest = run.manifest
    costs = [stage_flops(manifest, index) for index in range(num_done)]
    trunk = sum(cost for cost, _ in costs)
    places = {record.name: index for index, record in enumerate(manifest.stages)}
    branches = sum(
        branch.tokens * counts_of(manifest, places[branch.stage]).flops_per_token
        for branch in manifest.branches
    )
    return {"flops": trunk, "flops_total": trunk + sum(fork for _, fork in costs) + branches}


def _speed(run: Run, per_step: int) -> float | None:
    """Tokens a second of training, over everything timed."""
    timing = run.read("timing")
    seconds = sum(line["seconds"] for line in timing)
    tokens = sum(line["seconds"] * line["tokens_per_second"] for line in timing)
    return round(tokens / seconds, 1) if seconds else None


def _extra(
    evals: list[dict[str, Any]], streams: list[StageRecord], done: list[StageRecord]
) -> dict[str, list[float | None]]:
    """The eval-only sources: their losses before stage 1 and after every release."""
    learnt = {source for record in streams for source in record.mixture}
    found: dict[str, dict[str | None, float]] = {}
    for line in evals:
        if line["source"] not in learnt and line["leg"] in ("start", "release"):
            found.setdefault(line["source"], {})[line["stage"]] = line["loss"]
    places = [None, *(record.name for record in done)]
    return {source: [losses.get(p) for p in places] for source, losses in found.items()}


def _over_seeds(by_seed: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds, 95 % t-intervals of the measures, and every seed's own numbers."""
    runs = list(by_seed.values())
    first = runs[0]
    merged: dict[str, Any] = {"releases": first["releases"], "extra": first["extra"]}
    merged["not_learnt"] = sorted({source for run in runs for source in run["not_learnt"]})
    for key in ("loss_matrix", "before"):
        same = [r[key] for r in runs if np.shape(r[key]) == np.shape(first[key])]
        values = np.array(same, dtype=float)
        merged[key] = [] if not values.size else np.mean(values, axis=0).tolist()
    intervals = {}
    for name in (*MEASURES, *COUNTS):
        values = [r[name] for r in runs if r[name] is not None]
        merged[name] = float(np.mean(values)) if values else None
        if len(values) > 1 and name in MEASURES:
            interval = t_interval(values)
            intervals[name] = [interval.low, interval.high]
    return {**merged, "intervals": intervals, "seeds": by_seed}


def _data_facts(root: Path) -> dict[str, Any]:
    """Counts of every prepared source, from its manifest."""
    facts = {}
    keys = ("num_documents", "num_tokens", "num_bytes", "held_out", "dropped")
    for manifest in sorted((root / "data").glob("*/manifest.json")):
        data = json.loads(manifest.read_text())
        own = ("train", "held_out", "num_dropped") if "audit" in data else keys
        facts[data["source"]] = {
            **{key: data[key] for key in own},
            "quarantined": len(data["quarantine"]),
        }
    return facts
