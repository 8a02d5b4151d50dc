"""What a terminal shows of ``continue --dry``: the shift of the data, and the stage ahead."""

from typing import TYPE_CHECKING

from rich.table import Table

from evergrow.cli.terminal import console

if TYPE_CHECKING:
    from evergrow.flow.ahead import NextStage
    from evergrow.flow.shift import Shift


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


def show_stage(stage: "NextStage") -> None:
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
