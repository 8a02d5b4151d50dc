"""What a terminal shows: progress while a recipe runs, and short tables after."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.tree import Tree

if TYPE_CHECKING:
    from evergrow.flow.dry import Plan, StagePlan
    from evergrow.flow.listener import Listener
    from evergrow.flow.listener import Progress as StageProgress
    from evergrow.flow.look import Listed
    from evergrow.run import Run

console = Console(highlight=False)
_BARS = "▁▂▃▄▅▆▇█"


@contextmanager
def watching() -> Iterator["Listener"]:
    """A listener that draws a bar for each stage being trained and prints sentences above them."""
    from evergrow.flow.listener import Listener

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[numbers]}"),
    )
    silent = not console.is_terminal  # bars are for eyes; a log gets the sentences alone
    with Progress(*columns, console=console, transient=True, disable=silent) as bars:
        tasks: dict[tuple[str, str], Any] = {}

        def progress(state: "StageProgress") -> None:
            key = (str(state.folder), state.stage)
            if key not in tasks:
                name = f"{_short(state.folder)} {state.stage}"
                tasks[key] = bars.add_task(name, total=state.total, numbers="")
            bars.update(tasks[key], completed=state.done, numbers=_numbers(state.record))
            if state.done == state.total:
                bars.remove_task(tasks.pop(key))

        yield Listener(
            progress, lambda text: bars.console.print(text, markup=False, soft_wrap=True)
        )


def _short(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}" if folder.name.startswith("seed-") else folder.name


def _numbers(record: dict[str, Any]) -> str:
    if "words" in record:  # work that is no training
        return str(record["words"])
    loss = "loss skipped" if record["loss"] is None else f"loss {record['loss']:.3f}"
    return (
        f"{loss}  lr {record['lr']:.2e}  {record['tokens_per_second']:,.0f}/s  "
        f"MFU {record['mfu']:.0%}  {megabytes(record['peak_memory_bytes'])}"
    )


def megabytes(num_bytes: float) -> str:
    """Bytes in MB or GB, as a person reads them."""
    return f"{num_bytes / 1e6:,.0f} MB" if num_bytes < 1e9 else f"{num_bytes / 1e9:,.1f} GB"


def show_summary(summary: dict[str, Any]) -> None:
    """The arms of a finished recipe, a line each."""
    title = f"{summary['name']}: {summary['unit']} on held-out data after the last stage"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("arm", no_wrap=True)
    for stream in summary["streams"]:
        table.add_column(stream, justify="right")
    for name in ("average", "forgetting", "peak", "tokens/s"):
        table.add_column(name, justify="right")
    for arm, numbers in summary["arms"].items():
        last = numbers["loss_matrix"][-1] if numbers["loss_matrix"] else []
        row = [_number(value) for value in last]
        row += [""] * (len(summary["streams"]) - len(row))
        row += [_number(numbers[k]) for k in ("average", "forgetting", "transient_peak")]
        speed = numbers["tokens_per_second"]
        table.add_row(arm, *row, "" if speed is None else f"{speed:,.0f}")
    console.print(table)
    for arm, numbers in summary["arms"].items():
        if sources := numbers["not_learnt"]:
            console.print(
                f"{arm}: not learnt, no better than the mean picture: {', '.join(sources)}; its "
                "forgetting says nothing",
                soft_wrap=True,
            )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def show_scores(records: Sequence[dict[str, Any]]) -> None:
    """Bits per byte with their intervals."""
    if any("num_pictures" in record for record in records):
        _show_picture_scores(records)
        return
    table = Table("source", "bits per byte", "95 % interval", "documents", "bytes")
    for r in records:
        interval = f"{r['low']:.3f} to {r['high']:.3f}"
        counts = (f"{r['num_documents']:,}", f"{r['num_bytes']:,}")
        table.add_row(r["source"], f"{r['loss']:.3f}", interval, *counts)
    console.print(table)


def _show_picture_scores(records: Sequence[dict[str, Any]]) -> None:
    """Losses with their intervals beside what a constant reaches, or the accuracy."""
    table = Table("source", "loss", "95 % interval", "mean picture", "accuracy", "pictures")
    for r in records:
        interval = f"{r['low']:.3f} to {r['high']:.3f}"
        beside = (_number(r.get("floor")), _number(r.get("accuracy")), f"{r['num_pictures']:,}")
        table.add_row(r["source"], f"{r['loss']:.3f}", interval, *beside)
    console.print(table)


def show_runs(runs: Sequence["Listed"]) -> None:
    """Every run with its state and size."""
    table = Table("run", "status", "stages", "tokens", "size")
    for run in runs:
        size = megabytes(run.num_bytes)
        table.add_row(str(run.path), run.status, run.stages, f"{run.tokens:,}", size)
    console.print(table)


def show_lineage(run: "Run") -> None:
    """The trunk, the releases that left it, and branches made on request."""
    manifest = run.manifest
    start = manifest.model.get("source", "not begun")
    tree = Tree(f"{manifest.name}, {manifest.arm}, seed {manifest.seed}: from {start}")
    per_step = manifest.stages[0].tokens // manifest.stages[0].num_steps
    for stage in manifest.stages:
        end = stage.first_step + stage.num_steps
        shared = f", shared with {stage.shared_with}" if stage.shared_with else ""
        node = tree.add(
            f"{stage.name} ({stage.status}{shared}): trunk to {end * per_step:,} tokens"
        )
        if stage.release:
            left = end if stage.fork_step is None else stage.fork_step
            node.add(f"release {stage.release}, left the trunk at {left * per_step:,} tokens")
        for branch in manifest.branches:
            if branch.stage == stage.name:
                left = branch.from_step * per_step
                node.add(f"release {branch.release}, {branch.tokens:,} tokens from {left:,}")
    console.print(tree)


def show_seen(run: "Run", sequence_length: int) -> None:
    """What every stage read: ranges of each source's own reading order, in windows."""
    table = Table("stage", "source", "windows read", "epochs so far", "replayed windows", "tokens")
    for stage in run.manifest.stages:
        for source, seen in stage.seen.items():
            count = seen.last - seen.first + seen.replayed
            table.add_row(
                stage.name,
                source,
                f"{seen.first:,} to {seen.last:,}" if seen.last > seen.first else "",
                f"{seen.epochs:.2f}" if seen.last else "",
                f"{seen.replayed:,}" if seen.replayed else "",
                f"{count * sequence_length:,}",
            )
    console.print(table)


