"""A smaller model: which blocks and units stay, chosen by what they do on text, and their maps.

Unlike a growth this loses something, whatever is chosen: no promise is made but that the numbers
say how much.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from evergrow.config import Config
from evergrow.errors import InputError
from evergrow.grow import operators
from evergrow.grow.axes import AxisMap, unchanged
from evergrow.grow.config import GrowConfig, numbers_in
from evergrow.grow.fields import Sizes
from evergrow.grow.importance import Importance, importance_of
from evergrow.grow.operators import AxisVerdict, Exactness, Views
from evergrow.grow.passes import Batch
from evergrow.grow.stored import Stored
from evergrow.models.family import Family

PRUNED: Exactness = "none: pruned"


class Pruning(Config):
    """What stays, as ranges of the source's numbers such as 0-5,8; None where all of an axis does.

    ``heads``, ``kv_heads`` and ``ffn`` have one entry for each block that stays.

    num_tokens  of the text that chose; 0 where a list of layers was enough
    influence   of each of the source's blocks, 1 - cosine of input and output
    shares      axis -> the share of its units' importance that stays
    """

    blocks: str
    hidden: str | None = None
    heads: list[str] | None = None
    kv_heads: list[str] | None = None
    ffn: list[str] | None = None
    num_tokens: int = 0
    influence: list[float] = []
    shares: dict[str, float] = {}


Keep = Callable[[Family, Sizes, Sizes, list[int] | None], Pruning]


def shrinks(before: Sizes, after: Sizes) -> bool:
    """Whether sizes get smaller; raises InputError where others get larger."""
    smaller = [axis for axis in after if after[axis] < before[axis]]
    larger = [axis for axis in after if after[axis] > before[axis]]
    if smaller and larger:
        one, other = smaller[0], larger[0]
        raise InputError(
            f"{one}={after[one]}, {other}={after[other]}: one is smaller than the source's "
            f"{before[one]} and one larger than its {before[other]}; shrink first, and grow what "
            "comes of it"
        )
    return bool(smaller)


def check_shrinking(grow: GrowConfig, before: Sizes, after: Sizes) -> None:
    """Raise InputError for settings of growth, and for query heads that lose their key head."""
    for name, default in (("method", "auto"), ("depth", "auto"), ("noise", None)):
        if getattr(grow, name) != default:
            raise InputError(f"{name}={getattr(grow, name)}: of growth, and sizes shrink; leave it")
    if grow.tokenizer is not None or grow.experts is not None:
        raise InputError("to: sizes shrink; change the tokenizer or the experts in a step before")
    group, left = before["heads"] // before["kv_heads"], after["heads"] // after["kv_heads"]
    if left > group:
        raise InputError(
            f"heads={after['heads']}, kv_heads={after['kv_heads']}: {left} query heads would share "
            f"a key head, and {group} do; choose heads={group * after['kv_heads']} or fewer"
        )


def kept_by_text(
    source: Stored,
    texts: Sequence[Batch],
    family: Family,
    before: Sizes,
    after: Sizes,
    order: list[int] | None,
) -> Pruning:
    """Choose by ``importance_of`` on ``texts``; only a list of layers needs none.

    Raises InputError without texts, and for neurons that nothing sees.
    """
    axes = [axis for axis in after if after[axis] < before[axis]]
    chosen = [axis for axis in axes if axis != "layers" or order is None]
    if chosen and not texts:
        raise InputError(
            f"{chosen[0]}={after[chosen[0]]}: smaller than the source's {before[chosen[0]]}, and "
            "what goes is what does least on your text: name some by --data"
            + (", or list the blocks that stay by --layers" if chosen == ["layers"] else "")
        )
    found = importance_of(source, family, before, texts) if texts else None
    if found is not None and "ffn" in axes and len(found.ffn) < before["layers"]:
        raise InputError(
            f"ffn={after['ffn']}: experts of {family.name} compute their neurons in one step, so "
            "that nothing sees them; leave ffn as it is"
        )
    return choose(found, before, after, order)


def choose(
    found: Importance | None, before: Sizes, after: Sizes, order: list[int] | None
) -> Pruning:
    """The units of each axis with the largest importance; all blocks in their old order."""
    if found is None:
        assert order is not None, "only a list needs no text"
        return Pruning(blocks=ranges_of(order))
    influence = np.array(found.mean_influence())
    assert len(influence) == before["layers"], "a family's blocks are numbered modules"
    stay = order or (
        _most(influence, after["layers"])
        if after["layers"] < before["layers"]
        else range(before["layers"])
    )
    told: dict[str, Any] = {"num_tokens": found.num_tokens, "influence": influence.tolist()}
    shares: dict[str, float] = {}
    if after["hidden"] < before["hidden"]:
        scores = _numbers(found.hidden[0])
        kept = _most(scores, after["hidden"])
        told["hidden"], shares["hidden"] = ranges_of(kept), _share([scores], [kept])
    if after["ffn"] < before["ffn"]:
        every = [_numbers(found.ffn[block]) for block in stay]
        neurons = [_most(scores, after["ffn"]) for scores in every]
        told["ffn"], shares["ffn"] = [*map(ranges_of, neurons)], _share(every, neurons)
    if after["heads"] < before["heads"]:
        every = [_numbers(found.heads[block]) for block in stay]
        both = [_most_heads(scores, before, after) for scores in every]
        told["heads"] = [ranges_of(heads) for heads, _ in both]
        told["kv_heads"] = [ranges_of(keys) for _, keys in both]
        shares["heads"] = _share(every, [heads for heads, _ in both])
    return Pruning(blocks=ranges_of(stay), shares=shares, **told)


def _most_heads(scores: np.ndarray, before: Sizes, after: Sizes) -> tuple[list[int], list[int]]:
    """The best heads of the groups whose best are best, and those groups' key heads."""
    group, left = before["heads"] // before["kv_heads"], after["heads"] // after["kv_heads"]
    groups = scores.reshape(-1, group)
    best = [_most(row, left) for row in groups]
    sums = np.array([row[kept].sum() for row, kept in zip(groups, best, strict=True)])
    keys = _most(sums, after["kv_heads"])
    return [key * group + head for key in keys for head in best[key]], keys


