"""The model card of a release: what it was fed, where it comes from, what it scores."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from evergrow.lineage import SHARES, Measured, Node, Soup, numbers_beside
from evergrow.models.demo import is_demo
from evergrow.models.describe import ModelFacts
from evergrow.models.find import GGUF
from evergrow.models.kind import KINDS, Kind
from evergrow.models.origin import Origin

# What a reader must know of a unit; others speak for themselves.
_READING = {
    "masked": "A fixed 15 % of the tokens of each document, told from the rest of it: not to be "
    "compared with the bits per byte of a causal model.",
    "patches": "Of hidden patches, the mean over pixels, masks fixed by the pictures, so that "
    "releases can be compared.",
    "classes": "In nats.",
}


# What the hub shows of a classifier, by the name in its scores; what no model needs is no result.
RESULTS = {name: words for name, words in SHARES.items() if name != "majority"}


def model_card(
    node: Node,
    kind: Kind,
    facts: ModelFacts,
    parent: str | None,
    origin: Origin | None = None,
) -> str:
    """Markdown in the hub's form; ``parent`` is the model it goes on from, None for scratch.

    ``origin`` is what that model's weights were derived from, where they are not its maker's own.
    """
    told = KINDS[kind]
    start = f"It goes on from {parent}." if parent else "It was trained from scratch."
    schedule: Any = node.details.get("schedule", [])
    unit = node.scores[0].unit if node.scores else "loss"
    sections = [
        f"# {_title(node)}",
        f"A {told.name} of {facts.num_parameters:,} parameters "
        f"({facts.num_layers} layers, width {facts.hidden}). {start}",
        *([origin.said] if origin else []),
        *_adapters(node),
        "## What it was fed",
        _table(("source", node.counted), [(source, f"{n:,}") for source, n in node.fed.items()]),
        *_rates(schedule, node.counted),
        f"## {unit.capitalize()} on held-out data",
        *([_READING[kind]] if kind in _READING else []),
        _scores(node.scores, unit),
        *_soup(node),
        "## How to load it",
        _loading(kind),
        "## Licence",
        _licence(origin),
    ]
    front = yaml.safe_dump(_front(node, told.pipeline, parent), sort_keys=False, width=100)
    return f"---\n{front}---\n\n" + "\n\n".join(sections) + "\n"


def _licence(origin: Origin | None) -> str:
    said = "Not chosen yet: whoever publishes this model chooses one that the sources above allow."
    known = origin and origin.licence
    return f"{said} That of {origin.file} is {known}." if origin and known else said


def _title(node: Node) -> str:
    """Its name, after the run that it belongs to."""
    return f"{node.of}: {node.name}" if node.of else node.name


def _soup(node: Node) -> list[str]:
    """Of a release that was chosen among several models and their average: all of them."""
    if "soup" not in node.details:
        return []
    soup = Soup.model_validate(node.details["soup"])
    best = min(one.loss for one in soup.candidates)
    rows = [
        (one.name, one.key, f"{one.loss:.4f}", f"{soup.shares.get(one.key, 0):.3g}")
        for one in soup.candidates
        if one.key in soup.shares
    ]
    average = next(one for one in soup.candidates if one.key not in soup.shares)
    return [
        "## What it was chosen from",
        f"{len(rows)} models and the average of their weights ({average.loss:.4f}); this is the "
        f"best, {soup.chosen} ({best:.4f} {soup.unit}, mean over the held-out parts of "
        f"{', '.join(soup.measured_on)}). Chosen on the text it is measured on, it is flattered a "
        "little.",
        _table(("model", "key", soup.unit, "share of the weights"), rows),
    ]


def _front(node: Node, pipeline: str, parent: str | None) -> dict[str, Any]:
    """What the hub files it under: a parent that the hub has, and the scores as results."""
    found: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": pipeline}
    if parent is not None and _is_hub_id(parent):
        found |= {"base_model": parent, "base_model_relation": "finetune"}
    found["tags"] = ["evergrow", "continual-learning"]
    results = [_result(score, pipeline) for score in node.scores if math.isfinite(score.loss)]
    if results:
        found["model-index"] = [{"name": _title(node), "results": results}]
    return found


def _is_hub_id(source: str) -> bool:
    """``owner/name`` that is no path here; a folder's path is nobody else's business."""
    return re.fullmatch(r"\w[\w.-]*/[\w.-]+", source) is not None and not (
        Path(source).exists() or is_demo(source) or source.endswith(GGUF)
    )


def _result(score: Measured, pipeline: str) -> dict[str, Any]:
    """A score in the hub's form; the held-out part of a source is no data set of the hub."""
    told = {name: n for name, n in numbers_beside(score).items() if name in RESULTS}
    metrics = [_metric(score.unit, score.loss), *(_metric(RESULTS[k], n) for k, n in told.items())]
    held_out = {"name": f"{score.source}, held out", "type": score.source}
    return {"task": {"type": pipeline}, "dataset": held_out, "metrics": metrics}


def _metric(name: str, value: float) -> dict[str, Any]:
    return {"name": name, "type": name.replace(" ", "-"), "value": round(value, 4)}


def _adapters(node: Node) -> list[str]:
    """A sentence for each stage on the way that trained adapters alone."""
    stages: Any = node.details.get("lora", {})
    return [
        f"In stage {name} only adapters were trained (LoRA), {one['num_trained']:,} parameters of "
        f"rank {one['rank']} and alpha {one['alpha']:g} on {', '.join(one['targets'])}, and then "
        "merged into the weights."
        for name, one in stages.items()
    ]


def _scores(scores: Sequence[Measured], unit: str) -> str:
    """A row each; of a classifier also what it tells, beside what needs no model."""
    beside = [numbers_beside(score) for score in scores]
    known = {"floor": "the best constant", **SHARES}
    names = [name for name in known if any(name in numbers for numbers in beside)]
    rows = [
        (s.source, f"{s.loss:.3f}", f"{s.low:.3f} to {s.high:.3f}",
         *(f"{numbers[name]:.3f}" if name in numbers else "" for name in names))
        for s, numbers in zip(scores, beside, strict=True)
    ]  # fmt: skip
    return _table(("stream", unit, "95 % interval", *(known[name] for name in names)), rows)


def _rates(schedule: Sequence[dict[str, Any]], counted: str) -> list[str]:
    """A line for each piece; nothing of a model that was not trained as one."""
    lines = "\n".join(f"- {phrase(segment, counted)}" for segment in schedule)
    return ["## Learning rate", lines] if lines else []


def phrase(segment: dict[str, Any], counted: str) -> str:
    """A piece of the learning rate in words."""
    end = "on" if segment["end"] is None else f"to {segment['end']:,} {counted}"
    if segment["shape"] == "constant":
        return f"from {segment['start']:,} {end}: {segment['from_lr']:.3g}"
    return (
        f"from {segment['start']:,} {end}: {segment['from_lr']:.3g} to {segment['to_lr']:.3g}, "
        f"{segment['shape']}"
    )


def _loading(kind: Kind) -> str:
    loader = KINDS[kind].auto_class.__name__
    reader, name = (
        ("AutoImageProcessor", "processor")
        if KINDS[kind].of_pictures
        else ("AutoTokenizer", "tokenizer")
    )
    return (
        f"```python\nfrom transformers import {loader}, {reader}\n\n"
        'folder = "."  # this folder\n'
        f"model = {loader}.from_pretrained(folder)\n"
        f"{name} = {reader}.from_pretrained(folder)\n```"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
