"""Writes a made-up run folder in the real formats: two schedules with and without replay over three streams.

The losses follow simple decay laws with noise; they look like a real run and mean nothing.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from evergrow.run import Ledger, Manifest, StageRecord
from evergrow.schedules import Cosine, Infinite, plan_stage, rate

STREAMS = ("english", "python", "cpp")
ARMS = ("infinite", "cosine", "infinite-replay", "cosine-replay")
BATCH = 512  # tokens a step
STEPS = 350  # a stage
PEAK, FLOOR = 5e-3, 5e-4
BEST = {"english": 2.9, "python": 2.35, "cpp": 2.05}
UNTRAINED = 4.3
PROMPTS = ("The function ", "import ")


SCHEDULES = {
    "infinite": Infinite(peak_lr=PEAK, constant=0.55, floor=0.1, warmup=0.02),
    "cosine": Cosine(peak_lr=PEAK, floor=0.1, warmup=0.02),
}


class Model:
    """Bits per byte of each stream, pulled down by what is learnt and up by what is not."""

    def __init__(self, seed: int) -> None:
        self.loss = dict.fromkeys(STREAMS, UNTRAINED) | {"cpp": UNTRAINED + 0.2}
        self.shift = {
            name: 0.04 * value for name, value in zip(STREAMS, _noise(seed, 3), strict=True)
        }

    def copy(self) -> "Model":
        twin = Model(0)
        twin.loss, twin.shift = dict(self.loss), self.shift
        return twin

    def learn(self, stream: str, old: list[str], replay: float, lr: float) -> None:
        """One step on ``stream`` with a share of the old ones."""
        speed = 0.006 + 2.2 * lr
        for name, value in self.loss.items():
            floor = BEST[name] + self.shift[name] + 22 * max(0.0, lr - FLOOR)
            if name == stream:
                self.loss[name] = value + speed * (floor - value)
            elif name in old and replay:
                self.loss[name] = value + 0.5 * speed * (floor + 0.08 - value)
            elif name in old:
                self.loss[name] = value + 4.2 * lr * (floor + 0.78 - value)
            else:
                self.loss[name] = value + 0.15 * speed * (3.55 - value)


def make_run(
    folder: Path,
    arms: tuple[str, ...] = ARMS,
    streams: tuple[str, ...] = STREAMS,
    num_seeds: int = 1,
    status: str = "done",
    error: str | None = None,
    progress: float = 1.0,
    samples: bool = True,
    start: str | None = None,
) -> Path:
    """Write ``folder`` as ``runs/<name>/``; ``progress`` is the part of the plan that was carried out.

    ``start`` is an imported model: it knows English before stage 1. Returns ``folder``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scores: dict[str, Any] = {}
    for arm in arms:
        by_seed = {}
        for seed in range(num_seeds):
            place = folder / arm / (f"seed-{seed}" if num_seeds > 1 else "")
            by_seed[str(seed)] = _write_arm(
                place, arm, arms, streams, seed, status, error, progress, samples, start
            )
        scores[arm] = _over_seeds(by_seed)
    for stream in streams:
        _write_data(folder / "data" / f"{stream}-0123456789ab", stream)
    recipe = {
        "name": folder.name,
        "description": "Made-up numbers in the real formats.",
        "arms": dict.fromkeys(arms, {}),
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    summary = {
        "format": 1, "name": folder.name, "status": status, "streams": list(streams), "seeds": list(range(num_seeds)),
        "arms": dict(sorted(scores.items())), "data": {},
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return folder


def _write_arm(
    folder: Path,
    arm: str,
    arms: tuple[str, ...],
    streams: tuple[str, ...],
    seed: int,
    status: str,
    error: str | None,
    progress: float,
    samples: bool,
    start: str | None,
) -> dict[str, Any]:
    schedule = arm.removesuffix("-replay")
    replay = 0.25 if arm.endswith("-replay") else 0.0
    shared = schedule if replay and schedule in arms else None
    model, noise = Model(seed), iter(_noise(seed, 200_000))
    if start:
        model.loss["english"] = 3.05
    metrics, evals, written, stages = [], [], [], []
    budget = round(progress * STEPS * len(streams))
    matrix: list[list[float]] = []
    before = [model.loss[name] for name in streams]
    evals += [_row(None, "start", 0, name, model, next(noise)) for name in streams]
    previous = None
    for number, stream in enumerate(streams):
        config = SCHEDULES[schedule]
        plan = plan_stage(config, number * STEPS * BATCH, STEPS * BATCH, BATCH, previous)
        previous = (config, plan)
        own = not (shared and number == 0)
        old, first = list(streams[:number]), number * STEPS
        fork = None if plan.fork is None else plan.fork // BATCH - first
        steps = max(0, min(STEPS, budget - first))
        branch = None
        for step in range(1, steps + 1):
            if step % 25 == 1:
                evals += [
                    _row(stream, "trunk", first + step - 1, name, model, next(noise))
                    for name in streams
                ]
            if fork == step - 1:
                branch = model.copy()
            lr = rate(plan.trunk, (first + step) * BATCH)
            model.learn(stream, old, replay if number else 0.0, lr)
            skipped = arm == "cosine" and number == 1 and step == 120
            metrics.append(_step(stream, "trunk", first + step, model, lr, next(noise), skipped))
        if steps == STEPS:
            final = model
            if fork is not None and branch is not None:
                for step in range(fork + 1, STEPS + 1):
                    lr = rate(plan.release or [], (first + step) * BATCH)
                    branch.learn(stream, old, replay if number else 0.0, lr)
                    metrics.append(
                        _step(stream, "anneal", first + step, branch, lr, next(noise), False)
                    )
                final = branch
            evals += [
                _row(stream, "trunk", first + STEPS, name, model, next(noise)) for name in streams
            ]
            rows = [
                _row(stream, "release", first + STEPS, name, final, next(noise)) for name in streams
            ]
            evals += rows
            matrix.append([row["bits_per_byte"] for row in rows])
            written += [
                {
                    "stage": stream,
                    "step": first + STEPS,
                    "prompt": prompt,
                    "text": _text(stream, prompt),
                }
                for prompt in PROMPTS
            ]
        done = "done" if steps == STEPS else "training" if steps else "pending"
        record = StageRecord(
            name=stream,
            key=f"{schedule}-{number}-{replay if number else 0}-{seed}",
            parent=None,
            status=done,
            first_step=first,
            num_steps=STEPS,
            fork_step=None if fork is None else first + fork,
            tokens=STEPS * BATCH,
            mixture={stream: 1.0},
            replay=replay if number else 0.0,
            schedule=[segment.model_dump() for segment in plan.trunk],
            release_schedule=None
            if plan.release is None
            else [s.model_dump() for s in plan.release],
            ledger=Ledger(shares={}, replay_shares=(0, 1), replay_order="seen", num_samples=0),
            seen={},
            shared_with=None if own else _shared(shared, folder),
            release=f"releases/{stream}" if done == "done" else None,
        )
        stages.append(record)
    last = arm == arms[-1]
    branch = {
        "name": "mid-python",
        "stage": "python",
        "from_step": 520,
        "tokens": 40_000,
        "release": "releases/x",
    }
    manifest = Manifest.model_validate({
        "evergrow": "0.1.0", "commit": "4be1f0c", "name": folder.name, "arm": arm, "seed": seed, "recipe": {},
        "environment": {"torch": "2.13.0", "transformers": "5.23.0", "python": "3.11.7", "threads": 1},
        "model": {"num_parameters": 614_000, "num_embedding_parameters": 393_216, "source": start or "olmo2 preset"},
        "data": {name: f"data/{name}-0123456789ab" for name in streams},
        "stages": stages,
        "branches": [branch] if arm == "infinite" and progress == 1 and len(streams) > 2 else [],
        "status": status if last else ("done" if progress == 1 else status),
        "error": error if last else None,
    })  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(manifest.model_dump_json(), encoding="utf-8")
    _lines(folder / "metrics.jsonl", metrics)
    _lines(folder / "evals.jsonl", evals)
    if samples:
        _lines(folder / "samples.jsonl", written)
    return _scores(
        arm,
        before,
        matrix,
        len(streams),
        [r["bits_per_byte"] for r in evals if r["leg"] == "trunk"],
    )


def _shared(owner: str | None, folder: Path) -> str:
    return f"../../{owner}/{folder.name}" if folder.name.startswith("seed-") else f"../{owner}"


def _scores(
    arm: str, before: list[float], matrix: list[list[float]], num_stages: int, trunk: list[float]
) -> dict[str, Any]:
    done = len(matrix) == num_stages
    last, pairs = matrix[-1] if matrix else [], range(num_stages - 1)
    lost = [last[j] - min(row[j] for row in matrix[j:-1]) for j in pairs] if done else []
    back = [matrix[j][j] - last[j] for j in pairs] if done else []
    ahead = [before[j] - matrix[j - 1][j] for j in range(1, num_stages)] if done else []
    tokens = len(matrix) * STEPS * BATCH
    return {
        "loss_matrix": matrix, "before": before,
        "average": float(np.mean(last)) if done else None,
        "forgetting": float(np.mean(lost)) if lost else None,
        "backward_transfer": float(np.mean(back)) if back else None,
        "forward_transfer": float(np.mean(ahead)) if ahead else None,
        "transient_peak": (0.2 if "cosine" in arm else 0.09) + 0.01 * trunk[-1] if done and num_stages > 1 else None,
        "num_tokens": tokens, "num_tokens_total": tokens * (1.15 if "infinite" in arm else 1.0),
        "tokens_per_second": 8412.7 if "infinite" in arm else 8577.1,
        "releases": {stream: f"{arm}/releases/{stream}" for stream in STREAMS[: len(matrix)]},
    }  # fmt: skip


def _over_seeds(by_seed: dict[str, dict[str, Any]]) -> dict[str, Any]:
    first = next(iter(by_seed.values()))
    if len(by_seed) == 1:
        return first
    mean, intervals = dict(first), {}
    for key, value in first.items():
        if isinstance(value, float | int):
            values = [scores[key] for scores in by_seed.values()]
            half = 2 * float(np.std(values)) / math.sqrt(len(values))
            mean[key] = float(np.mean(values))
            intervals[key] = [mean[key] - half, mean[key] + half]
    return {**mean, "seeds": by_seed, "intervals": intervals}


def _row(
    stage: str | None, leg: str, step: int, source: str, model: Model, noise: float
) -> dict[str, Any]:
    value = model.loss[source] + (0.012 if leg == "trunk" else 0.004) * noise
    return {
        "stage": stage, "leg": leg, "step": step, "tokens": step * BATCH, "source": source, "bits_per_byte": value,
        "low": value - 0.05, "high": value + 0.06, "num_bytes": 80_000, "num_documents": 40, "partial": leg == "trunk",
    }  # fmt: skip


def _step(
    stage: str, leg: str, step: int, model: Model, lr: float, noise: float, skipped: bool
) -> dict[str, Any]:
    loss = 1.75 * model.loss[stage] + 0.22 * noise + (6.0 if skipped else 0.0)
    return {
        "stage": stage, "leg": leg, "step": step, "tokens": step * BATCH, "loss": loss, "z_loss": 1e-3,
        "grad_norm": 1.1, "lr": lr, "skipped": skipped,
    }  # fmt: skip


def _text(stream: str, prompt: str) -> str:
    return {
        "english": "returns the number of values that are in the given array and the name of the file to be used",
        "python": "self, value):\n    if not self._value:\n        return None\n    for item in self.name:",
        "cpp": "const at::Tensor & self) {\n  TORCH_CHECK(self.dim() == 2);\n  return std::move(result);\n}",
    }[stream] + f" [{len(prompt)}]"


def _write_data(folder: Path, source: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    number = 1 + STREAMS.index(source)
    manifest = {
        "format": 1, "source": source, "num_documents": 1203 * number, "num_tokens": 412_345 + number,
        "num_bytes": 1_500_000 * number,
        "held_out": {"num_documents": 31 * number, "num_tokens": 20_480 + number, "num_bytes": 75_000},
        "dropped": {"exact_duplicates": 17 * number, "repeated_lines": 2_941, "repeated_line_bytes": 90_000, "empty": 2},
        "quarantine": [{"path": "headers/latin1.h", "offset": 812, "reason": "byte 0xe9 is not UTF-8"}]
        if source == "cpp" else [],
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def _lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text(
        "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows), encoding="utf-8"
    )


def _noise(seed: int, count: int) -> list[float]:
    return np.random.default_rng(seed).standard_normal(count).tolist()


if __name__ == "__main__":
    make_run(Path(sys.argv[1]))
