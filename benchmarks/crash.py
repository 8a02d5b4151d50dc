"""One recipe killed with ``kill -9`` at random moments, and the same one left alone: same bytes?

    python benchmarks/crash.py [--kills 10] [--seed 0]

Two arms side by side on installed text. Only the main process is killed; its workers must end by
themselves. Every kill waits for a phase (tokenising first, then training, releasing, measuring
and reporting in turn) and then a random moment of it. Exits with 1 on any difference.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

RECIPE = """\
name: crash
workers: 2
sources:
  english: {installed: english, max_bytes: 600k}
  python: {installed: python, max_bytes: 600k}
held_out: {tokens: 4k}
tokenizer: {vocab_size: 1024}
model: {preset: olmo2, hidden: 32, layers: 2}
train: {sequence_length: 64, batch_size: 4, threads: 1}
schedule: {kind: infinite, peak_lr: 5e-3, anneal: {fraction: 0.3}}
stages:
  - {name: english, data: english, tokens: 150k}
  - {name: python, data: python, tokens: 150k}
evaluate: {every: 30k, part: 2k}
checkpoints: {every: 15k}
arms:
  plain: {}
  replay: {replay.fraction: 0.25}
"""
# What appears in the run's folder when a phase begins, and the seconds that it may take from there.
PHASES = {
    "tokenising": ("data", 6.0),
    "training": ("*/checkpoints/[!.]*", 8.0),
    "releasing": ("*/releases/.*", 0.02),
    "measuring": ("scores/*/*", 0.1),
    "reporting": (".*.writing-*", 0.05),
}
RECORDS = ("metrics.jsonl", "evals.jsonl")
FOLDERS = {"checkpoints", "releases", "scores", "data", "tokenizer"}
LATER = ("training", "releasing", "training", "measuring", "training", "reporting")
LONGEST = 1800  # seconds


def start(folder: Path) -> subprocess.Popen[bytes]:
    """``evergrow run`` in ``folder``; its words go to a log there."""
    command = [sys.executable, "-c", "from evergrow.cli import main; main()", "run", "crash.yaml"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, env=environment
        )


def finish(folder: Path) -> float:
    """Run to the end; the seconds it took."""
    started = time.monotonic()
    process = start(folder)
    if process.wait(LONGEST):
        sys.exit(f"evergrow run failed:\n{(folder / 'log.txt').read_text()[-3000:]}")
    return time.monotonic() - started


def doing(folder: Path) -> str:
    """What the run was at, read off the files it has written."""
    root = folder / "runs" / "crash"
    if not list(root.glob("*/manifest.json")):
        made = [p.name.rsplit("-", 1)[0] for p in root.glob("data/[!.]*")]
        return f"reading and tokenising ({', '.join(made) or 'nothing'} finished)"
    lines = []
    for arm in ("plain", "replay"):
        legs = [line.split('"')[3] for line in _lines(root / arm / "metrics.jsonl", '"leg"')]
        checkpoints = sorted(p.name for p in root.glob(f"{arm}/checkpoints/[!.]*"))
        releases = sorted(p.name for p in root.glob(f"{arm}/releases/[!.]*"))
        hidden = [p.name for p in root.glob(f"{arm}/*/.*.writing-*")]
        last = checkpoints[-1] if checkpoints else "no checkpoint"
        lines.append(
            f"{arm}: {len(legs)} records, {last}, released {', '.join(releases) or 'nothing'}"
            + (f", writing {', '.join(hidden)}" if hidden else "")
        )
    return "; ".join(lines)


def _lines(path: Path, text: str) -> list[str]:
    found = path.read_text(errors="replace").splitlines() if path.exists() else []
    return [line for line in found if text in line]


def kill(folder: Path, phase: str, choose: random.Random, number: int) -> bool:
    """Start, and kill -9 at a random moment of ``phase``; False when the run ended before."""
    pattern, longest = PHASES[phase]
    root = folder / "runs" / "crash"
    before = {*root.glob(pattern)} if phase in ("training", "measuring") else set()
    started = time.monotonic()
    process = start(folder)
    while process.poll() is None and not {*root.glob(pattern)} - before:
        time.sleep(0.001)
    try:
        process.wait(choose.uniform(0, longest))
    except subprocess.TimeoutExpired:
        children = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        seconds = time.monotonic() - started
        print(f"kill {number:2d}, {phase} after {seconds:.1f} s: {doing(folder)}", flush=True)
        _, alive = psutil.wait_procs(children, timeout=30)
        if alive:
            sys.exit(f"{len(alive)} processes outlived the main one by 30 s: {alive}")
        return True
    if process.returncode:
        sys.exit(f"evergrow run failed:\n{(folder / 'log.txt').read_text()[-3000:]}")
    return False


def contents(folder: Path) -> dict[str, bytes]:
    """Every byte that must repeat: records, checkpoints, releases, scores, manifests, shards.

    Only the git commit is left out: it tells when the run began, and someone may commit meanwhile.
    """
    root = folder / "runs" / "crash"
    paths = [p for p in root.rglob("*") if p.is_file()]
    kept = [p for p in paths if p.name in RECORDS or p.name == "manifest.json"]
    kept += [p for p in paths if FOLDERS & {*p.parts}]
    return {p.relative_to(root).as_posix(): _without_commit(p) for p in sorted({*kept})}


def _without_commit(path: Path) -> bytes:
    data = path.read_bytes()
    return re.sub(rb'"commit": ?(null|"\w+"),', b"", data) if path.suffix == ".json" else data


def main() -> None:
    """Carry out both, compare, and say what differed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    choose = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="evergrow-crash-") as temporary:
        whole, killed = Path(temporary) / "whole", Path(temporary) / "killed"
        for folder in (whole, killed):
            folder.mkdir()
            (folder / "crash.yaml").write_text(RECIPE)
        seconds = finish(whole)
        print(f"uninterrupted: {seconds:.1f} s", flush=True)
        early = max(1, arguments.kills // 5)
        number = 0
        while number < arguments.kills:
            later = LATER[(number - early) % len(LATER)]
            if kill(killed, "tokenising" if number < early else later, choose, number + 1):
                number += 1
            else:
                print("done before all kills: once more from the beginning", flush=True)
                _compare(whole, killed)
                shutil.rmtree(killed / "runs")
        finish(killed)
        _compare(whole, killed)


def _compare(whole: Path, killed: Path) -> None:
    """Print the verdict; a difference ends with exit code 1."""
    one, two = contents(whole), contents(killed)
    different = sorted(n for n in {*one, *two} if one.get(n) != two.get(n))
    for name in different:
        print(f"differs: {name}")
    weights = sum(name.endswith(".safetensors") for name in one)
    verdict = "different bytes" if different else "the same bytes"
    print(f"{verdict}: {len(one)} files, {weights} of them weights and optimiser states")
    if different:
        sys.exit(1)


if __name__ == "__main__":
    main()
