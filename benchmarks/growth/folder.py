"""Growing a model folder: peak memory and time beside copying the files.

Writes a Llama-shaped folder of random weights into a temporary folder, a tensor at a time, and
works on it in processes of their own, so that each one's peak is its own. CPU times are all
threads'; growing has two, so that on a machine with two free cores wall times are what to read.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SIZES = {  # hidden, ffn, layers, vocabulary, type of the weights, and what grows
    "1b": (2048, 5632, 22, 32_000, "bfloat16", "ffn=9728"),
    "150m": (768, 2048, 16, 32_000, "bfloat16", "ffn=3072"),
    "125m": (768, 2048, 12, 32_000, "float32", "ffn=3072"),
    "smoke": (256, 704, 4, 2_000, "bfloat16", "ffn=1216"),
}
LIMIT = 1.3  # of the larger model's size
GOALS = {"grow": 2, "apply": 5}  # of the time of copying


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--size", choices=list(SIZES), default="1b")
    parser.add_argument("--to", help="what grows; default: the feed-forward width, to 1.5B")
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    parser.add_argument("--rounds", type=int, default=3, help="the fastest of each is reported")
    parser.add_argument("--noise", type=float, help="as of evergrow grow apply")
    parser.add_argument("--step", nargs=4, help=argparse.SUPPRESS)
    return parser.parse_args()


def write_source(folder: Path, size: str) -> None:
    """Config and random weights, N(0, .02), gains 1, as transformers would name them."""
    import torch

    from evergrow.models.weights import write_weights

    hidden, ffn, layers, vocabulary, dtype, _ = SIZES[size]
    heads, kv_heads = hidden // 64, hidden // 512 or 1
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": ffn,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocabulary,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
        "dtype": dtype,
    }
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, hidden)}
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        shapes |= {
            f"{prefix}input_layernorm.weight": (hidden,),
            f"{prefix}self_attn.q_proj.weight": (hidden, hidden),
            f"{prefix}self_attn.k_proj.weight": (64 * kv_heads, hidden),
            f"{prefix}self_attn.v_proj.weight": (64 * kv_heads, hidden),
            f"{prefix}self_attn.o_proj.weight": (hidden, hidden),
            f"{prefix}post_attention_layernorm.weight": (hidden,),
            f"{prefix}mlp.gate_proj.weight": (ffn, hidden),
            f"{prefix}mlp.up_proj.weight": (ffn, hidden),
            f"{prefix}mlp.down_proj.weight": (hidden, ffn),
        }
    shapes |= {"model.norm.weight": (hidden,), "lm_head.weight": (vocabulary, hidden)}
    generator, kind = torch.Generator().manual_seed(0), getattr(torch, dtype)

    def make(name: str) -> torch.Tensor:
        shape = shapes[name]
        if len(shape) == 1:
            return torch.ones(shape, dtype=kind)
        return torch.randn(shape, generator=generator).mul_(0.02).to(kind)

    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    write_weights(folder, {name: (kind, s) for name, s in shapes.items()}, make)


def step(name: str, source: Path, folder: Path, grow: str) -> dict[str, Any]:
    """Do one step in this process; returns its seconds, CPU seconds and the process's peak memory.

    The step "source" writes the folder of the size that ``source`` names.
    """
    from evergrow.disk import new_folder
    from evergrow.grow.config import GrowConfig
    from evergrow.grow.folder import grow_folder, look_ahead, write_grown
    from evergrow.grow.record import hashes_of

    settings = GrowConfig(**json.loads(grow))
    if name in GOALS:  # what Python and torch load once is not the growth's time
        write_source(folder.with_name("tiny"), "smoke")
        tiny = GrowConfig(to={"ffn": 1216})
        grow_folder(folder.with_name("tiny"), tiny, folder.with_name("less-tiny"))
        for path in ("tiny", "less-tiny"):
            shutil.rmtree(folder.with_name(path))
    before = peak_bytes()
    begun, cpu = time.perf_counter(), time.process_time()
    if name == "source":
        write_source(folder, str(source))
    elif name == "copy":
        shutil.copytree(source, folder)
        for file in folder.iterdir():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
    elif name == "grow":
        outlook = look_ahead(source, settings)
        with ThreadPoolExecutor(1) as beside, new_folder(folder) as unfinished:
            beside.submit(hashes_of, outlook.source)
            write_grown(outlook, unfinished)
    elif name == "apply":
        record = grow_folder(source, settings, folder)
        print(json.dumps(summary(record)), file=sys.stderr)
    return {
        "seconds": time.perf_counter() - begun,
        "cpu_seconds": time.process_time() - cpu,
        "peak_bytes": peak_bytes(),
        "imports_bytes": before,
        "folder_bytes": sum(f.stat().st_size for f in folder.glob("*.safetensors")),
    }


def summary(record: dict[str, Any]) -> dict[str, Any]:
    """The verification's main numbers."""
    checked = record["verification"]
    return {
        "exactness": record["exactness"],
        "difference": checked["difference"]["maximum"],
        "before_rounding": (checked["difference_before_rounding"] or {}).get("maximum"),
        "noise": {name: found["maximum"] for name, found in checked["noise"].items() if found},
        "gradient_ratio": checked["gradient_norm"]["ratio"],
    }