def _most(scores: np.ndarray, count: int) -> list[int]:
    """The places of the ``count`` largest, in order; of equals the first stay."""
    return sorted(np.argsort(-scores, kind="stable")[:count].tolist())


def _share(scores: Sequence[np.ndarray], kept: Sequence[list[int]]) -> float:
    stays = sum(one[places].sum() for one, places in zip(scores, kept, strict=True))
    return float(stays / max(sum(one.sum() for one in scores), np.finfo(float).tiny))


def _numbers(sums: Tensor) -> np.ndarray:
    return sums.numpy()


def ranges_of(places: Sequence[int]) -> str:
    """``0-2,5`` of 0 1 2 5; ``numbers_in`` is the way back."""
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][1] + 1:
            runs[-1][1] = place
        else:
            runs.append([place, place])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def pruned_views(
    family: Family, config: Mapping[str, Any], before: Sizes, pruning: Pruning, tied: bool
) -> tuple[Views, tuple[Views, ...]]:
    """The maps of what all blocks share, and for each block that stays all of its own."""
    base = _selected(before["hidden"], pruning.hidden)
    width = (family.table_field and config.get(family.table_field)) or before["hidden"]
    table = operators.embedded(base, width, family.table_times_root)
    views = operators.residual_views(base, table, tied)
    views |= {axis: unchanged(before[axis]) for axis in ("ffn", "vocab") if axis in before}
    views |= _heads_views(before, None, None)
    views |= dict.fromkeys(("key", "query", "raw_dim", "value"), unchanged(before["head_dim"]))
    if pruning.heads is None and pruning.ffn is None:
        return views, ()
    of_block = []
    for place in range(len(numbers_in(pruning.blocks))):
        heads, keys, ffn = (
            None if listed is None else listed[place]
            for listed in (pruning.heads, pruning.kv_heads, pruning.ffn)
        )
        own = {"ffn": _selected(before["ffn"], ffn)} | _heads_views(before, heads, keys)
        of_block.append(views | own)
    return views, tuple(of_block)


def _heads_views(before: Sizes, heads: str | None, keys: str | None) -> Views:
    query, key = _selected(before["heads"], heads), _selected(before["kv_heads"], keys)
    return {"heads": query, "raw_heads": query, "kv_heads": key, "raw_kv_heads": key}


def _selected(before: int, kept: str | None) -> AxisMap:
    """Some of ``before`` coordinates, held and read as they are: M selects, R = M^T."""
    if kept is None:
        return unchanged(before)
    places = np.array(numbers_in(kept))
    return AxisMap(before, places, np.ones(len(places)), np.ones(len(places)))


_MEASURES = {
    "hidden": "what norms give (absolute, summed over the norms)",
    "heads": "the norm of what heads give",
    "ffn": "neurons' absolute activation",
}


def pruned_verdicts(
    family: Family, before: Sizes, after: Sizes, pruning: Pruning, listed: bool
) -> list[AxisVerdict]:
    """A sentence for each axis that gets smaller: by which measure, and how much of it stays."""
    verdicts = []
    for axis in ("hidden", "heads", "kv_heads", "ffn", "layers"):
        if after[axis] == before[axis] or axis not in family.fields:
            continue
        how = "least important units removed"
        if axis == "layers":
            how, why = _why_blocks(before["layers"], pruning, listed)
        elif axis == "kv_heads":
            why = "a key head goes with all query heads that read it"
        else:
            why = (
                f"{pruning.shares[axis]:.1%} of {_MEASURES[axis]} stays, "
                f"on {pruning.num_tokens:,} tokens"
            )
        verdicts.append(AxisVerdict(axis, before[axis], after[axis], how, PRUNED, why))
    return verdicts


def _why_blocks(before: int, pruning: Pruning, listed: bool) -> tuple[str, str]:
    gone = ranges_of(sorted({*range(before)} - {*numbers_in(pruning.blocks)}))
    if listed:
        return f"blocks {pruning.blocks}", f"without {gone}, as listed"
    turned = sum(pruning.influence[block] for block in numbers_in(gone))
    return "least influential blocks removed", (
        f"without {gone}, which turn their input least (1 - cosine {turned:.2g} together), "
        f"on {pruning.num_tokens:,} tokens"
    )
