"""Speed of evergrow's training loop beside a bare PyTorch loop, HF Trainer and litgpt.

The contestants train the same model shape on the same batches, each in a process of its own, a
block of steps at a time in turn, so that a slower minute of the machine hits all of them.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contestants.driver import Plan, WorkerDiedError, alternate
from contestants.environments import CONTESTANTS, PINS, InstallationError, is_ready, prepare
from contestants.results import PEAK_FLOPS, goals, summarise, table
from contestants.shapes import SHAPES

BLOCK_STEPS = {"1m": 20, "10m": 5, "124m": 2, "smollm2": 1}  # on a CPU, about 5 to 10 s a block
GPU_BLOCK_STEPS = 20
NOTES = """
speed: the bare loop's CPU time (wall time on a GPU) over the contestant's, median over rounds; more
  than 1 is faster than the bare loop. loss: cross-entropy at the last warm-up step; where the
  mathematics is the same it agrees.
imports: the part of the peak that is resident before a model is built, in MiB.
evergrow also guards against spikes, masks repeated n-grams and keeps every step's metrics.
trainer is handed the bare loop's loss function and optimiser.
litgpt has no z-loss, sums its cross-entropy in chunks of 128 tokens, decays the embedding table,
  computes q, k and v in one product, leaves AdamW unfused on a CPU and draws other initial weights.
  It always compiles its model: here that is switched off; litgpt-compiled leaves it on.
"""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--sizes", help="such as 1m,10m,124m; default: all of the device")
    parser.add_argument("--device", choices=sorted(SHAPES), default="cpu")
    parser.add_argument("--contestants", help="default: all but litgpt-compiled; bare always runs")
    parser.add_argument("--blocks", type=int, default=7, help="timed blocks per contestant")
    parser.add_argument("--steps", type=int, help="steps a block; default: by size")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads per contestant")
    parser.add_argument("--output", type=Path, help="JSON file; default: results/speed-<device>")
    parser.add_argument("--smoke", action="store_true", help="two blocks of 1m, installs nothing")
    return parser.parse_args()


def choose_contestants(arguments: argparse.Namespace) -> list[str]:
    """The names to run: the bare loop and those asked for; on a GPU and in a smoke run fewer."""
    if arguments.contestants:
        asked = {"bare", *arguments.contestants.split(",")}
        if strangers := asked - CONTESTANTS.keys():
            sys.exit(f"--contestants: {min(strangers)} is none of {', '.join(CONTESTANTS)}")
    elif arguments.device == "cuda":
        asked = {"evergrow", "bare"}
    else:
        asked = CONTESTANTS.keys() - {"litgpt-compiled"}
    return [
        name
        for name, contestant in CONTESTANTS.items()
        if name in asked and (not arguments.smoke or is_ready(contestant))
    ]


def choose_sizes(arguments: argparse.Namespace) -> list[str]:
    """The sizes to run, checked against those the device has."""
    known = SHAPES[arguments.device]
    if arguments.smoke:
        return [next(iter(known))]
    sizes = arguments.sizes.split(",") if arguments.sizes else list(known)
    if strangers := set(sizes) - known.keys():
        sys.exit(f"--sizes: {min(strangers)} is none of {', '.join(known)} on {arguments.device}")
    return sizes


def gpu_name() -> str:
    """The first GPU's name, empty without one; asked in a process of its own to stay small here."""
    code = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def describe_environment(arguments: argparse.Namespace, gpu: str) -> dict[str, Any]:
    """Machine, versions and date."""
    packages = [sys.executable, "-m", "pip", "freeze", "--exclude-editable"]
    frozen = subprocess.run(packages, capture_output=True, text=True, check=True).stdout.split("\n")
    wanted = ("torch==", "transformers==", "numpy==")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(sys.argv),
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "gpu": gpu or None,
        "threads": arguments.threads,
        "python": platform.python_version(),
        "versions": [line for line in frozen if line.startswith(wanted)],
        "peers": PINS,
    }


def processor() -> str:
    """The processor's name where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def run_size(arguments: argparse.Namespace, size: str, names: list[str], gpu: str) -> dict:
    """Time one size, print it, and return its rows."""
    by_size = GPU_BLOCK_STEPS if arguments.device == "cuda" else BLOCK_STEPS[size]
    steps, blocks = (2, 2) if arguments.smoke else (arguments.steps or by_size, arguments.blocks)
    if SHAPES[arguments.device][size].num_kv_heads is not None:  # written out for OLMo 2 alone
        names = [name for name in names if not name.startswith("litgpt")]
    plan = Plan(size, arguments.device, arguments.threads, steps, blocks, names)
    peaks = [flops for name, flops in PEAK_FLOPS.items() if name in gpu]
    rows = summarise(plan, alternate(plan), peaks[0] if peaks else None)
    print(table(plan, rows), flush=True)
    if arguments.device == "cpu" and not arguments.smoke:
        print("\n".join(goals(size, rows)), flush=True)
    return rows


def main() -> None:
    arguments = parse_arguments()
    names, sizes = choose_contestants(arguments), choose_sizes(arguments)
    gpu = gpu_name() if arguments.device == "cuda" else ""
    if arguments.device == "cuda" and not gpu:
        print("--device cuda: no GPU can be had here; run with --device cpu", file=sys.stderr)
        sys.exit(2)
    try:
        for name in names:
            prepare(CONTESTANTS[name])
        environment = describe_environment(arguments, gpu)
        print(f"{environment['processor']}, {arguments.threads} threads, {environment['date']}")
        results = {size: run_size(arguments, size, names, gpu) for size in sizes}
    except (WorkerDiedError, InstallationError) as error:
        sys.exit(str(error))
    print(NOTES)
    default = None if arguments.smoke else Path(__file__).parent / "results"
    output = arguments.output or (default and default / f"speed-{arguments.device}.json")
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps({"environment": environment, "sizes": results}, indent=1))
        print(f"written to {output}")


if __name__ == "__main__":
    main()
