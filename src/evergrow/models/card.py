"""The model card of a release: what it was fed, where it comes from, what it scores."""

from collections.abc import Mapping, Sequence

from evergrow.models.describe import ModelFacts

_FRONT_MATTER = "---\nlibrary_name: transformers\npipeline_tag: text-generation\n---\n"


def model_card(
    name: str,
    facts: ModelFacts,
    parent: str | None,
    fed: Mapping[str, int],
    schedule: Sequence[str],
    scores: Mapping[str, tuple[float, float, float]],
) -> str:
    """Markdown in the hub's form; ``fed`` is source -> tokens of all stages up to this release.

    ``schedule`` is one phrase a piece of the learning rate; ``scores`` is stream -> bits per byte
    with its 95 % interval (value, low, high). ``parent`` is the release or model it goes on from.
    """
    start = f"It goes on from {parent}." if parent else "It was trained from scratch."
    sections = [
        f"# {name}",
        f"A causal language model of {facts.num_parameters:,} parameters "
        f"({facts.num_layers} layers, width {facts.hidden}). {start}",
        "## What it was fed",
        _table(("source", "tokens"), [(source, f"{fed[source]:,}") for source in fed]),
        "## Learning rate",
        "\n".join(f"- {phrase}" for phrase in schedule),
        "## Bits per byte on held-out text",
        _table(
            ("stream", "bits per byte", "95 % interval"),
            [
                (stream, f"{value:.3f}", f"{low:.3f} to {high:.3f}")
                for stream, (value, low, high) in scores.items()
            ],
        ),
        "## How to load it",
        "```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        'folder = "."  # this folder\n'
        "model = AutoModelForCausalLM.from_pretrained(folder)\n"
        "tokenizer = AutoTokenizer.from_pretrained(folder)\n```",
        "## Licence",
        "Not chosen yet: whoever publishes this model chooses one that the sources above allow.",
    ]
    return _FRONT_MATTER + "\n" + "\n\n".join(sections) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
