"""README.md of a grown folder: what was done, and the source's card below as what it is."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evergrow.grow.record import FILE

# The hub shows these results as the model's own; they are the source's.
_RESULTS = re.compile(r"^model-index:.*\n(?:[ \t-].*\n|\n)*", re.MULTILINE)
_FRONT = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def grown_card(source: Path, record: Mapping[str, Any]) -> str:
    """Markdown in the hub's form; licence and tags stay, the source's results are not claimed."""
    path = source / "README.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    front = _FRONT.match(text)
    head = "" if front is None else _RESULTS.sub("", front[0]) + "\n"
    body = text.removeprefix("" if front is None else front[0]).strip()
    done = "pruned" if "pruning" in record else "grown"
    below = [_SOURCE.format(done, done), demoted(body)] if body else []
    title = "# Pruned model" if "pruning" in record else "# Grown model"
    return head + "\n\n".join([title, *_grown(record), *below]) + "\n"


_SOURCE = (
    "## The model it was {} from\n\nIts own card follows. Sizes, training and scores in it are "
    "those of the source: the {} model was not measured by them."
)


def _grown(record: Mapping[str, Any]) -> list[str]:
    cost, pruned = record["cost"], "pruning" in record
    rows = [
        f"| {a['axis']} | {a['before']:,} | {a['after']:,} | {a['operator']} | {a['exactness']} |"
        for a in record["axes"]
    ]
    return [
        f"{'Pruned' if pruned else 'Grown'} by evergrow {record['evergrow']} from "
        f"{cost['source']['num_parameters']:,} to {cost['grown']['num_parameters']:,} parameters, "
        f"and not trained since. {(_lost if pruned else _kept)(record['verification'])} "
        f"`{FILE}` holds every tensor's origin.",
        "\n".join(["| axis | from | to | operator | function |", "| --- " * 5 + "|", *rows]),
        *(f"- {a['axis']}: {a['reason']}" for a in record["axes"] if pruned),
    ]


def _kept(checked: Mapping[str, Any]) -> str:
    return (
        "On random input its outputs differ from the source's by at most "
        f"{checked['difference']['maximum']:.2g} in float32, where the source's own rounding is "
        f"{checked['noise']['float32']['maximum']:.2g}."
    )


def _lost(checked: Mapping[str, Any]) -> str:
    """How far the function moved, on text where there was some."""
    text = checked["text"] or checked["difference"]
    where = "text" if checked["text"] else "random input"
    moved = (
        f"by {text['kl']:.3g} nats a position (KL)"
        if "kl" in text
        else (f"by up to {text['maximum']:.2g}")
    )
    loss = (
        f", where its loss is {text['grown_loss']:.3f} nats and the source's "
        f"{text['source_loss']:.3f}"
        if "source_loss" in text
        else ""
    )
    return f"It does **not** compute what the source does: on {where} it moved {moved}{loss}."


def demoted(markdown: str) -> str:
    """Every heading two levels lower, code left alone."""
    lines, in_code = [], False
    for line in markdown.splitlines():
        in_code ^= line.lstrip().startswith(("```", "~~~"))
        heading = re.match(r"#{1,6} ", line) if not in_code else None
        lines.append(f"##{line}" if heading and len(heading[0]) < 6 else line)
    return "\n".join(lines)
