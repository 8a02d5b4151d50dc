"""The exactness table: every operator on every family, measured in float64."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from grow.tiny import TINY, grown, logits, tiny
from torch import Tensor

from evergrow.errors import InputError
from evergrow.grow.config import GrowConfig
from evergrow.models.families import FAMILIES
from evergrow.models.families.decoders import DECODERS

EXACT = 1e-12  # largest difference of a logit; rounding of these models stays below 1e-13
To = dict[str, int]


def _free(family: str, axis: str) -> bool:
    return axis in FAMILIES[family].fields and "head_dim" in FAMILIES[family].fields


def _with_ffn(family: str, to: To, ffn: int) -> To:
    return to | ({"ffn": ffn} if "ffn" in FAMILIES[family].fields else {})


def double(family: str) -> To:
    """Every width twice."""
    to = _with_ffn(family, {"hidden": 96, "heads": 8}, 224)
    return to | ({"kv_heads": 4} if _free(family, "kv_heads") else {})


def half_more(family: str) -> To:
    """The residual stream by a half; heads follow where they must."""
    to = {"hidden": 72, "heads": 6} if FAMILIES[family].whole_heads else {"hidden": 72}
    return _with_ffn(family, to, 149)


def units(family: str) -> To | None:
    """No axis that a residual norm sees: neurons, and heads where they are free."""
    heads = {"heads": 6} if _free(family, "heads") else {}
    return _with_ffn(family, heads, 149) or None


def wider_heads(family: str) -> To:
    """Heads twice as wide."""
    return {"head_dim": 24} if _free(family, "head_dim") else {"hidden": 96, "heads": 4}


def all_kv_heads(family: str) -> To | None:
    """GQA to MHA."""
    return {"kv_heads": 4} if _free(family, "kv_heads") else None


def more_ids(family: str) -> To | None:
    """11 new ids beside 101."""
    return {"vocab": 112} if "vocab" in FAMILIES[family].fields else None


def deeper(layers: int) -> Callable[[str], To]:
    """More blocks than 3."""
    return lambda family: {"layers": layers}


Row = tuple[str, dict[str, Any], Callable[[str], To | None]]
ROWS: dict[str, Row] = {
    "auto, all widths x 2": ("auto", {}, double),
    "auto, hidden x 1.5": ("auto", {}, half_more),
    "auto, heads twice as wide": ("auto", {}, wider_heads),
    "auto, GQA to MHA": ("auto", {}, all_kv_heads),
    "auto, 11 new ids": ("auto", {}, more_ids),
    "fpi, all widths x 2": ("fpi", {}, double),
    "fpi_random, hidden x 1.5": ("fpi_random", {}, half_more),
    "fpi_random, ffn and free heads": ("fpi_random", {}, units),
    "aki, all widths x 2": ("aki", {}, double),
    "lemon, all widths x 2": ("lemon", {}, double),
    "lemon, hidden x 1.5": ("lemon", {}, half_more),
    "zero, hidden x 1.5": ("zero", {}, half_more),
    "zero, ffn and free heads": ("zero", {}, units),
    "sqrt, hidden x 1.5": ("sqrt", {}, half_more),
    "average, hidden x 1.5": ("average", {}, half_more),
    "identity, 3 to 5 layers": ("auto", {"depth": "identity"}, deeper(5)),
    "stack, 3 to 6 layers": ("auto", {"depth": "stack"}, deeper(6)),
}


@dataclass(frozen=True)
class Cell:
    """One measurement; ``text`` is what the table shows."""

    text: str
    claimed: str = ""
    difference: float = 0.0


def _divergence(before: Tensor, after: Tensor, is_distribution: bool) -> float:
    """Mean KL(source, grown) over positions, in nats.

    An autoencoder's output is taken as the mean of a normal distribution that has the source
    outputs' variance: half the mean squared difference over that variance.
    """
    if not is_distribution:
        return 0.5 * (before - after).square().mean().item() / before.var().item()
    old, new = before.log_softmax(-1), after.log_softmax(-1)[..., : before.shape[-1]]
    return (old.exp() * (old - new)).sum(-1).mean().item()


def measure(family: str, row: str) -> Cell:
    """Grow the family's tiny model by one operator and compare."""
    method, settings, sizes = ROWS[row]
    to = sizes(family)
    if to is None:
        return Cell("-")
    source = tiny(family)
    try:
        larger, plan = grown(source, GrowConfig(to=to, method=method, **settings))
    except InputError:
        return Cell("refused")
    before, after = logits(source), logits(larger)
    difference = (before - after[..., : before.shape[-1]]).abs().max().item()
    if difference < EXACT and before.shape == after.shape:
        return Cell("exact", plan.exactness, difference)
    nats = _divergence(before, after, family != "vit_mae")
    return Cell(f"{nats:.2g}", plan.exactness, difference)


def measured_page() -> str:
    """The whole table in Markdown: causal models, then the others."""
    causal = [name for name in TINY if name in {family.name for family in DECODERS}]
    return "\n\n".join(_part(part) for part in (causal, [n for n in TINY if n not in causal]))


def _part(families: list[str]) -> str:
    lines = ["| operator | " + " | ".join(families) + " |", "|---" * (len(families) + 1) + "|"]
    for row in ROWS:
        texts = [measure(family, row).text for family in families]
        lines.append(f"| {row} | {' | '.join(texts)} |")
    return "\n".join(lines)


def written_rows(page: str) -> dict[str, dict[str, str]]:
    """The tables between the marks of docs/growth.md: row -> family -> text."""
    inside = page.split("<!-- exactness -->")[1].split("<!-- /exactness -->")[0]
    found: dict[str, dict[str, str]] = {}
    for part in inside.strip().split("\n\n"):
        head, _, *lines = [line.strip("| ").split(" | ") for line in part.splitlines()]
        for row, *texts in lines:
            found.setdefault(row, {}).update(zip(head[1:], texts, strict=True))
    return found
