"""Width operators: how each axis of a family gets its (M, R), and whether that is exact.

The norm rule (RMSNorm over d' coordinates that hold copies of d). With copy j of g(j) held at
scale s_j, sum of s_j^2 over the copies of each source coordinate equal to d'/d leaves the mean
square as it was, so eps keeps its place in config.json (a QK-norm reads the same field), and the
gain becomes gain[g(j)] t_j / s_j, where t_j is the scale that the norm's readers expect.
LayerNorm subtracts a mean too: it allows equal counts at scale 1, or copies at sqrt(d'/d) beside
new coordinates that hold the mean (LEMON 2310.07999), which normalise to 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evergrow.errors import InputError
from evergrow.grow.axes import (
    MEAN,
    ZERO,
    AxisMap,
    Indices,
    Numbers,
    circular,
    contiguous,
    drawn,
    equal_split,
    first_only,
    uneven_split,
    view,
)
from evergrow.models.family import Family

Exactness = Literal["exact", "approximate", "lossy"]
Views = dict[str, AxisMap]


@dataclass(frozen=True)
class AxisVerdict:
    """What happens to one axis; ``reason`` is a sentence for a person."""

    axis: str
    before: int
    after: int
    operator: str
    exactness: Exactness
    reason: str


@dataclass(frozen=True)
class Method:
    """One width operator: which units are copied and what their readers get.

    residual  rule for the residual stream by name of RESIDUAL_RULES, when it is no multiple / is
    split     equal | uneven | first
    random    new units copy drawn ones instead of going round
    upper     new units come from the block above (AKI)
    strict    only whole multiples
    """

    name: str
    residual: tuple[str, str]
    split: Literal["equal", "uneven", "first"] = "equal"
    random: bool = False
    upper: bool = False
    strict: bool = False

    def index(self, axis: str, before: int, after: int, rng: np.random.Generator) -> Indices:
        """The source unit of each grown unit."""
        if self.strict and after % before:
            raise InputError(
                f"{axis}={after}: {self.name} copies whole multiples of {before} only; "
                f"choose {-(-after // before) * before} or method auto"
            )
        return drawn(before, after, rng) if self.random else circular(before, after)

    def shares(self, source: Indices, before: int, rng: np.random.Generator) -> Numbers:
        """How the readers' weight is split among copies."""
        if self.split == "uneven":
            return uneven_split(source, before, rng)
        return (first_only if self.split == "first" else equal_split)(source, before)


METHODS: dict[str, Method] = {
    "auto": Method("auto", ("norm", "copies")),
    "fpi": Method("fpi", ("copies", "copies")),
    "fpi_random": Method("fpi_random", ("copies", "copies"), random=True),
    "aki": Method("aki", ("copies", "copies"), upper=True),
    "lemon": Method("lemon", ("norm", "copies"), split="uneven"),
    "hyperclone": Method("hyperclone", ("copies", "copies"), strict=True),
    "zero": Method("zero", ("zero", "zero"), split="first"),
    "sqrt": Method("sqrt", ("sqrt", "sqrt")),
    "average": Method("average", ("average", "average")),
}


def _held(source: Indices, before: int) -> Numbers:
    """The norm rule's s_j = sqrt(d' / (d c)): the mean square of all copies is the source's."""
    counts = np.bincount(source[source >= 0], minlength=before)
    return np.where(source >= 0, np.sqrt(len(source) / (before * counts[source])), 0.0)


def _copies(method: Method, before: int, after: int, rng: np.random.Generator) -> AxisMap:
    source = method.index("hidden", before, after, rng)
    return AxisMap(before, source, np.ones(after), method.shares(source, before, rng))


def _sqrt(method: Method, before: int, after: int, rng: np.random.Generator) -> AxisMap:
    source = method.index("hidden", before, after, rng)
    scale = _held(source, before)
    return AxisMap(before, source, scale, method.shares(source, before, rng) / scale)