def show_plan(plan: "Plan") -> None:
    """The plan of a recipe: rates as small pictures, tokens by source, cost."""
    table = Table("arm", "stage", "steps", "tokens by source", "learning rate", "release leaves at")
    top = max(rate for arm in plan.arms for stage in arm.stages for rate in stage.rates) or 1.0
    for arm in plan.arms:
        for stage in arm.stages:
            shared = " (shared)" if stage.name in arm.shared else ""
            reads = ", ".join(f"{name} {tokens:,}" for name, tokens in stage.reads.items())
            picture = "".join(_BARS[min(7, int(rate / top * 7.99))] for rate in stage.rates[::3])
            left = "the end" if stage.released_from is None else f"step {stage.released_from:,}"
            name = f"{arm.arm}, seed {arm.seed}"
            table.add_row(name, stage.name + shared, f"{stage.num_steps:,}", reads, picture, left)
    console.print(table)
    for arm in plan.arms:
        for stage in arm.stages:
            _show_growth(arm.arm, stage)
    console.print(
        f"{plan.num_parameters:,} parameters; "
        f"memory to train about {megabytes(plan.memory_bytes)}; "
        f"disk {megabytes(plan.disk_bytes)}; {plan.tokens_per_second:,.0f} tokens/s in one process "
        f"(three real steps), so about {plan.seconds / 60:.1f} min; nothing was written"
    )


