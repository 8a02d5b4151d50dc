"""How far texts lie from what a tiny model learnt, and which share of replay follows.

    python benchmarks/shift.py LEARNT=FILES OTHER=FILES OTHER=FILES ... [--runs FOLDER]

Trains a model of two layers on the first text, then measures the others as ``evergrow continue
--dry`` does, and the first one again, which should lie at 1.
"""

import argparse
import sys
from pathlib import Path

import evergrow

TOKENS = 300_000


def main() -> None:
    """Train on the first text, and print a line a text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", nargs="+", metavar="NAME=FILES")
    parser.add_argument("--runs", default="runs/shift", type=Path)
    asked = parser.parse_args()
    texts = dict(text.split("=", 1) for text in asked.texts)
    (learnt, files), *_ = texts.items()
    run = evergrow.run(recipe_of(learnt, str(Path(files).absolute())), runs=asked.runs)
    sys.stdout.write(
        "| learnt | new | bits per byte | of old | proposed |\n|---|---|---|---|---|\n"
    )
    for name, glob in texts.items():
        found = evergrow.shift(run.folder / "main", glob)
        sys.stdout.write(
            f"| {learnt} {found['old'][0]['loss']:.2f} | {name} | {found['new']['loss']:.2f} "
            f"| {found['ratio']:.2f} | {100 * found['share']:g} % |\n"
        )


def recipe_of(name: str, files: str) -> dict[str, object]:
    """A tiny model of one text."""
    return {
        "name": f"shift-{name}",
        "sources": {name: {"files": files, "max_bytes": "3M", "drop_repeated_lines": 40}},
        "model": {"preset": "olmo2", "hidden": 96, "layers": 2},
        "train": {"sequence_length": 128, "batch_size": 4},
        "schedule": {"kind": "infinite", "peak_lr": 5e-3},
        "stages": [{"name": name, "data": name, "tokens": TOKENS}],
        "evaluate": {"sample_tokens": 0},
    }


if __name__ == "__main__":
    main()
