"""A corpus end to end at several sizes: megabytes a CPU-second, and the largest process' memory.

    python benchmarks/curation/scale.py [--sizes 10,50,150] [--memory 1000] [--two-workers]

Read, gopher's rules, exact and near duplicates, decontamination against HumanEval, write. The text
is what is installed here (code and documentation) or the files of a glob, --files. For --memory
words are exchanged at random in copies of it: such a size counts for memory, not for speed.
--two-workers times the stages that map over shards with one and with two workers; it wants a quiet
machine. Goals: CPU time grows like the text (a megabyte costs at most 15 % more at the largest size
than at the smallest), and memory hardly (at most 15 % between the last two sizes).
"""

import argparse
import json
import os
import random
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, it is not there

from curation.documents import ENDINGS, LEFT_OUT

Texts = Iterator[tuple[str, str]]  # of names and texts
MAP_STAGES = ("ingest", "measure", "write")
PER_FILE = 16_000_000  # bytes of JSON Lines
EXCHANGED = 0.1  # of the words in a copy: far enough not to be a near duplicate
RECIPE = """\
name: scale
sources:
  text: {files: ["text/*.jsonl"], id_field: id}
corpora:
  set:
    sources: [text]
    policy: {presets: [gopher]}
    decontaminate: {suites: [humaneval]}
    signals: []
"""


def texts(pattern: str | None) -> Texts:
    """Names and texts of 200 to 10^6 bytes: of a glob's files, or installed here, shuffled.

    The name ends like the file's, so that code is known as code.
    """
    if pattern is not None:
        paths = sorted(Path().glob(pattern))
    else:
        roots = {Path(sysconfig.get_paths()[name]).resolve() for name in ("stdlib", "purelib")}
        found = (path for root in sorted(roots) for path in sorted(root.rglob("*")))
        paths = [p for p in found if p.suffix in ENDINGS and not LEFT_OUT & set(p.parts)]
    random.Random(0).shuffle(paths)
    for path in paths:
        if path.is_file() and 200 <= path.stat().st_size <= 1_000_000:
            yield path.name, path.read_text(encoding="utf-8", errors="replace")


def synthetic(real: Callable[[], Texts]) -> Texts:
    """The real texts, then copies of them with a tenth of the words exchanged, without end."""
    yield from real()
    choose = random.Random(1)
    while True:
        for name, text in real():
            words = text.split(" ")
            for _ in range(int(len(words) * EXCHANGED)):
                words[choose.randrange(len(words))] = f"w{choose.randrange(10**6)}"
            yield name, " ".join(words)


def write_text(folder: Path, source: Texts, num_bytes: float) -> tuple[float, int]:
    """JSON Lines files of so many bytes of text; returns its megabytes and documents."""
    (folder / "text").mkdir(parents=True)
    total = documents = 0
    lines: list[str] = []
    waiting = 0

    def flush() -> None:
        number = len(list((folder / "text").iterdir()))
        (folder / f"text/{number:04d}.jsonl").write_text("".join(lines), encoding="utf-8")
        lines.clear()

    for name, text in source:
        size = len(text.encode("utf-8"))
        total, documents, waiting = total + size, documents + 1, waiting + size
        row = {"id": f"{documents}/{name}", "text": text}
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
        if waiting >= PER_FILE:
            flush()
            waiting = 0
        if total >= num_bytes:
            break
    flush()
    (folder / "scale.yaml").write_text(RECIPE, encoding="utf-8")
    return total / 1e6, documents


@dataclass(frozen=True)
class Measured:
    """What a run cost: CPU of all its processes, memory of the largest, seconds a stage."""

    cpu_seconds: float
    peak_bytes: int
    stages: dict[str, float]
    waterfall: dict[str, Any]


