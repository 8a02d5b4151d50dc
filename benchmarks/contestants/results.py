"""Medians, ratios to the bare loop, goals, and the table that shows them."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from contestants.driver import Block, Plan
from contestants.shapes import SHAPES, Shape

MIB = 1 << 20
# Dense bf16 FLOP/s from the vendor's data sheets.
PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}


def summarise(plan: Plan, blocks: Mapping[str, Sequence[Block]], peak: float | None) -> dict:
    """What each contestant cost: CPU time on a CPU, wall time on a GPU; ``peak`` is FLOP/s or None.

    ``speed`` is the bare loop's time over the contestant's, block by block of the same round.
    """
    shape = SHAPES[plan.device][plan.size]
    clock = "wall_seconds" if plan.device == "cuda" else "cpu_seconds"
    bare = [getattr(block, clock) for block in blocks["bare"][1:]]
    return {
        name: _row(plan, shape, blocks_of, bare, clock, peak) for name, blocks_of in blocks.items()
    }


def _row(
    plan: Plan,
    shape: Shape,
    blocks: Sequence[Block],
    bare_seconds: Sequence[float],
    clock: str,
    peak: float | None,
) -> dict[str, Any]:
    timed = blocks[1:]
    ratios = [b / getattr(own, clock) for own, b in zip(timed, bare_seconds, strict=True)]
    wall = median(block.wall_seconds for block in timed) / plan.block_steps
    tokens_per_second = shape.tokens_per_step / wall
    return {
        "cpu_seconds_per_step": median(block.cpu_seconds for block in timed) / plan.block_steps,
        "wall_seconds_per_step": wall,
        "tokens_per_second": tokens_per_second,
        "mfu": tokens_per_second * shape.flops_per_token / peak if peak else None,
        "speed": median(ratios),
        "speed_low": min(ratios),
        "speed_high": max(ratios),
        "peak_memory_mib": blocks[-1].peak_memory_bytes / MIB,
        "import_memory_mib": blocks[-1].import_memory_bytes / MIB,
        "loss_after_warm_up": blocks[0].loss,
        "blocks": [block._asdict() for block in blocks],
    }


def table(plan: Plan, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """The rows as text."""
    shape = SHAPES[plan.device][plan.size]
    lines = [
        f"\n{plan.size} on {plan.device}: {shape.num_parameters / 1e6:.1f}M parameters, batch "
        f"{shape.batch_size} x {shape.sequence_length}, {plan.num_blocks} blocks of "
        f"{plan.block_steps} steps",
        f"{'':16}{'CPU s/step':>11}{'wall s/step':>12}{'tokens/s':>10}{'MFU':>7}"
        f"{'speed':>8}  {'(min to max)':15}{'peak MiB':>9}{'imports':>8}  loss",
    ]
    for name, row in rows.items():
        mfu = "-" if row["mfu"] is None else f"{row['mfu']:.1%}"
        spread = f"({row['speed_low']:.3f} to {row['speed_high']:.3f})"
        lines.append(
            f"{name:16}{row['cpu_seconds_per_step']:11.4f}{row['wall_seconds_per_step']:12.4f}"
            f"{row['tokens_per_second']:10.0f}{mfu:>7}{row['speed']:8.3f}  {spread:15}"
            f"{row['peak_memory_mib']:9.0f}{row['import_memory_mib']:8.0f}"
            f"  {row['loss_after_warm_up']:.5f}"
        )
    return "\n".join(lines)


def goals(size: str, rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The goals on a CPU, one line each; only for contestants that ran."""
    if "evergrow" not in rows:
        return []
    own = rows["evergrow"]
    lines = [_verdict("of the bare loop's speed", own["speed"], 0.97)]
    for peer in rows.keys() - {"evergrow", "bare"}:
        least = 0.97 if size == "124m" else 1.0  # 124m is bound by matrix products
        lines.append(_verdict(f"of {peer}'s speed", own["speed"] / rows[peer]["speed"], least))
        memory = rows[peer]["peak_memory_mib"] / own["peak_memory_mib"]
        lines.append(_verdict(f"{peer}'s peak memory over evergrow's", memory, 1.0))
    return sorted(lines)


def _verdict(what: str, value: float, least: float) -> str:
    return f"{'met   ' if value >= least else 'MISSED'} {value:.3f} {what} (goal: {least} or more)"
