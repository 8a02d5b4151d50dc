"""Commands that grow a model: grow plan, grow apply, grow verify; what grew and how exactly."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from evergrow.cli.options import ModelName
from evergrow.cli.terminal import console, megabytes
from evergrow.errors import EvergrowError, InputError

app = typer.Typer(rich_markup_mode=None)
grow = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="A larger model that computes the same function, or one without its least parts.",
)
app.add_typer(grow, name="grow")

To = Annotated[
    str, typer.Option(metavar="SIZES", help="Such as hidden=768,heads=12,ffn=3072,layers=12.")
]
Layers = Annotated[
    str | None,
    typer.Option(help="The source's blocks in the order of the grown one's, such as 0-23,8-31."),
]
NewTokenizer = Annotated[
    str | None,
    typer.Option("--tokenizer", help="A folder with the tokenizer to read by from now on."),
]
NumExperts = Annotated[
    int | None, typer.Option("--experts", help="A dense model becomes a mixture of so many.")
]
PerToken = Annotated[int, typer.Option("--per-token", help="Experts a token goes through.")]
Drop = Annotated[float, typer.Option(help="Share of each expert's neurons that is drawn anew.")]
Method = Literal["auto", "fpi", "fpi_random", "aki", "lemon", "zero", "sqrt", "average"]
Depth = Literal["auto", "identity", "stack"]
Goal = Literal["keep", "speed"]
WidthMethod = Annotated[Method, typer.Option(help="Operator of the widths.")]
DepthMethod = Annotated[Depth, typer.Option(help="Operator of layers.")]
GrowGoal = Annotated[Goal, typer.Option(help="What depth auto serves: old knowledge or speed.")]
Noise = Annotated[
    float | None, typer.Option(help="Invisible noise, as a share of a matrix's size.")
]
GrowSeed = Annotated[int, typer.Option("--seed", help="Of copies, splits and noise.")]
Json = Annotated[bool, typer.Option("--json", help="Print everything as JSON.")]
TextData = Annotated[
    list[str] | None,
    typer.Option("--data", help="Text to compare on too, or to shrink by: a glob."),
]


def _grow_config(to: str, **settings: Any) -> Any:
    from evergrow.config import decode
    from evergrow.grow.config import GrowConfig

    pairs = [size.strip().partition("=") for size in to.split(",") if to]
    if wrong := [axis for axis, equals, _ in pairs if not equals]:
        raise InputError(f"--to: expected sizes such as hidden=768,heads=12, got {wrong[0]!r}")
    sizes = {axis: size for axis, _, size in pairs}
    return decode(GrowConfig, {"to": sizes, **settings}, "grow")


def _experts(number: int | None, per_token: int, drop: float) -> dict[str, float] | None:
    if number is None and (per_token, drop) != (2, 0.0):
        raise InputError("--per-token and --drop belong to --experts; say how many there are")
    return None if number is None else {"number": number, "per_token": per_token, "drop": drop}


def _show_json(record: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(record, indent=1, sort_keys=True) + "\n")


@grow.command("plan")
def grow_plan(
    source: ModelName,
    to: To = "",
    layers: Layers = None,
    tokenizer: NewTokenizer = None,
    experts: NumExperts = None,
    per_token: PerToken = 2,
    drop: Drop = 0.0,
    method: WidthMethod = "auto",
    depth: DepthMethod = "auto",
    goal: GrowGoal = "keep",
    noise: Noise = None,
    seed: GrowSeed = 0,
    data: TextData = None,
    as_json: Json = False,
) -> None:
    """What a growth would do, axis by axis, and what it costs; touches no weights.

    Smaller sizes shrink the model: what does least on the text of --data goes.
    """
    config = _grow_config(
        to,
        layers=layers,
        tokenizer=tokenizer,
        experts=_experts(experts, per_token, drop),
        method=method,
        depth=depth,
        goal=goal,
        noise=noise,
        seed=seed,
    )
    from evergrow.models.find import refuse_no_path

    refuse_no_path(source)
    from evergrow.flow.grow_folders import annealed, plan

    record = plan(source, config, data or [])
    if as_json:
        _show_json(record)
        return
    if said := annealed(source):
        console.print(said, soft_wrap=True)
    show_growth(record)


@grow.command("apply")
def grow_apply(
    source: ModelName,
    out: Annotated[Path, typer.Option(help="The new folder.")],
    to: To = "",
    layers: Layers = None,
    tokenizer: NewTokenizer = None,
    experts: NumExperts = None,
    per_token: PerToken = 2,
    drop: Drop = 0.0,
    method: WidthMethod = "auto",
    depth: DepthMethod = "auto",
    goal: GrowGoal = "keep",
    noise: Noise = None,
    seed: GrowSeed = 0,
    data: TextData = None,
) -> None:
    """Write the grown model, verify it, and keep what was done in its growth.json."""
    config = _grow_config(
        to,
        layers=layers,
        tokenizer=tokenizer,
        experts=_experts(experts, per_token, drop),
        method=method,
        depth=depth,
        goal=goal,
        noise=noise,
        seed=seed,
    )
    from evergrow.models.find import refuse_no_path

    refuse_no_path(source)
    from evergrow.flow.grow_folders import annealed, apply
    from evergrow.grow.companions import stays_behind

    if said := annealed(source):
        console.print(said, soft_wrap=True)
    record = apply(source, config, out, data or [])
    show_growth(record)
    show_verification(record)
    console.print(record["learning_rate"]["rule"], soft_wrap=True)
    for sentence in stays_behind(record["left_behind"]):
        console.print(sentence, soft_wrap=True)
    console.print(f"{_done(record)}: {out}", soft_wrap=True)


@grow.command("verify")
def grow_verify(
    source: ModelName,
    grown: Annotated[str, typer.Argument(help="The model grown from it.")],
    data: TextData = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Largest difference of an output that is accepted.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare a grown model with its source; ends with 1 when it is not what was planned."""
    from evergrow.models.find import refuse_no_path

    refuse_no_path(source)
    refuse_no_path(grown)
    from evergrow.flow.grow_folders import verify

    record = verify(source, grown, data or [], tolerance)
    if as_json:
        _show_json(record)
    else:
        show_growth(record)
        show_verification(record)
    if record["problems"]:
        raise EvergrowError(f"{grown}: {'; '.join(record['problems'])}")
    if not as_json:
        console.print(f"{grown}: verified, it is what was planned", soft_wrap=True)


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
    if (pruning := record.get("pruning")) and pruning["influence"]:
        _show_influence(pruning)
    cost = record["cost"]
    table = Table("", "source", _done(record), "ratio", box=SIMPLE_HEAD)
    for key, name in _COSTS.items():
        if key in cost["ratios"]:
            both = [_size_of(key, cost[side][key]) for side in ("source", "grown")]
            table.add_row(name, *both, f"{cost['ratios'][key]:.2f}")
    console.print(table)
    changes = [f"{name} {old} to {new}" for name, (old, new) in record["config"].items()]
    console.print(f"config.json: {', '.join(changes) or 'unchanged'}", soft_wrap=True)
    if unread := record.get("unread"):
        said = f"config.json: carried, though nothing reads them: {', '.join(unread)}"
        console.print(said, soft_wrap=True)


