"""Sizes and configuration fields: read, checked, carried whole, and written for the grown model."""

from collections.abc import Mapping, Sequence
from typing import Any

from evergrow.errors import InputError
from evergrow.grow.depth import Block
from evergrow.models.family import Family
from evergrow.models.fields import is_read
from evergrow.models.skeleton import settings_of

Sizes = dict[str, int]

# Axes that do not shrink, and what does.
_WHOLE = {
    "head_dim": "heads go whole, so set heads",
    "vocab": "rows go by another tokenizer",
}

# Fields of config.json that mean the same at every size; they are carried as they are.
_CARRIED = """
    _name_or_path _attn_implementation architectures model_type transformers_version dtype
    torch_dtype bos_token_id eos_token_id pad_token_id sep_token_id cls_token_id mask_token_id
    decoder_start_token_id unk_token_id tie_word_embeddings use_cache return_dict
    output_attentions output_hidden_states is_decoder is_encoder_decoder add_cross_attention
    cross_attention_hidden_size tie_encoder_decoder chunk_size_feed_forward id2label label2id
    num_labels problem_type task_specific_params finetuning_task tokenizer_class
    gradient_checkpointing torchscript pruned_heads prefix use_bfloat16 max_position_embeddings
    _num_labels output_past
    initializer_range attention_dropout hidden_dropout attention_probs_dropout_prob
    hidden_dropout_prob classifier_dropout hidden_act rope_theta rope_scaling rope_parameters
    rms_norm_eps layer_norm_eps attention_bias layer_types use_sliding_window sliding_window
    max_window_layers
"""
_ROPE_BY_SPEED = ("default", "linear", "llama3")  # a coordinate's factor depends on its speed alone


def unread_fields(family: Family, config: Mapping[str, Any]) -> list[str]:
    """Fields that neither the family nor transformers knows: carried as they are, and said.

    Raises InputError for one that transformers reads and nobody described: growth might have to
    change it.
    """
    known = {*_CARRIED.split(), *family.own.split(), *family.fields.values(), *family.kept}
    known |= {*family.per_layer, *family.named_by_depth, family.table_field}
    strangers = sorted(config.keys() - known)
    for name in strangers:
        if is_read(family.name, name):
            raise InputError(
                f"config.json: nobody said what {name} means for a grown {family.name}; "
                "remove the field if it does not matter, or add it to the family"
            )
    return strangers


def check_bound(family: Family, config: Mapping[str, Any], before: Sizes, after: Sizes) -> None:
    """Raise InputError where a setting ties the function to an axis that grows."""
    width = family.table_field and config.get(family.table_field)
    if width == after["hidden"] != before["hidden"]:
        raise InputError(
            f"hidden={width}: {family.name} as wide as its {family.table_field} has no "
            "projection between the two, and the source has; choose another width"
        )
    for name, (harmless, axis) in family.bound.items():
        value = config.get(name)
        if value is not None and value not in harmless and before[axis] != after[axis]:
            raise InputError(
                f"{axis}={after[axis]}: with {name}={value} in config.json a grown model would "
                f"compute something else whatever its weights; keep {axis} at {before[axis]}"
            )


