"""The model card of a release: what it was fed, where it comes from, what it scores."""

from collections.abc import Mapping, Sequence

from evergrow.models.describe import ModelFacts
from evergrow.models.kind import AUTO_CLASSES, OF_PICTURES, Kind

_PIPELINES: dict[Kind, str] = {
    "causal": "text-generation",
    "masked": "fill-mask",
    "patches": "image-feature-extraction",
    "classes": "image-classification",
}
_NAMES: dict[Kind, str] = {
    "causal": "causal language model",
    "masked": "masked language model",
    "patches": "masked autoencoder of pictures",
    "classes": "classifier of pictures",
}
UNITS: dict[Kind, str] = {
    "causal": "bits per byte",
    "masked": "bits per byte",
    "patches": "squared error",
    "classes": "log loss",
}
_MEASURED: dict[Kind, str] = {
    "causal": "## Bits per byte on held-out text",
    "masked": "## Bits per byte of masked tokens of held-out text\n\n"
    "A fixed 15 % of the tokens of each document, told from the rest of it: not to be compared "
    "with the bits per byte of a causal model.",
    "patches": "## Squared error of hidden patches of held-out pictures\n\n"
    "Mean over pixels, masks fixed by the pictures, so that releases can be compared.",
    "classes": "## Log loss on held-out pictures\n\nNats a picture.",
}


def model_card(
    name: str,
    kind: Kind,
    facts: ModelFacts,
    parent: str | None,
    fed: Mapping[str, int],
    schedule: Sequence[str],
    scores: Mapping[str, tuple[float, float, float]],
) -> str:
    """Markdown in the hub's form; ``fed`` is source -> tokens, or pictures, up to this release.

    ``schedule`` is one phrase a piece of the learning rate; ``scores`` is stream -> loss
    with its 95 % interval (value, low, high). ``parent`` is the release or model it goes on from.
    """
    loader = AUTO_CLASSES[kind].__name__
    start = f"It goes on from {parent}." if parent else "It was trained from scratch."
    sections = [
        f"# {name}",
        f"A {_NAMES[kind]} of {facts.num_parameters:,} parameters "
        f"({facts.num_layers} layers, width {facts.hidden}). {start}",
        "## What it was fed",
        _table(
            ("source", "pictures" if kind in OF_PICTURES else "tokens"),
            [(source, f"{fed[source]:,}") for source in fed],
        ),
        "## Learning rate",
        "\n".join(f"- {phrase}" for phrase in schedule),
        _MEASURED[kind],
        _table(
            ("stream", UNITS[kind], "95 % interval"),
            [
                (stream, f"{value:.3f}", f"{low:.3f} to {high:.3f}")
                for stream, (value, low, high) in scores.items()
            ],
        ),
        "## How to load it",
        _loading(loader, kind),
        "## Licence",
        "Not chosen yet: whoever publishes this model chooses one that the sources above allow.",
    ]
    front = f"---\nlibrary_name: transformers\npipeline_tag: {_PIPELINES[kind]}\n---\n"
    return front + "\n" + "\n\n".join(sections) + "\n"


def _loading(loader: str, kind: Kind) -> str:
    reader = "AutoImageProcessor" if kind in OF_PICTURES else "AutoTokenizer"
    name = "processor" if kind in OF_PICTURES else "tokenizer"
    return (
        f"```python\nfrom transformers import {loader}, {reader}\n\n"
        'folder = "."  # this folder\n'
        f"model = {loader}.from_pretrained(folder)\n"
        f"{name} = {reader}.from_pretrained(folder)\n```"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
