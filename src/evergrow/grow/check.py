"""Is the grown model what the plan says: the same function, healthy gradients, free to differ.

Judged in float32 beside the source's own rounding noise. A folder in bf16 that differs by more is
judged before rounding: a tolerance in bf16 means nothing (its noise is as large as many real
differences).
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from evergrow.errors import InputError
from evergrow.grow.checked import Activation, Checked, Gradients, Other
from evergrow.grow.difference import Difference, Differences, difference, is_finite
from evergrow.grow.expand import expand
from evergrow.grow.freedom import Watched
from evergrow.grow.passes import (
    Batch,
    Passed,
    Weighed,
    is_language_model,
    random_batch,
    run,
    targets_of,
)
from evergrow.grow.plan import GrowthPlan
from evergrow.grow.stored import Stored
from evergrow.models.families import FAMILIES
from evergrow.models.family import Family
from evergrow.models.quiet import undisturbed

# What is known of a folder that another tool grew and whose family nobody described.
_NOBODYS = Family("", "", ("",), {}, "layer", {}, ())

# An exact growth differs by the rounding of other sums: 1 to 3 times the source's own float32 noise
# in tests. An eps of 1e-5 in place of 1e-6, a small mistake, makes 100 times it.
NOISE_FACTOR = 20.0
RELATIVE_FLOOR = 1e-6  # of the outputs' deviation, where the noise happens to be almost 0
GRADIENT_RATIO = 10.0  # zeros before a norm gave 1,700; healthy growths 0.3 to 2


def check_growth(
    source: Stored,
    grown: Stored,
    plan: GrowthPlan | None,
    texts: Sequence[Batch] = (),
    tolerance: float | None = None,
    again: Sequence[Batch] = (),
    given: Stored | None = None,
) -> Checked:
    """Verify that ``grown`` is what ``source`` becomes by ``plan``.

    Without ``plan`` (a folder that another tool grew) the function must be kept. ``tolerance``
    bounds the largest difference of the outputs in float32 in place of the noise's multiple. Where
    ids are new, what is said of the old ones must be kept; where the tokenizer is another, of the
    pieces that both have, and ``again`` is the text by the grown model's. ``given`` is what the
    plan grows, where that is not the source.
    """
    small, large = _weigh(source, grown, plan)
    batch, other = _random_batches(small, large, plan)
    shapes = {n: slot.shape for n, slot in grown.slots.items() if not _identity(plan, n)}
    family = FAMILIES.get(str(grown.config.get("model_type")), _NOBODYS)
    watched = Watched(shapes, family.axes_of, grown.read)
    in_few_bits = source.bytes_per_weight < 4
    with undisturbed(), ThreadPoolExecutor(1) as beside:
        of_source = beside.submit(_source_passes, small, batch, in_few_bits)
        after = run(large, other, torch.float32, backward=True, watch=watched)
        before, exact, few_bits = of_source.result()
    words = _has_choices(small)
    found = difference(before.outputs, after.outputs, words)
    others = _others(before, after, exact)
    kept = plan is None or plan.keeps_old_ids
    noise = _noise(before, exact, words)
    limit = tolerance if tolerance is not None else _limit(noise)
    unrounded = None
    if kept and (found.maximum > limit or _other_problems(others)):
        unrounded = _before_rounding(given or source, grown, plan, large, other)
    judged = difference(before.outputs, (unrounded or after).outputs, words)
    others = others if unrounded is None else _others(before, unrounded, exact)
    ratio = _over(after.gradient_norm, before.gradient_norm)
    return Checked(
        exactness="exact" if plan is None else plan.exactness,
        inputs={name: list(value.shape) for name, value in batch.inputs.items()},
        difference=found,
        unrounded=None if unrounded is None else judged,
        others=others,
        noise=noise,
        bfloat16=None if few_bits is None else _noise(before, few_bits, words),
        limit=limit if kept or tolerance is not None else None,
        gradients=Gradients(before.gradient_norm, after.gradient_norm, ratio),
        activations=_activations(before, after, plan),
        text=_by_both(small, large, texts, again)
        if again
        else _on_text(small, large, texts, words),
        symmetry=watched.locked(),
        problems=[
            *_problems(found, judged, limit, ratio, kept, tolerance is not None),
            *(_other_problems(others) if kept and tolerance is None else []),
        ],
    )


def _weigh(source: Stored, grown: Stored, plan: GrowthPlan | None) -> tuple[Weighed, Weighed]:
    small = Weighed.of(source.config, source.slots, source.read)
    readout = None
    if small.model.base_model is small.model:  # no head: hidden states are the output
        readout = _readout(plan)
    large = Weighed.of(grown.config, grown.slots, grown.read, readout)
    mixed = plan is not None and any(verdict.axis == "experts" for verdict in plan.verdicts)
    if type(large.model) is not type(small.model) and not mixed:
        raise InputError(
            f"{grown.folder}: a {type(large.model).__name__}, and {source.folder} a "
            f"{type(small.model).__name__}; compare a model with what it was grown from"
        )
    sizes = [w.model.config.get_text_config().hidden_size for w in (small, large)]
    if small.model.base_model is small.model and readout is None and sizes[0] != sizes[1]:
        raise InputError(
            f"{grown.folder}: holds no growth.json, which says how its {sizes[1]} hidden features "
            f"stand for the source's {sizes[0]}; grow it again with evergrow"
        )
    if plan is not None and plan.spelling is not None and is_language_model(small.model):
        small = replace(small, ids=plan.spelling.old_ids)
        large = replace(large, ids=plan.spelling.new_ids)
    return small, large


def _readout(plan: GrowthPlan | None) -> Tensor | None:
    """R of what leaves the last block (post-norm) or the last norm, [grown, source] features."""
    if plan is None:
        return None
    _, read = plan.outputs.matrices()
    return torch.from_numpy(read.T.copy())


def _has_choices(weighed: Weighed) -> bool:
    """Whether outputs are logits of a distribution: over ids or over classes."""
    classes = type(weighed.model).__name__.endswith("Classification")
    several = (weighed.model.config.num_labels or 0) > 1
    return is_language_model(weighed.model) or (classes and several)


def _source_passes(
    small: Weighed, batch: Batch, in_few_bits: bool
) -> tuple[Passed, Passed, Passed | None]:
    """In float32, in float64, and in bfloat16 if asked."""
    before = run(small, batch, torch.float32, backward=True)
    few = run(small, batch, torch.bfloat16) if in_few_bits else None
    return before, run(small, batch, torch.float64), few


def _noise(before: Passed, other: Passed, words: bool) -> Difference:
    """What the source's own float32 outputs differ by when computed in another type."""
    return difference(before.outputs.double(), other.outputs.double(), words)