def _show_influence(pruning: dict[str, Any]) -> None:
    """What each block of the source does to what passes through it."""
    from evergrow.grow.config import numbers_in

    stay = set(numbers_in(pruning["blocks"]))
    table = Table("block", "1 - cosine of input and output", "", box=SIMPLE_HEAD)
    for block, influence in enumerate(pruning["influence"]):
        table.add_row(str(block), f"{influence:.4f}", "stays" if block in stay else "goes")
    console.print(table)


def _done(record: dict[str, Any]) -> str:
    return "pruned" if "pruning" in record else "grown"


def _size_of(key: str, value: float) -> str:
    if key.endswith("bytes"):
        return megabytes(value)
    return f"{value / 1e3:,.1f} kB" if "bytes" in key else f"{value:,}"


def show_verification(record: dict[str, Any]) -> None:
    """Differences beside the source's own rounding, then gradients and symmetry in sentences."""
    checked, done = record["verification"], _done(record)
    table = Table("outputs", "largest", "mean", "KL", "top-1 agreement", box=SIMPLE_HEAD)
    rows = {
        f"{done} against source, float32": checked["difference"],
        "the same before rounding": checked["difference_before_rounding"],
        "on text": checked["text"] if "maximum" in (checked["text"] or {}) else None,
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
    if done == "pruned":
        console.print("pruned: another function, and the numbers say how far", soft_wrap=True)
    for sentence in _verified(checked, done):
        console.print(sentence, soft_wrap=True)


def _verified(checked: dict[str, Any], done: str) -> Iterator[str]:
    text = checked["text"]
    if text is not None and "source_loss" in text:
        yield f"loss on text: {text['source_loss']:.4f} before, {text['grown_loss']:.4f} after"
    if text is not None and "source_bits_per_byte" in text:
        both = (text["source_bits_per_byte"], text["grown_bits_per_byte"])
        whose = "" if "source_loss" in text else ", each by its own tokenizer"
        yield f"bits per byte of text{whose}: {both[0]:.4f} before, {both[1]:.4f} after"
    if (mass := checked["difference"].get("new_token_mass")) is not None:
        yield f"new ids take {mass:.2%} of the probability"
    if (ratio := checked["gradient_norm"]["ratio"]) is not None:
        yield f"gradient norm: {ratio:.3g} times the source's"
    ratios = [b["ratio"] for b in checked["activation_rms"] if b["ratio"] is not None]
    if ratios:
        yield f"size of activations, block by block: {min(ratios):.3g} to {max(ratios):.3g} times"
    if done == "pruned":
        return  # nothing is a copy
    kinds = checked["symmetry"]
    locked = [
        f"{m['kind']} ({m['locked_rows']} rows, {m['locked_columns']} columns)"
        for m in kinds
        if m["locked_rows"] or m["locked_columns"]
    ]
    yield (
        f"copies: {len(kinds) - len(locked)} of {len(kinds)} kinds of matrices are free to part"
        f"{'; alike for ever: ' if locked else ''}{', '.join(locked)}"
    )