def _show_growth(arm: str, stage: "StagePlan") -> None:
    """What the model becomes before a stage, axis by axis, and why that is exact or not."""
    if not stage.growth:
        return
    console.print(
        f"{arm}: before {stage.name} the model grows to {stage.num_parameters:,} parameters; "
        f"the stage takes {stage.flops:.2e} FLOPs",
        soft_wrap=True,
    )
    for verdict in stage.growth:
        sizes = f"{verdict.axis} {verdict.before} to {verdict.after}"
        console.print(f"  {sizes}: {verdict.exactness}; {verdict.reason}", soft_wrap=True)


_COSTS = {
    "num_parameters": "parameters",
    "flops_per_token": "FLOPs a token",
    "kv_cache_bytes_per_token": "KV cache a token",
    "weight_bytes": "weights",
    "training_bytes": "training, without activations",
}


def show_growth(record: dict[str, Any]) -> None:
    """A growth's verdicts axis by axis, what it costs, and the fields of config.json it changes."""
    if "axes" in record:
        table = Table("axis", "from", "to", "function", "how", "why", box=SIMPLE_HEAD)
        for axis in record["axes"]:
            sizes = (f"{axis['before']:,}", f"{axis['after']:,}")
            how = (axis["exactness"], axis["operator"], axis["reason"])
            table.add_row(axis["axis"], *sizes, *how)
        console.print(table)
    cost = record["cost"]
    table = Table("", "source", "grown", "ratio", box=SIMPLE_HEAD)
    for key, name in _COSTS.items():
        if key in cost["ratios"]:
            both = [_size_of(key, cost[side][key]) for side in ("source", "grown")]
            table.add_row(name, *both, f"{cost['ratios'][key]:.2f}")
    console.print(table)
    changes = [f"{name} {old} to {new}" for name, (old, new) in record["config"].items()]
    console.print(f"config.json: {', '.join(changes) or 'unchanged'}", soft_wrap=True)


def _size_of(key: str, value: float) -> str:
    if key.endswith("bytes"):
        return megabytes(value)
    return f"{value / 1e3:,.1f} kB" if "bytes" in key else f"{value:,}"


def show_verification(checked: dict[str, Any]) -> None:
    """Differences beside the source's own rounding, then gradients and symmetry in sentences."""
    table = Table("outputs", "largest", "mean", "KL", "top-1 agreement", box=SIMPLE_HEAD)
    rows = {
        "grown against source, float32": checked["difference"],
        "the same before rounding": checked["difference_before_rounding"],
        "on text": checked["text"],
        "source's own noise: float32": checked["noise"]["float32"],
        "source's own noise: bfloat16": checked["noise"]["bfloat16"],
    }
    for name, numbers in rows.items():
        if numbers is not None:
            kl, agreement = numbers.get("kl"), numbers.get("top1_agreement")
            table.add_row(
                name,
                f"{numbers['maximum']:.2g}",
                f"{numbers['mean']:.2g}",
                "" if kl is None else f"{kl:.2g}",
                "" if agreement is None else f"{agreement:.2%}",
            )
    console.print(table)
    for sentence in _verified(checked):
        console.print(sentence, soft_wrap=True)


def _verified(checked: dict[str, Any]) -> Iterator[str]:
    text = checked["text"]
    if text is not None and "source_loss" in text:
        yield f"loss on text: {text['source_loss']:.4f} before, {text['grown_loss']:.4f} after"
    if (mass := checked["difference"].get("new_token_mass")) is not None:
        yield f"new ids take {mass:.2%} of the probability"
    if (ratio := checked["gradient_norm"]["ratio"]) is not None:
        yield f"gradient norm: {ratio:.3g} times the source's"
    ratios = [b["ratio"] for b in checked["activation_rms"] if b["ratio"] is not None]
    if ratios:
        yield f"size of activations, block by block: {min(ratios):.3g} to {max(ratios):.3g} times"
    ranked = [m for m in checked["symmetry"] if m["rank"] is not None]
    locked = [m["kind"] for m in ranked if m["rank"] < min(m["shape"])]
    yield (
        f"rank: {len(ranked) - len(locked)} of {len(ranked)} kinds of matrices are free to use all "
        f"of it{'; not ' if locked else ''}{', '.join(locked)}"
    )