def _padded(before: int, after: int, filler: int) -> AxisMap:
    source = np.concatenate([np.arange(before), np.full(after - before, filler)])
    scale = np.full(after, np.sqrt(after / before))
    weight = np.where(source >= 0, 1 / scale, 0.0)
    return AxisMap(before, source, np.where(source == ZERO, 0.0, scale), weight)


def _zero(method: Method, before: int, after: int, rng: np.random.Generator) -> AxisMap:
    return _padded(before, after, ZERO)


def _average(method: Method, before: int, after: int, rng: np.random.Generator) -> AxisMap:
    return _padded(before, after, MEAN)


RESIDUAL_RULES: dict[str, Callable[[Method, int, int, np.random.Generator], AxisMap]] = {
    "copies": _copies,
    "sqrt": _sqrt,
    "zero": _zero,
    "average": _average,
}


def residual_views(base: AxisMap, tied: bool) -> Views:
    """The residual as it is held, as norms give it to their readers, and as the head reads it.

    A tied head reads the copies with the very weights that hold them, so that the last norm
    carries R's weights in its gain.
    """
    ones = np.ones(base.after)
    normed = view(base, ones, base.weight * base.scale)
    logits = view(base, base.weight, base.scale) if tied else normed
    return {"hidden": base, "normed": normed, "logits": logits}


def residual(
    family: Family, method: Method, before: int, after: int, rng: np.random.Generator
) -> tuple[AxisMap, AxisVerdict]:
    """The residual stream's map; raises InputError for a rule that the family's norm forbids."""
    rule = method.residual[after % before == 0]
    if rule == "norm":
        rule = "sqrt" if family.norm == "rms" else "copies" if family.post else "average"
    needs = {"zero": family.norm == "rms", "sqrt": family.norm == "rms"}
    needs["average"] = family.norm == "layer" and not family.post
    if not needs.get(rule, True):
        raise InputError(
            f"method {method.name}: does not keep the norms of {family.name} "
            f"({'post-' if family.post else ''}{family.norm} norm); use method auto"
        )
    base = RESIDUAL_RULES[rule](method, before, after, rng)
    exactness, reason = _judge(family, rule, base)
    return base, AxisVerdict("hidden", before, after, _OPERATOR[rule], exactness, reason)


_OPERATOR = {
    "copies": "copies",
    "sqrt": "copies scaled by the root of their count",
    "zero": "zero padding",
    "average": "average expansion",
}


def _judge(family: Family, rule: str, base: AxisMap) -> tuple[Exactness, str]:
    before, after = base.before, base.after
    if rule == "copies":
        if base.counts.min() == base.counts.max():
            return "exact", f"every coordinate has {base.counts[0]} copies, so no norm sees them"
        if after % before == 0:
            return "approximate", (
                "copies are drawn, and norms see their unequal counts; method fpi takes them in "
                "turn, which would be exact"
            )
        exact = f"{-(-after // before) * before} would be exact"
        exact += "" if family.post else ", and so would method auto"
        return "approximate", (
            f"{after} is not {before} times a whole number: norms weigh coordinates by unequal "
            f"counts; {exact}"
        )
    if rule == "average":
        return "exact", "new coordinates hold the mean, which LayerNorm takes away"
    if rule == "zero":
        return "exact", "new coordinates are 0 and the old ones keep the mean square"
    return "exact", "copies are scaled so that the mean square stays, and gains undo it"


