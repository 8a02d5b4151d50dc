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
    unchanged,
    uneven_split,
    view,
)
from evergrow.models.family import Family

Exactness = Literal["exact", "approximate", "lossy", "none: pruned"]
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
    """

    name: str
    residual: tuple[str, str]
    split: Literal["equal", "uneven", "first"] = "equal"
    random: bool = False
    upper: bool = False

    def index(self, before: int, after: int, rng: np.random.Generator) -> Indices:
        """The source unit of each grown unit."""
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
    "zero": Method("zero", ("zero", "zero"), split="first"),
    "sqrt": Method("sqrt", ("sqrt", "sqrt")),
    "average": Method("average", ("average", "average")),
}


def _held(source: Indices, before: int) -> Numbers:
    """The norm rule's s_j = sqrt(d' / (d c)): the mean square of all copies is the source's."""
    counts = np.bincount(source[source >= 0], minlength=before)
    return np.where(source >= 0, np.sqrt(len(source) / (before * counts[source])), 0.0)


def _copies(method: Method, before: int, after: int, rng: np.random.Generator) -> AxisMap:
    source = method.index(before, after, rng)
    return AxisMap(before, source, np.ones(after), method.shares(source, before, rng))


def _sqrt(method: Method, before: int, after: int, rng: np.random.Generator) -> AxisMap:
    source = method.index(before, after, rng)
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


def residual_views(base: AxisMap, table: AxisMap, tied: bool) -> Views:
    """The residual as it is held, as norms give it to their readers, and as the head reads it.

    ``table`` is how an embedding's rows hold it. A tied head reads the copies with the very
    weights that hold them, so that the last norm carries R's weights in its gain.
    """
    normed = view(base, np.ones(base.after), base.weight * base.scale)
    logits = view(table, table.weight, table.scale) if tied else normed
    return {"hidden": base, "embedded": table, "normed": normed, "logits": logits}


def embedded(base: AxisMap, width: int, times_root: bool) -> AxisMap:
    """A table's rows, ``width`` wide: apart from the residual, or what becomes it.

    ``times_root``: the model multiplies them by the root of its width (Gemma), which grows.
    """
    if width != base.before:
        return unchanged(width)
    factor = np.sqrt(base.before / base.after) if times_root else 1.0
    return AxisMap(base.before, base.source, base.scale * factor, base.weight / factor)


def residual(
    family: Family, method: Method, before: int, after: int, rng: np.random.Generator
) -> tuple[AxisMap, AxisVerdict]:
    """The residual stream's map; raises InputError for a rule that the family's norm forbids."""
    rule = method.residual[after % before == 0]
    if rule == "norm":
        rule = "sqrt" if family.norm == "rms" else "average" if _takes_means(family) else "copies"
    needs = {"zero": family.norm == "rms", "sqrt": family.norm == "rms"}
    needs["average"] = _takes_means(family)
    if not needs.get(rule, True):
        raise InputError(
            f"method {method.name}: does not keep the norms of {family.name} "
            f"({'post-' if family.post else ''}{family.norm} norm); use method auto"
        )
    base = RESIDUAL_RULES[rule](method, before, after, rng)
    exactness, reason = _judge(family, rule, base)
    return base, AxisVerdict("hidden", before, after, _OPERATOR[rule], exactness, reason)


def _takes_means(family: Family) -> bool:
    return family.norm == "layer" and not family.post and not family.only_copies


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
        exact += (
            ", and so would method auto" if family.norm == "rms" or _takes_means(family) else ""
        )
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
        kv_source = method.index(kv_heads, more_kv, rng)
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
        source[places] = kv * group + loose.index(group, len(places), rng)
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
    method: Method, before: int, after: int, rotary: int, scores: float, rng: np.random.Generator
) -> Views:
    """Coordinates inside a head: of queries, of keys, and of values.

    ``rotary`` of the ``before`` coordinates are turned by positions, in two halves (rounded up
    where it is odd). Coordinate j of a half turns with theta^(-2j / rotary); after growth by k
    that is the speed of place k j, so it goes there, exactly. Scores are divided by
    sqrt(head_dim) unless a field says by what, so queries gain ``scores``, sqrt(after / before)
    or 1; each key coordinate is copied, and queries read the copies by R.
    """
    source, shares = _dot_product(method, before, after, rotary, rng)
    ones = np.ones(after)
    values = method.index(before, after, rng)
    held = _held(source, before)
    return {
        "key": AxisMap(before, source, ones, shares),
        "query": AxisMap(before, source, shares * scores, (shares > 0) / scores),
        "raw_dim": AxisMap(before, source, held, shares / held),
        "value": AxisMap(before, values, ones, method.shares(values, before, rng)),
    }


def _dot_product(
    method: Method, before: int, after: int, rotary: int, rng: np.random.Generator
) -> tuple[Indices, Numbers]:
    """Source and share of each coordinate of the product of queries and keys."""
    if rotary == 0:
        source = method.index(before, after, rng)
        return source, method.shares(source, before, rng)
    if after % before:
        raise InputError(
            f"head_dim={after}: from {before}, rotary speeds would fall between each other; "
            f"choose a multiple of {before}"
        )
    times = after // before
    half, more = -(-rotary // 2), -(-rotary * times // 2)  # of an odd part the last turns too
    place = np.arange(more)
    turned = np.concatenate([place // times, place // times + half])
    first = np.tile(place % times == 0, 2).astype(float)  # others turn at speeds of their own
    left = before - 2 * half
    passed = circular(max(left, 1), after - 2 * more)
    rest = equal_split(passed, left) if left else np.zeros(len(passed))
    passed = np.minimum(passed + 2 * half, before - 1)
    return np.concatenate([turned, passed]), np.concatenate([first, rest])


def neurons(method: Method, before: int, after: int, rng: np.random.Generator) -> AxisMap:
    """Feed-forward neurons: each is copied whole, and only its readers' weight is split."""
    source = method.index(before, after, rng)
    return AxisMap(before, source, np.ones(after), method.shares(source, before, rng))


def rows(before: int, after: int) -> AxisMap:
    """Vocabulary: new rows are the mean of all rows."""
    source = np.concatenate([np.arange(before), np.full(after - before, MEAN)])
    return AxisMap(before, source, np.ones(after), (source >= 0).astype(float))
