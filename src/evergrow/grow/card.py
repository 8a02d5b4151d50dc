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
    below = [_SOURCE, demoted(body)] if body else []
    return head + "\n\n".join(["# Grown model", *_grown(record), *below]) + "\n"


_SOURCE = (
    "## The model it was grown from\n\nIts own card follows. Sizes, training and scores in it are "
    "those of the source: the grown model was not measured."
)


def _grown(record: Mapping[str, Any]) -> list[str]:
    cost, checked = record["cost"], record["verification"]
    rows = [
        f"| {a['axis']} | {a['before']:,} | {a['after']:,} | {a['operator']} | {a['exactness']} |"
        for a in record["axes"]
    ]
    return [
        f"Grown by evergrow {record['evergrow']} from {cost['source']['num_parameters']:,} to "
        f"{cost['grown']['num_parameters']:,} parameters, and not trained since. On random input "
        f"its outputs differ from the source's by at most "
        f"{checked['difference']['maximum']:.2g} in float32, where the source's own rounding is "
        f"{checked['noise']['float32']['maximum']:.2g}. `{FILE}` holds every tensor's origin.",
        "\n".join(["| axis | from | to | operator | function |", "| --- " * 5 + "|", *rows]),
    ]


def demoted(markdown: str) -> str:
    """Every heading two levels lower, code left alone."""
    lines, in_code = [], False
    for line in markdown.splitlines():
        in_code ^= line.lstrip().startswith(("```", "~~~"))
        heading = re.match(r"#{1,6} ", line) if not in_code else None
        lines.append(f"##{line}" if heading and len(heading[0]) < 6 else line)
    return "\n".join(lines)