def attention_heads(
    method: Method,
    before: tuple[int, int],
    after: tuple[int, int],
    rng: np.random.Generator,
) -> Views:
    """Query heads and key/value heads, ``before`` and ``after`` each (heads, kv_heads).

    A query head only ever copies one that reads the source of its own key head. Raises InputError
    where the grown groups have no place for all query heads of a source group.
    """
    (heads, kv_heads), (more_heads, more_kv) = before, after
    group, more_group = heads // kv_heads, more_heads // more_kv
    if more_heads == heads and more_kv % kv_heads == 0:
        kv_source = contiguous(kv_heads, more_kv)  # GQA to MHA: the query heads stay in place
    else:
        kv_source = method.index("kv_heads", kv_heads, more_kv, rng)
    source = np.empty(more_heads, np.int64)
    slots = np.arange(more_heads).reshape(more_kv, more_group)
    for kv in range(kv_heads):
        places = slots[kv_source == kv].ravel()
        if len(places) < group:
            raise InputError(
                f"heads={more_heads}, kv_heads={more_kv}: the {group} query heads that share a key "
                f"head need {group} places, and a copy of theirs has {len(places)}; "
                f"choose heads={group * more_kv} or a multiple of it"
            )
        loose = Method("", ("", ""), random=method.random)  # inside a group any number will do
        source[places] = kv * group + loose.index("heads", group, len(places), rng)
    shares = method.shares(source, heads, rng)
    kv_ones = np.ones(more_kv)
    kv_shares = equal_split(kv_source, kv_heads)
    return {
        "heads": AxisMap(heads, source, np.ones(more_heads), shares),
        "raw_heads": AxisMap(heads, source, _held(source, heads), shares / _held(source, heads)),
        "kv_heads": AxisMap(kv_heads, kv_source, kv_ones, kv_shares),
        "raw_kv_heads": AxisMap(
            kv_heads,
            kv_source,
            _held(kv_source, kv_heads),
            kv_shares / _held(kv_source, kv_heads),
        ),
    }


def head_width(
    method: Method, before: int, after: int, rotary: int, rng: np.random.Generator
) -> Views:
    """Coordinates inside a head: of queries, of keys, and of values.

    ``rotary`` of the ``before`` coordinates are turned by positions, in two halves. Coordinate j
    of a half turns with theta^(-2j / rotary); after growth by k that is the speed of place k j, so
    it goes there, exactly. Scores are divided by sqrt(head_dim), so queries gain
    sqrt(after / before); each key coordinate is copied, and queries read the copies by R.
    """
    source, shares = _dot_product(method, before, after, rotary, rng)
    ones = np.ones(after)
    scale = np.sqrt(after / before)
    values = method.index("head_dim", before, after, rng)
    held = _held(source, before)
    return {
        "key": AxisMap(before, source, ones, shares),
        "query": AxisMap(before, source, shares * scale, (shares > 0) / scale),
        "raw_dim": AxisMap(before, source, held, shares / held),
        "value": AxisMap(before, values, ones, method.shares(values, before, rng)),
    }


def _dot_product(
    method: Method, before: int, after: int, rotary: int, rng: np.random.Generator
) -> tuple[Indices, Numbers]:
    """Source and share of each coordinate of the product of queries and keys."""
    if rotary == 0:
        source = method.index("head_dim", before, after, rng)
        return source, method.shares(source, before, rng)
    if after % before:
        raise InputError(
            f"head_dim={after}: from {before}, rotary speeds would fall between each other; "
            f"choose a multiple of {before}"
        )
    times, half = after // before, rotary // 2
    turned = np.concatenate([contiguous(half, half * times) + side * half for side in (0, 1)])
    first = np.arange(len(turned)) % times == 0  # the others turn at speeds the source never had
    passed = rotary + circular(before - rotary, after - rotary * times) if before > rotary else None
    if passed is None:
        return turned, first.astype(float)
    rest = equal_split(passed - rotary, before - rotary)
    return np.concatenate([turned, passed]), np.concatenate([first.astype(float), rest])


def neurons(method: Method, before: int, after: int, rng: np.random.Generator) -> AxisMap:
    """Feed-forward neurons: each is copied whole, and only its readers' weight is split."""
    source = method.index("ffn", before, after, rng)
    return AxisMap(before, source, np.ones(after), method.shares(source, before, rng))


def rows(before: int, after: int, filler: Literal["mean", "zero"]) -> AxisMap:
    """Vocabulary: new rows are the mean of all rows, or 0."""
    new = np.full(after - before, MEAN if filler == "mean" else ZERO)
    source = np.concatenate([np.arange(before), new])
    held = np.where(source == ZERO, 0.0, 1.0)
    return AxisMap(before, source, held, (source >= 0).astype(float))
