"""What a terminal shows of ``continue --dry``: the shift of the data, and the stage ahead."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from evergrow.cli.live import watching
from evergrow.cli.terminal import console

if TYPE_CHECKING:
    from evergrow.flow.ahead import Ahead, NextStage
    from evergrow.flow.asked import Mix
    from evergrow.flow.shift import Shift


def show_ahead_of_run(
    run: Path,
    data: Sequence[str],
    tokens: int,
    name: str,
    settings: Mapping[str, Any],
    mix: "Mix | None",
) -> None:
    """Load a run's newest release, measure, print; nothing is written."""
    from evergrow.flow.ahead import ahead_of_run

    show_ahead(ahead_of_run(run, data, tokens, name, settings, mix))


def show_ahead_of_model(
    model: str,
    data: Sequence[str],
    tokens: int,
    name: str,
    runs: Path,
    settings: Mapping[str, Any],
    evaluate: Sequence[str],
    mix: "Mix | None",
) -> None:
    """The same of a model without a run."""
    from evergrow.flow.ahead import ahead_of_model

    with watching() as listener:
        found = ahead_of_model(model, data, tokens, name, runs, listener, settings, evaluate, mix)
    show_ahead(found)


def show_ahead(found: "Ahead") -> None:
    """The shift, then the plan."""
    from evergrow.cli.run import show_plan

    if found.shift is not None:
        show_shift(found.shift)
    if found.stage is not None:
        _show_stage(found.stage)
    if found.plan is not None:
        show_plan(found.plan)


def show_shift(found: "Shift") -> None:
    """A line a text; the proposed share of old text and the rate, each with its source."""
    title = f"{found.model}, loaded to measure: bits per byte"
    table = Table(title=title, title_justify="left")
    for head in ("text", "bits per byte", "95 % interval", "bytes", "measured"):
        table.add_column(head, justify="right" if head == "bytes" else "left")
    for text in (found.new, *found.old):
        table.add_row(
            text.name,
            f"{text.loss:.3f}",
            f"{text.low:.3f} to {text.high:.3f}",
            f"{text.num_bytes:,}",
            "recorded, all that is held out" if text.recorded else "now, a sample",
        )
    console.print(table)
    lines = [f"old text: {found.option}: {found.why_share}", f"rate: {found.why_rate}"]
    if not found.old:
        lines.append("give old text as --evaluate to see how far the new lies from it")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def _show_stage(stage: "NextStage") -> None:
    last = (
        "" if stage.seconds is None else f", about {stage.seconds / 60:.1f} min as fast as before"
    )
    console.print(
        f"{stage.name}: {stage.num_steps:,} steps, {stage.tokens:,} tokens, of these "
        f"{100 * stage.replay:g} % replayed{last}; rate {stage.first_rate:.3g} first, "
        f"{stage.highest_rate:.3g} highest, its release ends at {stage.last_rate:.3g}; "
        "nothing was written",
        soft_wrap=True,
    )
