"""`evergrow grow`: parse, call one function, print. Heavy imports happen inside the commands."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

grow_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="A larger model that computes the same function: planned, written, verified.",
)
Source = Annotated[str, typer.Argument(help="A model folder, a run (its release) or a hub id.")]
To = Annotated[
    str, typer.Option(metavar="SIZES", help="Such as hidden=768,heads=12,ffn=3072,layers=12.")
]
Method = Literal[
    "auto", "fpi", "fpi_random", "aki", "lemon", "hyperclone", "zero", "sqrt", "average"
]
Depth = Literal["auto", "identity", "stack", "interleave", "interpolate"]
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
    list[str] | None, typer.Option("--data", help="Text to compare on too: a glob.")
]


def _grow_config(to: str, **settings: Any) -> Any:
    from evergrow.config import decode
    from evergrow.errors import InputError
    from evergrow.grow.config import GrowConfig

    pairs = [size.strip().partition("=") for size in to.split(",")]
    if wrong := [axis for axis, equals, _ in pairs if not equals]:
        raise InputError(f"--to: expected sizes such as hidden=768,heads=12, got {wrong[0]!r}")
    sizes = {axis: size for axis, _, size in pairs}
    return decode(GrowConfig, {"to": sizes, **settings}, "grow")


def _show_json(record: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(record, indent=1, sort_keys=True) + "\n")


@grow_app.command("plan")
def grow_plan(
    source: Source,
    to: To,
    method: WidthMethod = "auto",
    depth: DepthMethod = "auto",
    goal: GrowGoal = "keep",
    noise: Noise = None,
    seed: GrowSeed = 0,
    as_json: Json = False,
) -> None:
    """What a growth would do, axis by axis, and what it costs; touches no weights."""
    grow = _grow_config(to, method=method, depth=depth, goal=goal, noise=noise, seed=seed)
    from evergrow import screen
    from evergrow.flow.grow_folders import plan

    record = plan(source, grow)
    if as_json:
        _show_json(record)
    else:
        screen.show_growth(record)


@grow_app.command("apply")
def grow_apply(
    source: Source,
    to: To,
    out: Annotated[Path, typer.Option(help="The new folder.")],
    method: WidthMethod = "auto",
    depth: DepthMethod = "auto",
    goal: GrowGoal = "keep",
    noise: Noise = None,
    seed: GrowSeed = 0,
    data: TextData = None,
) -> None:
    """Write the grown model, verify it, and keep what was done in its growth.json."""
    grow = _grow_config(to, method=method, depth=depth, goal=goal, noise=noise, seed=seed)
    from evergrow import screen
    from evergrow.flow.grow_folders import apply

    record = apply(source, grow, out, data or [])
    screen.show_growth(record)
    screen.show_verification(record["verification"])
    screen.console.print(record["learning_rate"]["rule"], soft_wrap=True)
    screen.console.print(f"grown: {out}", soft_wrap=True)


@grow_app.command("verify")
def grow_verify(
    source: Source,
    grown: Annotated[str, typer.Argument(help="The model grown from it.")],
    data: TextData = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Largest difference of an output that is accepted.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare a grown model with its source; ends with 1 when it is not what was planned."""
    from evergrow import screen
    from evergrow.errors import EvergrowError
    from evergrow.flow.grow_folders import verify

    record = verify(source, grown, data or [], tolerance)
    if as_json:
        _show_json(record)
    else:
        screen.show_growth(record)
        screen.show_verification(record["verification"])
    if record["problems"]:
        raise EvergrowError(f"{grown}: {'; '.join(record['problems'])}")