def run(folder: Path, workers: int) -> Measured:
    """Curate in a process of its own."""
    command = [sys.executable, __file__, "--child", str(folder), str(workers)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    answer = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        sys.exit(f"curating {folder} failed")
    told = json.loads(answer)
    peak = usage.ru_maxrss * 1024
    return Measured(usage.ru_utime + usage.ru_stime, peak, told["stages"], told["waterfall"])


def child(folder: Path, workers: int) -> None:
    """Curate, and print the seconds of every stage.

    evergrow is imported here, since workers import this file: with the command they import no more
    than their task needs.
    """
    from evergrow.flow.corpora import curate
    from evergrow.listener import Listener, Progress
    from evergrow.recipe import load_corpus_recipe

    began: dict[str, float] = {}
    seconds: dict[str, float] = {}

    def progress(state: Progress) -> None:
        now = time.perf_counter()
        began.setdefault(state.stage, now)
        seconds[state.stage] = now - began[state.stage]

    recipe = load_corpus_recipe(folder / "scale.yaml", {"workers": workers})
    runs = folder / f"runs-{workers}"
    [corpus] = curate(recipe, runs, folder, Listener(progress))
    answer = {"stages": seconds, "waterfall": corpus.manifest.waterfall.model_dump()}
    sys.stdout.write(json.dumps(answer))


def report(
    name: str,
    folder: Path,
    source: Texts,
    num_bytes: float,
    is_timed: bool = True,
) -> tuple[Measured, float]:
    """Make the text, curate it, print a line; returns the costs and the megabytes."""
    size, documents = write_text(folder, source, num_bytes)
    measured = run(folder, 1)
    kept = measured.waterfall["kept"]["documents"]
    speed = f"{size / measured.cpu_seconds:6.2f} MB per CPU-second" if is_timed else " " * 24
    print(
        f"{name:>10}: {size:7.1f} MB, {documents:7,} documents, {kept:7,} kept; {speed}, "
        f"peak {measured.peak_bytes / 1e6:5.0f} MB",
        flush=True,
    )
    return measured, size


def two_workers(folder: Path, one: Measured) -> None:
    """The seconds of the map stages with one worker over those with two."""
    two = run(folder, 2)
    for stage in MAP_STAGES:
        ratio = one.stages[stage] / two.stages[stage]
        print(f"{stage:>10}: {one.stages[stage]:6.1f} s alone, {ratio:.2f} times as fast by two")
    alone, both = (sum(m.stages[stage] for stage in MAP_STAGES) for m in (one, two))
    print(f"{'all three':>10}: {alone / both:.2f} times as fast by two (goal 1.7)")


def main() -> None:
    """Carry out every size and say which goals are met."""
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), int(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", default="10,50,150", help="megabytes of real text")
    parser.add_argument("--memory", type=float, default=0, help="megabytes with synthetic edits")
    parser.add_argument("--two-workers", action="store_true")
    parser.add_argument("--files", default=None, help="a glob instead of installed text")
    arguments = parser.parse_args()

    def real() -> Texts:
        return texts(arguments.files)

    costs, peaks = [], []
    with tempfile.TemporaryDirectory(prefix="evergrow-scale-") as temporary:
        for number, megabytes in enumerate(map(float, arguments.sizes.split(","))):
            folder = Path(temporary) / str(number)
            measured, size = report(f"{megabytes:g} MB", folder, real(), megabytes * 1e6)
            costs.append(measured.cpu_seconds / size)
            peaks.append(measured.peak_bytes)
            if arguments.two_workers and number == len(arguments.sizes.split(",")) - 1:
                two_workers(folder, measured)
        if arguments.memory:
            folder = Path(temporary) / "memory"
            source = synthetic(real)
            measured, _ = report("synthetic", folder, source, arguments.memory * 1e6, False)
            peaks.append(measured.peak_bytes)
    if len(costs) > 1:
        print(f"a megabyte costs {costs[-1] / costs[0]:.2f} times as much at the last size (1.15)")
    if len(peaks) > 1:
        print(f"the last peak is {peaks[-1] / peaks[-2]:.2f} times the one before (1.15)")


if __name__ == "__main__":
    main()
