"""A model folder grown into another, a tensor at a time; nothing is left of one that fails."""

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from evergrow.disk import new_folder
from evergrow.errors import EvergrowError, InputError
from evergrow.grow.card import grown_card
from evergrow.grow.check import check_growth
from evergrow.grow.companions import carried, carry, left_behind, take_tokenizer
from evergrow.grow.config import GrowConfig
from evergrow.grow.cost import Cost, cost_of
from evergrow.grow.expand import expand, needed, read_shape, target_names
from evergrow.grow.layout import line_of
from evergrow.grow.passes import Batch
from evergrow.grow.plan import GrowthPlan, plan_growth
from evergrow.grow.record import grown_node, growth_record, hashes_of, write_record
from evergrow.grow.respell import Spelling, spelling
from evergrow.grow.shrink import Keep, kept_by_text
from evergrow.grow.stored import Stored, open_folder
from evergrow.grow.upcycle import upcycled
from evergrow.lineage import refuse_changed, write_node
from evergrow.models.skeleton import skeleton, split_parts, stored_names
from evergrow.models.weights import SHARD_BYTES, write_weights

_SPARE_BYTES = 64 * 2**20  # records and the file system's own

Shape = tuple[torch.dtype, tuple[int, ...]]


@dataclass(frozen=True)
class Outlook:
    """A growth judged and counted before any weight is read.

    given    what the plan grows: the source, or the mixture that is made of it
    shapes   grown tensor -> its type and shape, in the order of writing
    """

    source: Stored
    given: Stored
    plan: GrowthPlan
    shapes: dict[str, Shape]
    before: Cost
    after: Cost


def look_ahead(folder: Path, grow: GrowConfig, texts: Sequence[Batch] = ()) -> Outlook:
    """Plan the growth of the model in ``folder``; touches no weights, but those of a model that
    is to shrink: it reads ``texts``, so that what goes is what does least there.

    Raises InputError for whatever ``plan_growth`` refuses, and for weights that config.json or
    the family does not describe.
    """
    source = open_folder(folder)
    given, plan = plan_of(source, grow, keep=partial(kept_by_text, source, texts))
    small, large = skeleton(source.config), skeleton(plan.target)
    _check_fit(small, {n: slot.shape for n, slot in source.slots.items()})
    shapes = {name: _grown(plan, given, name) for name in target_names(plan, given.slots)}
    _check_fit(large, {name: shape for name, (_, shape) in shapes.items()})
    width = source.bytes_per_weight
    return Outlook(source, given, plan, shapes, cost_of(small, width), cost_of(large, width))


def plan_of(
    source: Stored, grow: GrowConfig, tokenizer: Path | None = None, keep: Keep | None = None
) -> tuple[Stored, GrowthPlan]:
    """What is grown, and how; ``tokenizer`` where that of ``grow`` lies elsewhere by now."""
    found = _spelling_of(source, grow, tokenizer)
    if grow.experts is None:
        return source, plan_growth(source.config, grow, found, keep=keep)
    given = upcycled(source, grow.experts, grow.seed)
    return given, plan_growth(given.config, grow, found, source.config, keep)


def _spelling_of(source: Stored, grow: GrowConfig, tokenizer: Path | None) -> Spelling | None:
    if grow.tokenizer is None:
        return None
    rows = source.config.get("vocab_size")
    if not isinstance(rows, int):
        raise InputError(f"tokenizer: config.json of {source.folder} says no vocab_size")
    return spelling(source.folder, tokenizer or Path(grow.tokenizer).expanduser(), rows)


def _grown(plan: GrowthPlan, source: Stored, name: str) -> Shape:
    first = source.slots[needed(plan, name)[0]]
    shape = read_shape(plan, name, first.shape)
    return first.dtype, line_of(plan, name).grown_shape(name, shape)