def peak_bytes() -> int:
    """The most memory that this process ever held, pages of mapped files included."""
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def measure(name: str, source: Path, folder: Path, grow: str) -> dict[str, Any]:
    """Run a step in a new process; the folder it writes stays."""
    command = [sys.executable, __file__, "--step", name, str(source), str(folder), grow]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}  # spinning threads count as work on a busy box
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-2000:]}")
    if done.stderr.strip().startswith("{"):
        print(f"verified: {done.stderr.strip().splitlines()[0]}")
    return json.loads(done.stdout)


def main() -> None:
    arguments = parse_arguments()
    if arguments.step:
        name, source, folder, grow = arguments.step
        print(json.dumps(step(name, Path(source), Path(folder), grow)))
        return
    to = arguments.to or SIZES[arguments.size][-1]
    settings: dict[str, Any] = {"to": dict(pair.split("=") for pair in to.split(","))}
    if arguments.noise is not None:
        settings["noise"] = arguments.noise
    grow = json.dumps(settings)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        here = Path(temporary)
        measure("source", Path(arguments.size), here / "source", grow)
        rows: dict[str, dict[str, Any]] = {}
        for _ in range(arguments.rounds):
            for name, origin in (("grow", "source"), ("copy", "grow"), ("apply", "source")):
                shutil.rmtree(here / name, ignore_errors=True)
                row = measure(name, here / origin, here / name, grow)
                known = rows.get(name, row)
                rows[name] = row | {
                    key: min(row[key], known[key]) for key in ("seconds", "cpu_seconds")
                }
    report(rows, to)


def report(rows: dict[str, dict[str, Any]], to: str) -> None:
    """Ratios to the larger model's size and to copying it."""
    size, copy = rows["grow"]["folder_bytes"], rows["copy"]
    print(f"grown by {to} to {size / 1e9:.2f} GB of weights")
    head = ("peak / size", "peak MB", "wall / copy", "CPU / copy", "CPU s")
    print(f"{'':8}" + "".join(f"{word:>13}" for word in head))
    for name, row in rows.items():
        wall, cpu = row["seconds"] / copy["seconds"], row["cpu_seconds"] / copy["cpu_seconds"]
        peak = row["peak_bytes"]
        numbers = f"{peak / size:13.2f}{peak / 1e6:13,.0f}{wall:13.1f}{cpu:13.1f}"
        print(f"{name:8}{numbers}{row['cpu_seconds']:13.1f}")
    print(
        "grow hashes the source and writes the weights, copy copies them, apply also verifies; "
        f"{rows['grow']['imports_bytes'] / 1e6:,.0f} MB were there before any work"
    )
    for name, goal in GOALS.items():
        times = rows[name]["seconds"] / copy["seconds"]
        print(f"goal: {name} within {goal} x copying: {'met' if times <= goal else 'missed'}")
    if size < 10**9:
        return  # the imports alone are larger
    worst = max(rows["grow"]["peak_bytes"], rows["apply"]["peak_bytes"]) / size
    print(f"goal: peak under {LIMIT} x the larger model: {'met' if worst < LIMIT else 'missed'}")


if __name__ == "__main__":
    main()