def sizes(family: Family, config: Mapping[str, Any]) -> Sizes:
    """The source's size on every axis, also on those that the config leaves to a rule."""
    found: Sizes = {}
    for axis, name in family.fields.items():
        value = config.get(name)
        if value is None:
            continue
        if not isinstance(value, int):
            raise InputError(f"config.json: {name} is {value!r}, and a size is a whole number")
        found[axis] = value
    missing = [a for a in ("hidden", "heads", "layers") if a not in found]
    if missing:
        raise InputError(
            f"config.json: {family.fields[missing[0]]} is missing; copy the whole file"
        )
    hidden, heads = found["hidden"], found["heads"]
    if (family.whole_heads or "head_dim" not in family.fields) and hidden % heads:
        raise InputError(
            f"config.json: {heads} heads do not divide {family.fields['hidden']} {hidden}, which "
            f"no {family.name} is made for; copy the whole file"
        )
    found.setdefault("kv_heads", found["heads"])
    found.setdefault("head_dim", found["hidden"] // found["heads"])
    found.setdefault("ffn", _ffn_times(family, config) * hidden)
    return found


def _ffn_times(family: Family, config: Mapping[str, Any]) -> int:
    """How many times the residual the feed-forward is where no field says its width."""
    return 4 if family.ffn_times is None else config.get(family.ffn_times, 4)


def grown_sizes(family: Family, before: Sizes, to: Mapping[str, int]) -> Sizes:
    """The target's size on every axis; raises InputError for a size that cannot be."""
    after = dict(before)
    for axis, size in to.items():
        if axis not in before or axis not in family.fields:
            raise InputError(f"{axis}={size}: {family.name} has no such axis; leave it out")
        if size < before[axis] and axis in _WHOLE:
            raise InputError(
                f"{axis}={size}: smaller than the source's {before[axis]}; {_WHOLE[axis]}"
            )
        after[axis] = size
    if "head_dim" not in family.fields:
        _derive_heads(family, before, after, to)
    if "ffn" not in family.fields:
        after["ffn"] = after["hidden"] * before["ffn"] // before["hidden"]
    if before["kv_heads"] == before["heads"] and "kv_heads" not in to:
        after["kv_heads"] = after["heads"]
    if after["heads"] % after["kv_heads"]:
        raise InputError(
            f"heads={after['heads']}: not divisible by kv_heads={after['kv_heads']}; "
            "every key head serves the same number of query heads"
        )
    if family.whole_heads and after["hidden"] % after["heads"]:
        raise InputError(
            f"hidden={after['hidden']}: not divisible by heads={after['heads']}, which "
            f"transformers asks of {family.name}; choose hidden={_next_multiple(after)} or other "
            "heads"
        )
    if after == before:
        raise InputError("to: every size is the source's already; name another")
    return after


def _next_multiple(after: Sizes) -> int:
    return -(-after["hidden"] // after["heads"]) * after["heads"]


def _derive_heads(family: Family, before: Sizes, after: Sizes, to: Mapping[str, int]) -> None:
    """hidden = heads x width here: heads keep their width unless their number is set."""
    hidden, width = after["hidden"], before["head_dim"]
    if "heads" not in to:
        if hidden % width:
            raise InputError(
                f"hidden={hidden}: {family.name} splits it into heads of {width}, which does not "
                "divide it; choose a multiple or set heads too"
            )
        after["heads"] = hidden // width
    if hidden % after["heads"]:
        raise InputError(
            f"heads={after['heads']}: does not divide hidden={hidden}; choose a divisor"
        )
    after["head_dim"] = hidden // after["heads"]
    if after["head_dim"] > width and after["heads"] < before["heads"]:
        raise InputError(
            f"heads={after['heads']}: would make heads wider ({after['head_dim']} instead of "
            f"{width}); {family.name} needs hidden={after['heads'] * width} for as few"
        )
    if after["head_dim"] < width:
        raise InputError(
            f"heads={after['heads']}: would make heads narrower ({after['head_dim']} instead of "
            f"{width}); {family.name} needs hidden={after['heads'] * width} for as many"
        )


def rotary_width(family: Family, config: Mapping[str, Any], before: int, after: int) -> int:
    """How many coordinates of a head are turned by positions; 0 without rotary positions.

    Raises InputError where a wider head would not keep the speeds of the source.
    """
    if not family.rotary:
        return 0
    found = {_turned(family, rope, config, before, after) for rope in _ropes(config)}
    if len(found) > 1:
        raise InputError(
            f"config.json: {family.name} turns other shares of a head in other blocks; nobody "
            "described how such a model grows"
        )
    return found.pop()


def _ropes(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rotary settings: one for all blocks, or one for each kind of block."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kinds = [settings for settings in rope.values() if isinstance(settings, Mapping)]
    return kinds or [rope]


def _turned(
    family: Family, rope: Mapping[str, Any], config: Mapping[str, Any], before: int, after: int
) -> int:
    share = config.get("rotary_pct", config.get("partial_rotary_factor", family.rotary_share))
    fraction = rope.get("partial_rotary_factor", share)
    turned = int(before * fraction)
    kind = rope.get("rope_type", rope.get("type", "default"))
    if before != after and kind not in _ROPE_BY_SPEED:
        raise InputError(
            f"head_dim={after}: rope type {kind!r} ties speeds to the width of a head; "
            f"keep head_dim at {before}"
        )
    if 2 * -(-turned // 2) > before:
        raise InputError(
            f"config.json: heads {before} wide, of which {turned} coordinates turn in pairs by "
            "positions; transformers cannot run an odd width, so correct the sizes"
        )
    if int(after * fraction) * before != turned * after:
        raise InputError(
            f"head_dim={after}: {int(after * fraction)} of its coordinates would be turned by "
            f"positions, and {turned} of {before} are; keep heads {before} wide"
            if after % before == 0
            else f"head_dim={after}: its rotary part would not be {turned} of {before} "
            f"coordinates; choose a multiple of {before}"
        )
    return turned


def grown_config(
    family: Family,
    config: Mapping[str, Any],
    before: Sizes,
    after: Sizes,
    blocks: Sequence[Block],
) -> dict[str, Any]:
    """Every field carried; sizes written where they changed or where a rule would misread them."""
    target = dict(config)
    for axis, name in family.fields.items():
        rule = {"head_dim": after["hidden"] // after["heads"], "kv_heads": after["heads"]}
        rule["ffn"] = 4 * after["hidden"]
        if config.get(name) is not None or (axis in rule and rule[axis] != after[axis]):
            target[name] = after[axis]
    for name, axis in family.kept.items():
        target[name] = config.get(name) or before[axis]
    if family.table_field and config.get(family.table_field) == before["hidden"]:
        target[family.table_field] = after["hidden"]
    if before["layers"] == after["layers"]:
        return target
    for name in family.per_layer:
        value = config.get(name) or getattr(settings_of(config), name)
        target[name] = [value[block.source] for block in blocks]
    return {name: value for name, value in target.items() if name not in family.named_by_depth}
