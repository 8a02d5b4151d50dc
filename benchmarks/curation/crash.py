"""A corpus killed with ``kill -9`` at random moments, on a full disk, and by one or two workers.

    python benchmarks/curation/crash.py [--kills 10] [--seed 0] [--megabytes 3]

Two corpora of installed text, the second compared with the first. Every kill waits until a random
number of units is done, and then a random moment. After all of it the bytes must be those of a run
that nobody touched; a run on a full disk must leave nothing marked done. Exits with 1 otherwise.
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from evergrow.config import Record
from evergrow.corpus.curate.units import recorded

RECIPE = """\
name: crash
workers: 2
sources:
  english: {{installed: english, max_bytes: {megabytes}M}}
  python: {{installed: python, max_bytes: {megabytes}M}}
corpora:
  first:
    sources: [english]
    policy: {{presets: [gopher], edits: [mask_emails]}}
    exact: {{unit: line, min_characters: 40}}
    signals: [language]
    shard_bytes: 250k
  second:
    sources: [english, python]
    policy: {{presets: [code]}}
    select: {{fraction: 0.9}}
    signals: []
    shard_bytes: 250k
"""
COMMAND = [sys.executable, "-c", "from evergrow.cli import main; main()", "curate", "crash.yaml"]
ROOT = Path("runs/crash/corpora")


def start(
    folder: Path, *more: str, limit: Callable[[], None] | None = None
) -> subprocess.Popen[bytes]:
    """``evergrow curate`` in ``folder``; its words go to a log there."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [*COMMAND, *more],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            preexec_fn=limit,
        )


def finish(folder: Path, *more: str) -> float:
    """Run to the end; the seconds it took."""
    started = time.monotonic()
    if start(folder, *more).wait():
        sys.exit(f"evergrow curate failed:\n{(folder / 'log.txt').read_text()[-3000:]}")
    return time.monotonic() - started


def units_done(folder: Path) -> int:
    """The sidecars there are."""
    return len(list((folder / ROOT).rglob("*.json")))


def kill(folder: Path, more: int, seconds: float, number: int) -> bool:
    """Kill -9 ``seconds`` after ``more`` units are done; False when all were done before."""
    before = units_done(folder)
    process = start(folder)
    while process.poll() is None and units_done(folder) < before + more:
        time.sleep(0.002)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        workers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.wait()
        _, alive = psutil.wait_procs(workers, timeout=30)
        if alive:
            sys.exit(f"{len(alive)} workers outlived the main process by 30 s: {alive}")
        hidden = len(list((folder / ROOT).rglob(".*.writing-*")))
        left = f"{units_done(folder)} units done, {hidden} half-written"
        print(f"kill {number:2d} with {before} units done before: {left}", flush=True)
        return True
    return False


def contents(folder: Path) -> dict[str, bytes]:
    """Every byte of both corpora, by path; not what their raw files hashed to and when."""
    root = folder / ROOT
    return {
        p.relative_to(root).as_posix(): p.read_bytes()
        for p in sorted(root.rglob("*"))
        if p.is_file() and not p.name.startswith(".")
    }


def compare(name: str, whole: Path, other: Path) -> None:
    """Say whether both hold the same bytes; a difference ends with exit code 1."""
    one, two = contents(whole), contents(other)
    different = sorted(path for path in {*one, *two} if one.get(path) != two.get(path))
    for path in different[:10]:
        print(f"differs: {path}")
    print(f"{name}: {'different' if different else 'the same'} bytes in {len(one)} files")
    if different:
        sys.exit(1)


def full_disk(folder: Path, most: int) -> None:
    """A run whose files may have at most ``most`` bytes: all that is marked done is whole."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    # Without the language: py3langid unpacks its model into a larger temporary file elsewhere.
    code = start(folder, "corpora.first.signals=[]", limit=limit).wait()
    last = (folder / "log.txt").read_text().splitlines()[-1]
    marked = wrong = 0
    for corpus in (folder / ROOT).glob("*"):
        for sidecar in corpus.rglob("*.json"):
            name = sidecar.relative_to(corpus).as_posix()
            data = json.loads(sidecar.read_text(encoding="utf-8"))
            if "counts" in data and (done := recorded(corpus, name, Record)) is not None:
                marked += 1
                wrong += not all(file.is_whole(corpus) for file in done.files)
    hidden = len(list((folder / ROOT).rglob(".*.writing-*")))
    print(f"full disk at {most:,} bytes a file: exit {code}, {marked} units marked done, {last}")
    if code != 1 or wrong or hidden:
        sys.exit(f"{wrong} units are marked done and are not; {hidden} files are half-written")


def main() -> None:
    """Carry it out whole, killed, limited, and by one worker; compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--megabytes", type=int, default=3)
    arguments = parser.parse_args()
    choose = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="evergrow-curate-") as temporary:
        folders = {n: Path(temporary) / n for n in ("whole", "killed", "full", "alone")}
        for folder in folders.values():
            folder.mkdir()
            recipe = RECIPE.format(megabytes=arguments.megabytes)
            (folder / "crash.yaml").write_text(recipe)
        seconds = finish(folders["whole"])
        print(f"uninterrupted, two workers: {seconds:.1f} s", flush=True)
        finish(folders["alone"], "workers=1")
        compare("one worker", folders["whole"], folders["alone"])
        most_units = max(1, 2 * units_done(folders["whole"]) // (arguments.kills + 1))
        number = 0
        while number < arguments.kills:
            more, after = choose.randrange(most_units), choose.uniform(0, 0.3)
            if kill(folders["killed"], more, after, number + 1):
                number += 1
            else:
                compare("done before all kills", folders["whole"], folders["killed"])
                shutil.rmtree(folders["killed"] / "runs")
        finish(folders["killed"])
        compare(f"killed {number} times", folders["whole"], folders["killed"])
        sizes = sorted(len(data) for data in contents(folders["whole"]).values())
        for most in (sizes[len(sizes) // 2], sizes[-3], sizes[-1]):  # fails ever later
            full_disk(folders["full"], most - 1)
        finish(folders["full"])
        compare("after full disks", folders["whole"], folders["full"])


if __name__ == "__main__":
    main()