def _before_rounding(
    given: Stored, grown: Stored, plan: GrowthPlan | None, large: Weighed, batch: Batch
) -> Passed | None:
    """A pass of the grown weights as they were before they were stored in few bits."""
    if plan is None or grown.bytes_per_weight >= 4:
        return None
    wide = partial(expand, plan, read=given.read_wide)
    with undisturbed():
        return run(replace(large, read=wide), batch, torch.float32)


def _others(before: Passed, after: Passed, exact: Passed) -> list[Other]:
    return [
        Other(
            maximum=difference(small, large, words=False).maximum,
            limit=_limit(difference(small.double(), wide.double(), words=False)),
        )
        for small, large, wide in zip(before.others, after.others, exact.others, strict=True)
    ]


def _other_problems(others: list[Other]) -> list[str]:
    return [
        f"output {place} differs by {found.maximum:.2g}, and an exact growth by at most "
        f"{found.limit:.2g}"
        for place, found in enumerate(others, start=2)
        if not found.maximum <= found.limit
    ]


def _limit(noise: Difference) -> float:
    return max(NOISE_FACTOR * noise.maximum, RELATIVE_FLOOR * noise.scale)


def _over(grown: float, source: float) -> float | None:
    """grown / source; None where that is no number."""
    ratio = grown / source if source else math.inf
    return ratio if math.isfinite(ratio) else None


