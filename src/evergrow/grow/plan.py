"""What a growth will do, axis by axis, from config.json alone: sizes, maps, verdicts, fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from evergrow.errors import InputError
from evergrow.grow import operators
from evergrow.grow.axes import AxisMap, unchanged
from evergrow.grow.config import GrowConfig, numbers_in
from evergrow.grow.depth import DEPTH_OPERATORS, Block, copies
from evergrow.grow.fields import (
    Sizes,
    check_bound,
    grown_config,
    grown_sizes,
    rotary_width,
    sizes,
    unread_fields,
)
from evergrow.grow.operators import METHODS, AxisVerdict, Exactness, Views
from evergrow.grow.respell import Spelling, respelt
from evergrow.grow.shrink import (
    Keep,
    Pruning,
    check_shrinking,
    pruned_verdicts,
    pruned_views,
    shrinks,
)
from evergrow.grow.upcycle import verdict_of
from evergrow.models.families import family_of
from evergrow.models.family import Family

_WORST: tuple[Exactness, ...] = ("none: pruned", "lossy", "approximate", "exact")


@dataclass(frozen=True, eq=False)
class GrowthPlan:
    """Everything that ``expand`` needs; touches no weights.

    views    view of an axis -> its map (M, R); see evergrow.models.family for their names
    of_block the same in each block, where they differ: every block loses units of its own
    blocks   how each block of the grown model is made
    upper    new units come from the block above (AKI)
    tied     head and table share their weight
    changed  field of config.json -> (before, after)
    unread   fields of config.json that nothing reads, carried
    spelling the rows of another tokenizer, made before anything grows
    pruning  what stays of a model that gets smaller
    """

    family: Family
    source: dict[str, Any]
    target: dict[str, Any]
    views: Views
    of_block: tuple[Views, ...]
    blocks: tuple[Block, ...]
    num_source_blocks: int
    verdicts: tuple[AxisVerdict, ...]
    changed: dict[str, tuple[Any, Any]]
    unread: tuple[str, ...]
    spelling: Spelling | None
    pruning: Pruning | None
    upper: bool
    tied: bool
    noise: float
    seed: int

    def views_at(self, name: str) -> Views:
        """The maps of the axes that the tensor ``name`` of the grown model lies on."""
        place = self.family.block_of(name)
        return self.views if place is None or not self.of_block else self.of_block[place]

    @property
    def outputs(self) -> AxisMap:
        """How a trunk without a head gives its hidden states; R reads the source's off them."""
        return self.views["hidden" if self.family.post else "logits"]

    @property
    def keeps_old_ids(self) -> bool:
        """Whether what the source says of its own ids stays, where new ids may have come."""
        return all(v.exactness == "exact" for v in self.verdicts if v.axis != "vocab")

    @property
    def exactness(self) -> Exactness:
        """The worst of the axes."""
        found = {verdict.exactness for verdict in self.verdicts}
        return next(exactness for exactness in _WORST if exactness in found)


@dataclass(frozen=True, eq=False)
class _Change:
    """What of a plan depends on whether sizes get larger or smaller; see GrowthPlan."""

    views: Views
    blocks: tuple[Block, ...]
    verdicts: list[AxisVerdict]
    of_block: tuple[Views, ...] = ()
    pruning: Pruning | None = None
    upper: bool = False
    noise: float = 0.0


