"""evergrow's signals and rules beside datatrove's filters: CPU seconds, and who keeps what.

python benchmarks/curation/signals.py data=masc.jsonl.gz data=twir.jsonl.gz
    [rounds=5] [piece=1200] [output=FILE.json]

``data`` are JSONL files, plain or gzipped, with the text under "text". Both contestants get the
same documents in turn, each time in a fresh fork, so that nothing is remembered of an earlier
round. datatrove runs as its users run it: filters chained, a document leaving at the first rule
that it breaks. evergrow computes all signals of a preset, makes their tables and asks all rules.
Decisions are compared on the documents and on pieces of them of about ``piece`` characters without
links, which stand nearer to the thresholds.
"""

import gzip
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

BENCHMARKS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(BENCHMARKS))  # run as a script, this folder is there instead

from contestants.environments import PINS, Contestant, prepare, python_of  # noqa: E402

from curation.parity import compare, report  # noqa: E402

CONTESTANTS = {
    "datatrove": Contestant("curation.datatrove_worker", "datatrove"),
    "evergrow": Contestant("curation.evergrow_worker"),
}
GOALS = {"gopher": 15.0, "c4": 5.0, "fineweb": 5.0}  # times datatrove's speed
NOTE = """
ratio: datatrove's CPU seconds over evergrow's in the same round.
A preset whose first rules drop nearly everything costs datatrove nearly nothing: its FineWeb filter
looks at the ends of the lines before it splits a word. evergrow pays for every signal always, and
gets thresholds that can be moved and the share of every rule for it."""
_LINKS = re.compile(r"\]\([^)\s]*\)|\]\[[^\]\s]*\]|https?://\S+")


@dataclass
class Arguments:
    """What the command line says."""

    data: list[Path] = field(default_factory=list)
    rounds: int = 5
    piece: int = 1200
    output: Path = BENCHMARKS / "results" / "curation-signals.json"


def parse(words: list[str]) -> Arguments:
    arguments = Arguments()
    for word in words:
        name, _, value = word.partition("=")
        if name == "data":
            arguments.data.append(Path(value))
        elif name in ("rounds", "piece"):
            setattr(arguments, name, int(value))
        elif name == "output":
            arguments.output = Path(value)
        else:
            sys.exit(f"{word}: expected data=FILE, rounds=N, piece=CHARACTERS or output=FILE")
    if not arguments.data:
        sys.exit("give at least one data=FILE.jsonl.gz")
    return arguments


def texts_of(path: Path) -> list[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in file]


def pieces_of(text: str, size: int) -> Iterator[str]:
    """Whole lines of the text without links, at least ``size`` characters of them."""
    piece: list[str] = []
    length = 0
    for line in _LINKS.sub("", text).split("\n"):
        piece.append(line)
        length += len(line) + 1
        if length >= size:
            yield "\n".join(piece)
            piece, length = [], 0
    if any(map(str.strip, piece)):
        yield "\n".join(piece)


class Worker:
    """A contestant's process, waiting for jobs."""

    def __init__(self, contestant: Contestant) -> None:
        inherited = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        self._process = subprocess.Popen(
            [python_of(contestant), "-m", contestant.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=BENCHMARKS,
            env=inherited | {"OMP_NUM_THREADS": "1"},
            text=True,
        )
        self._answer()

    def do(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self._process.args} died")
        return json.loads(line)

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def write_texts(path: Path, texts: list[str]) -> str:
    path.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
    return str(path)


def measure_speed(workers: dict[str, Worker], documents: str, rounds: int) -> dict[str, Any]:
    """By preset: CPU seconds a round of each contestant, ratios, and how many stay."""
    results: dict[str, Any] = {}
    for preset in GOALS:
        seconds: dict[str, list[float]] = {name: [] for name in workers}
        kept = {}
        for number in range(rounds):
            order = list(workers)[:: 1 if number % 2 else -1]
            for name in order:
                answer = workers[name].do(job="time", preset=preset, documents=documents)
                seconds[name].append(answer["cpu_seconds"])
                kept[name] = answer["kept"]
        pairs = zip(seconds["datatrove"], seconds["evergrow"], strict=True)
        ratios = [theirs / ours for theirs, ours in pairs]
        results[preset] = {"cpu_seconds": seconds, "ratios": ratios, "kept": kept}
    return results


def print_speed(title: str, results: dict[str, Any], megabytes: float) -> None:
    print(f"\n{title}: {megabytes:.1f} MB; CPU seconds, median of rounds; lowest and highest ratio")
    print(
        f"{'preset':10}{'datatrove':>11}{'evergrow':>10}{'MB/s':>7}{'ratio':>8}  range        goal"
    )
    for preset, result in results.items():
        theirs, ours = (statistics.median(result["cpu_seconds"][n]) for n in CONTESTANTS)
        ratio = statistics.median(result["ratios"])
        low, high = min(result["ratios"]), max(result["ratios"])
        goal = GOALS[preset]
        verdict = "met" if ratio >= goal else "MISSED"
        print(
            f"{preset:10}{theirs:11.2f}{ours:10.3f}{megabytes / ours:7.1f}{ratio:8.1f}  "
            f"{low:.1f}-{high:.1f}".ljust(60)
            + f"{goal:g} {verdict}"
        )


def main() -> None:
    arguments = parse(sys.argv[1:])
    prepare(CONTESTANTS["datatrove"])
    workers = {name: Worker(contestant) for name, contestant in CONTESTANTS.items()}
    found: dict[str, Any] = {"machine": platform.processor(), "pins": PINS["datatrove"]}
    with TemporaryDirectory() as name:
        folder = Path(name)
        everything: list[str] = []
        views: dict[str, list[str]] = {}
        for path in arguments.data:
            stem = path.name.partition(".")[0]
            texts = texts_of(path)
            everything += texts
            views[f"{stem}, documents"] = texts
            if arguments.piece:
                pieces = [p for text in texts for p in pieces_of(text, arguments.piece)]
                views[f"{stem}, pieces without links"] = pieces
            if arguments.rounds:
                documents = write_texts(folder / "documents.jsonl", texts)
                speed = measure_speed(workers, documents, arguments.rounds)
                found[f"speed {stem}"] = speed
                print_speed(stem, speed, sum(len(t.encode()) for t in texts) / 1e6)
        if arguments.rounds and len(arguments.data) > 1:
            documents = write_texts(folder / "documents.jsonl", everything)
            speed = measure_speed(workers, documents, arguments.rounds)
            found["speed all"] = speed
            print_speed("all together", speed, sum(len(t.encode()) for t in everything) / 1e6)
        print(NOTE)
        for title, texts in views.items():
            parity = compare(workers, title, texts, folder)
            found[f"decisions {title}"] = parity
            print(report(parity))
    for worker in workers.values():
        worker.close()
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
