"""What a long life costs to look at: records, raw files and known documents by the million.

    python benchmarks/large_life.py [--lines 1000000] [--gigabytes 10] [--documents 3000000]

Printed, each in a process of its own: the first digest of a metrics.jsonl of so many lines and one
after another thousand; a source of so many gigabytes hashed for the first time and looked at
again; the memory a document that finding repeats and choosing held-out text take. Files are made
in a folder for temporary files.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from blake3 import blake3

from evergrow.corpus.config import HeldOutConfig, SourceConfig
from evergrow.corpus.document import Document, content_hash
from evergrow.corpus.held_out import choose_held_out
from evergrow.corpus.known_documents import KnownDocuments
from evergrow.corpus.reader import source_files
from evergrow.stage.digest import read_digest

FILE_BYTES = 50_000_000


def peak_mb() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def timed(what: str, work: Callable[[], object]) -> None:
    begun = time.perf_counter()
    work()
    print(f"{what}: {time.perf_counter() - begun:.2f} s, {peak_mb():,.0f} MB at most", flush=True)


def write_metrics(run: Path, first: int, last: int) -> None:
    """The lines of so many steps, as a run appends them."""
    with (run / "metrics.jsonl").open("a") as file:
        for step in range(first, last):
            line = {"stage": "one", "leg": "trunk", "step": step, "tokens": 512 * step, "lr": 1e-3,
                    "loss": 3.0 + 1 / (1 + step), "grad_norm": 1.0, "skipped": False}  # fmt: skip
            file.write(json.dumps(line) + "\n")


def records(run: Path, num_lines: int) -> None:
    write_metrics(run, 1, num_lines + 1)
    timed(f"digest of {num_lines:,} lines", lambda: read_digest(run))
    write_metrics(run, num_lines + 1, num_lines + 1001)
    timed("the same after another 1,000", lambda: read_digest(run))


def files(folder: Path, gigabytes: float) -> None:
    count = max(1, round(gigabytes * 1e9 / FILE_BYTES))
    block = bytes(range(32, 127)) * (FILE_BYTES // 95)
    for number in range(count):
        (folder / f"{number:05}.txt").write_bytes(b"%d\n" % number + block)
    time.sleep(3)  # files younger than two seconds are hashed once more
    config = SourceConfig(files=["*.txt"])
    for what in ("hashed", "looked at again"):
        timed(
            f"{count} files of 50 MB {what}",
            lambda: source_files(config, folder, "raw", folder.parent / "hashes.json"),
        )


def documents(count: int) -> Iterator[Document]:
    for number in range(count):
        text = f"document {number} " + "of some words " * 40
        key, hashed = str(number), content_hash(text)
        yield Document(id=key, source="raw", path="raw", key=key, text=text, content_hash=hashed)


def known(count: int) -> None:
    before, found = peak_mb(), KnownDocuments()
    for number in range(count):
        found.add(blake3(str(number).encode()).hexdigest())
    print(f"known documents: {(peak_mb() - before) * 1e6 / count:.0f} bytes each", flush=True)


def held_out(count: int) -> None:
    num_bytes = sum(len(document.text) for document in documents(count))
    before = peak_mb()
    choose_held_out(lambda: documents(count), num_bytes, HeldOutConfig(), "raw")
    print(f"held-out text: {(peak_mb() - before) * 1e6 / count:.0f} bytes a document", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--gigabytes", type=float, default=10)
    parser.add_argument("--documents", type=int, default=3_000_000)
    given = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        run, raw = Path(folder) / "run", Path(folder) / "raw"
        run.mkdir()
        raw.mkdir()
        jobs = [(records, (run, given.lines)), (files, (raw, given.gigabytes)),
                (known, (given.documents,)), (held_out, (given.documents,))]  # fmt: skip
        for job, arguments in jobs:
            process = spawn.Process(target=job, args=arguments)
            process.start()
            process.join()


if __name__ == "__main__":
    main()