def plan_growth(
    config: Mapping[str, Any],
    grow: GrowConfig,
    spelling: Spelling | None = None,
    dense: Mapping[str, Any] | None = None,
    keep: Keep | None = None,
) -> GrowthPlan:
    """Judge and solve a growth of the model that ``config`` (config.json) describes.

    ``spelling`` is that of ``grow.tokenizer``; with ``grow.experts``, ``config`` is that of the
    mixture (evergrow.grow.upcycle) and ``dense`` the source's. ``keep`` chooses what stays where
    sizes get smaller.

    Raises InputError for an architecture nobody described, a field nobody knows, a size that
    does not divide or that the method cannot reach, and for smaller sizes without ``keep``.
    """
    assert (spelling is None) == (grow.tokenizer is None), "a tokenizer is read before"
    assert (dense is None) == (grow.experts is None), "a mixture is made before"
    family, original = family_of(config), dense or config
    unread = unread_fields(family, config)
    config = config if spelling is None else respelt(config, spelling)
    before = sizes(family, config)
    order = _order(grow, before["layers"])
    listed = {} if order is None else {"layers": len(order)}
    to = {**grow.to, **listed}
    after = grown_sizes(family, before, to) if to else before
    check_bound(family, config, before, after)
    tied = _tied(family, config)
    if shrinks(before, after):
        change = _smaller(family, config, before, after, grow, order, tied, keep)
    else:
        change = _larger(family, config, before, after, grow, order, tied)
    if grow.experts is not None:
        change.verdicts.append(verdict_of(grow.experts))
    if spelling is not None:
        change.verdicts.append(_respelt(spelling))
    target = grown_config(family, config, before, after, change.blocks)
    fields = sorted(original.keys() | target.keys())
    return GrowthPlan(
        family=family,
        source=dict(original),
        target=target,
        views=change.views,
        of_block=change.of_block,
        blocks=change.blocks,
        num_source_blocks=before["layers"],
        verdicts=tuple(change.verdicts),
        changed={
            f: (original.get(f), target.get(f)) for f in fields if original.get(f) != target.get(f)
        },
        unread=tuple(unread),
        spelling=spelling,
        pruning=change.pruning,
        upper=change.upper,
        tied=tied,
        noise=change.noise,
        seed=grow.seed,
    )


def _larger(
    family: Family,
    config: Mapping[str, Any],
    before: Sizes,
    after: Sizes,
    grow: GrowConfig,
    order: list[int] | None,
    tied: bool,
) -> _Change:
    views, verdicts = _widths(family, config, before, after, grow, tied)
    blocks, depth_verdict = _depth(family, before["layers"], after["layers"], grow, order)
    upper = METHODS[grow.method].upper and before["layers"] > 1
    if upper:
        verdicts = [_lossy(v) if v.axis in ("hidden", "heads", "ffn") else v for v in verdicts]
    verdicts += depth_verdict
    return _Change(views, blocks, verdicts, upper=upper, noise=grow.noise_ratio)


def _smaller(
    family: Family,
    config: Mapping[str, Any],
    before: Sizes,
    after: Sizes,
    grow: GrowConfig,
    order: list[int] | None,
    tied: bool,
    keep: Keep | None,
) -> _Change:
    check_shrinking(grow, before, after)
    if keep is None:
        axis = next(axis for axis in after if after[axis] < before[axis])
        raise InputError(
            f"{axis}={after[axis]}: smaller than the source's {before[axis]}, and a run's model "
            "only grows; shrink a release by evergrow grow apply --data, and begin a new run from "
            "it"
        )
    pruning = keep(family, before, after, order)
    views, of_block = pruned_views(family, config, before, pruning, tied)
    verdicts = pruned_verdicts(family, before, after, pruning, listed=order is not None)
    blocks = copies(numbers_in(pruning.blocks))
    return _Change(views, blocks, verdicts, of_block, pruning)


def _tied(family: Family, config: Mapping[str, Any]) -> bool:
    """Whether a head reads the table's own rows; an encoder saved without its head has none."""
    name = (config.get("architectures") or ["ForAnything"])[0]
    headless = "For" not in name and "Head" not in name
    if not family.tied or headless:
        return False
    return bool(config.get("tie_word_embeddings", family.tied_by_default))


def _lossy(verdict: AxisVerdict) -> AxisVerdict:
    reason = "new units come from the block above, which changes the function on purpose (AKI)"
    return AxisVerdict(
        verdict.axis, verdict.before, verdict.after, "knowledge of the block above", "lossy", reason
    )