def _problems(
    found: Difference,
    judged: Difference,
    limit: float,
    ratio: float | None,
    exact: bool,
    asked: bool,
) -> list[str]:
    if not (is_finite(found) and is_finite(judged)):
        return ["its outputs are not finite"]
    problems = []
    if asked and found.maximum > limit:
        problems.append(f"outputs differ by {found.maximum:.2g}, more than --tolerance {limit:.2g}")
    if exact and not asked and judged.maximum > limit:
        problems.append(
            f"outputs differ by {judged.maximum:.2g}, and an exact growth by at most {limit:.2g}"
        )
    if exact and (ratio is None or not 1 / GRADIENT_RATIO < ratio < GRADIENT_RATIO):
        times = "not finite" if ratio is None else f"{ratio:.3g} times the source's"
        problems.append(f"the gradient's norm is {times}")
    return problems


def _activations(before: Passed, after: Passed, plan: GrowthPlan | None) -> list[Activation]:
    if plan is None:
        same = len(before.rms) == len(after.rms)
        pairs = [(i, i) for i in range(len(after.rms))] if same else []
    else:
        pairs = [(place, block.source) for place, block in enumerate(plan.blocks)]
    return [
        Activation(
            block=place,
            source_block=block,
            source=before.rms[block],
            grown=after.rms[place],
            ratio=_over(after.rms[place], before.rms[block]),
        )
        for place, block in pairs
        if place < len(after.rms) and block < len(before.rms)
    ]


def _random_batches(small: Weighed, large: Weighed, plan: GrowthPlan | None) -> tuple[Batch, Batch]:
    """The same random input for both models: by pieces that both have, in each one's ids."""
    batch = random_batch(small.model)
    if plan is None or plan.spelling is None:
        return batch, batch
    drawn = batch.inputs["input_ids"] % len(plan.spelling.kept)
    both = (plan.spelling.old_ids, plan.spelling.new_ids)
    ids = [known[drawn] for known in both]
    pairs = zip((small.model, large.model), ids, strict=True)
    first, second = (Batch({"input_ids": own}, targets_of(model, own)) for model, own in pairs)
    return first, second


def _by_both(
    small: Weighed, large: Weighed, texts: Sequence[Batch], again: Sequence[Batch]
) -> dict[str, float | int]:
    """Bits per byte of the same text, each model by its own tokenizer."""

    def bits(weighed: Weighed, batches: Sequence[Batch]) -> float:
        lost = 0.0
        for batch in batches:
            assert batch.targets is not None
            asked = int((batch.targets != -100).sum())
            lost += run(weighed, batch, torch.float32).loss * asked
        return lost / math.log(2) / sum(batch.num_bytes for batch in batches)

    with undisturbed(), torch.no_grad():
        return {
            "source_bits_per_byte": bits(small, texts),
            "grown_bits_per_byte": bits(large, again),
            "num_bytes": sum(batch.num_bytes for batch in texts),
        }


def _on_text(
    small: Weighed, large: Weighed, texts: Sequence[Batch], words: bool
) -> dict[str, float | int] | None:
    if not texts:
        return None
    sums = Differences(words)
    with undisturbed(), ThreadPoolExecutor(1) as beside:
        for batch in texts:
            of_source = beside.submit(run, small, batch, torch.float32)
            grown = run(large, batch, torch.float32).outputs
            sums.add(of_source.result().outputs, grown, batch.targets)
    record: dict[str, float | int] = {**sums.result().record()}
    num_bytes = sum(batch.num_bytes for batch in texts)
    if small.model.can_generate() and num_bytes:
        tokens_a_byte = sums.sums["targets"] / num_bytes
        for which in ("source", "grown"):
            bits = record[f"{which}_loss"] / math.log(2)
            record[f"{which}_bits_per_byte"] = bits * tokens_a_byte
    record["num_tokens"] = sum(batch.inputs["input_ids"].numel() for batch in texts)
    return record


def _identity(plan: GrowthPlan | None, name: str) -> bool:
    """Whether a tensor lies in an identity block, some of whose matrices are 0 on purpose."""
    place = None if plan is None else plan.family.block_of(name)
    return plan is not None and place is not None and plan.blocks[place].identity