def _check_fit(model: PreTrainedModel, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """The architecture's parameters are all there, in the shapes that config.json gives them."""
    stored, parts = stored_names(model, shapes), split_parts(model, shapes)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        for part, expected in parts.get(name, {stored[name]: tuple(parameter.shape)}).items():
            if shapes[part] != expected:
                raise InputError(
                    f"{part}: {shapes[part]} in the file and {expected} by config.json; "
                    "both must come from the same model"
                )


def grow_folder(
    source: Path,
    grow: GrowConfig,
    folder: Path,
    texts: Sequence[Batch] = (),
    again: Sequence[Batch] = (),
    shard_bytes: int = SHARD_BYTES,
) -> dict[str, Any]:
    """Write the grown model to ``folder``, verify it there, and return what growth.json says.

    Only one tensor and what it is made from are in memory at a time; the verification reads the
    weights a module at a time. ``texts`` add loss and KL on text, and where the model shrinks every
    second of them chooses what stays and the others are measured; ``again`` is that text by
    ``grow.tokenizer``. Raises InputError for a folder that is there and for a source whose files
    are not those its node recorded, and EvergrowError for a full disk or for a grown model that is
    not what the plan says; then nothing is left.
    """
    if folder.exists():
        raise InputError(f"{folder}: is there already; choose another folder or delete it")
    outlook = look_ahead(source, grow, texts[::2])
    texts = measured(texts, outlook.plan)
    _check_space(folder, outlook)
    with ThreadPoolExecutor(1) as beside, new_folder(folder) as unfinished:
        hashes = beside.submit(_hashes_of, outlook.source)
        write_grown(outlook, unfinished, shard_bytes)
        widths = outlook.plan.outputs
        carry(source, unfinished, (widths.before, widths.after), grow.tokenizer is None)
        if grow.tokenizer is not None and outlook.plan.spelling is not None:
            take_tokenizer(Path(grow.tokenizer).expanduser(), unfinished, outlook.plan.spelling)
        grown = open_folder(unfinished)
        checked = check_growth(
            outlook.source, grown, outlook.plan, texts, again=again, given=outlook.given
        )
        if checked.problems:
            raise EvergrowError(
                f"{folder}: not written, because the grown model is not what the plan says: "
                + "; ".join(checked.problems)
            )
        record = growth_record(
            outlook.source, folder, grow, outlook.plan, outlook.before, outlook.after,
            list(outlook.shapes), checked,
            left_behind(source, outlook.source.files, grow.tokenizer is None), hashes.result(),
        )  # fmt: skip
        write_record(unfinished, record)
        node = grown_node(source, grow, record, outlook.plan.spelling).to_data()
        card = grown_card(source, record)
        (unfinished / "README.md").write_text(card, encoding="utf-8")
        write_node(unfinished, node)
    return record


def measured(texts: Sequence[Batch], plan: GrowthPlan) -> Sequence[Batch]:
    """The texts that had no part in choosing what stays; raises InputError where none is left."""
    if plan.pruning is None or not texts:
        return texts
    if len(texts) == 1:
        raise InputError(
            "--data: one half of the text chooses what stays and the other is measured; give more"
        )
    return texts[1::2]


def _hashes_of(source: Stored) -> dict[str, str]:
    refuse_changed(source.folder)
    return hashes_of(source)


def write_grown(outlook: Outlook, folder: Path, shard_bytes: int = SHARD_BYTES) -> None:
    """The grown weights and their config.json, nothing else, into a folder that is there."""
    make = partial(expand, outlook.plan, read=outlook.given.read)
    write_weights(folder, outlook.shapes, make, shard_bytes)
    text = json.dumps(outlook.plan.target, indent=2, sort_keys=True) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")


def _check_space(folder: Path, outlook: Outlook) -> None:
    there = next(path for path in folder.absolute().parents if path.exists())
    free = shutil.disk_usage(there).free
    wanted = sum(math.prod(shape) * dtype.itemsize for dtype, shape in outlook.shapes.values())
    source = outlook.source.folder
    wanted += sum((source / file).stat().st_size for file in carried(source))
    if free < wanted + _SPARE_BYTES:
        raise EvergrowError(
            f"{folder}: the grown model needs {wanted / 1e9:.1f} GB and {free / 1e9:.1f} GB are "
            "free; nothing was written, so free some space or choose another disk"
        )