def _widths(
    family: Family,
    config: Mapping[str, Any],
    before: Sizes,
    after: Sizes,
    grow: GrowConfig,
    tied: bool,
) -> tuple[dict[str, AxisMap], list[AxisVerdict]]:
    """All views of all axes, and a verdict for each axis that grows."""
    method, verdicts = METHODS[grow.method], []

    def generator(axis: str) -> np.random.Generator:
        return np.random.default_rng([grow.seed, *axis.encode()])  # an axis draws by itself

    def grows(axis: str) -> bool:
        return before.get(axis) != after.get(axis)

    base = unchanged(before["hidden"])
    if grows("hidden"):
        base, verdict = operators.residual(
            family, method, before["hidden"], after["hidden"], generator("hidden")
        )
        verdicts.append(verdict)
    width = (family.table_field and config.get(family.table_field)) or before["hidden"]
    table = operators.embedded(base, width, family.table_times_root)
    views = operators.residual_views(base, table, tied)
    views |= operators.attention_heads(
        method,
        (before["heads"], before["kv_heads"]),
        (after["heads"], after["kv_heads"]),
        generator("heads"),
    )
    rotary = rotary_width(family, config, before["head_dim"], after["head_dim"])
    wide = (before["head_dim"], after["head_dim"])
    scores = 1.0 if family.fixed_scores else (wide[1] / wide[0]) ** 0.5
    views |= operators.head_width(method, *wide, rotary, scores, generator("head_dim"))
    views["ffn"] = operators.neurons(method, before["ffn"], after["ffn"], generator("ffn"))
    if "vocab" in before:
        views["vocab"] = operators.rows(before["vocab"], after["vocab"])
    verdicts += [
        _unit_verdict(axis, before[axis], after[axis], method.split)
        for axis in ("heads", "kv_heads", "head_dim", "ffn", "vocab")
        if grows(axis) and (axis != "kv_heads" or axis in family.fields)
    ]
    return views, verdicts


def _respelt(found: Spelling) -> AxisVerdict:
    lost = found.before - len(set(found.kept.values()))
    reason = (
        f"{len(found.kept):,} pieces keep their rows, {found.num_spelt:,} get the mean of the old "
        f"ones that spell them, {found.num_unspelt:,} the mean of all, and {lost:,} old rows go; "
        "the same text is cut otherwise, so that its loss changes"
    )
    return AxisVerdict(
        "vocab", found.before, found.after, "rows of another tokenizer", "approximate", reason
    )


_SPLITS = {
    "equal": "copies, readers' weight split equally",
    "uneven": "copies, readers' weight split unevenly",
    "first": "copies that nothing reads yet (zero fan-out)",
}


def _unit_verdict(axis: str, before: int, after: int, split: str) -> AxisVerdict:
    if axis == "vocab":
        return AxisVerdict(
            axis, before, after, "mean rows", "approximate",
            "old ids keep their logits, but new ids take probability mass from them",
        )  # fmt: skip
    reasons = {
        "heads": "a head is copied whole and its readers' weights sum to the source's",
        "kv_heads": "every query head keeps the keys and values of its own group",
        "head_dim": "coordinates keep their rotary speed if they have one, and queries make up for "
        "the root that scores are divided by",
        "ffn": "a neuron is copied whole and its readers' weights sum to the source's",
    }
    return AxisVerdict(axis, before, after, _SPLITS[split], "exact", reasons[axis])


def _order(grow: GrowConfig, before: int) -> list[int] | None:
    """The blocks that ``layers`` lists; raises InputError for others', and for as many."""
    order = grow.order
    if order is None:
        return None
    if not order or max(order) >= before:
        raise InputError(
            f"layers={grow.layers}: the source's blocks are 0 to {before - 1}; "
            "each range runs upwards and inside them"
        )
    if len(order) == before:
        raise InputError(
            f"layers={grow.layers}: {len(order)} blocks, as many as the source has; list more, or "
            "fewer"
        )
    return order


def _listed(grow: GrowConfig, before: int, order: list[int]) -> AxisVerdict:
    left_out = sorted({*range(before)} - {*order})
    reason = "blocks run more than once change the function"
    reason += f"; blocks {left_out} are left out" if left_out else ""
    return AxisVerdict("layers", before, len(order), f"blocks {grow.layers}", "lossy", reason)


def _depth(
    family: Family, before: int, after: int, grow: GrowConfig, order: list[int] | None
) -> tuple[tuple[Block, ...], list[AxisVerdict]]:
    if order is not None:
        return copies(order), [_listed(grow, before, order)]
    name = grow.depth
    if name == "auto":
        name = "identity" if grow.goal == "keep" and family.zero else "stack"
    blocks = DEPTH_OPERATORS[name](before, after)
    if before == after:
        return blocks, []
    if name == "identity" and not family.zero:
        raise InputError(
            f"depth identity: {family.name} normalises after every sum, so that no block computes "
            "nothing; use depth stack or a list of layers"
        )
    if name == "identity":
        site = " and ".join(family.zero)
        verdict = AxisVerdict(
            "layers", before, after, "identity blocks", "exact", f"new blocks add 0: {site} are 0"
        )
        return blocks, [verdict]
    reason = "blocks run more than once change the function; training goes on faster from there"
    return blocks, [AxisVerdict("layers", before, after, name, "lossy", reason)]
