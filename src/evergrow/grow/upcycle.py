"""A dense model seen as a mixture of experts, each of them a copy of the feed-forward.

Sparse upcycling (Komatsuzaki et al. 2023, arXiv 2212.05055): the shares of the chosen experts sum
to 1, so that copies compute what the one did. Drop-upcycling (Nakamura et al. 2025, arXiv
2502.19261): in each expert a share of the neurons, drawn for it alone, is drawn anew with the mean
and deviation of the weights that go, which changes the function and lets experts differ.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import CONFIG_MAPPING

from evergrow.errors import InputError
from evergrow.grow.config import Experts
from evergrow.grow.operators import AxisVerdict
from evergrow.grow.stored import Stored
from evergrow.models.skeleton import settings_of

ROUTER_DEVIATION = 0.02  # as transformers initialises it

# model_type -> that of the mixture whose blocks are the same but for the feed-forward. OLMoE norms
# queries and keys over all heads, which no described dense model with norms before its blocks does.
TARGETS = {"llama": "mixtral", "mistral": "mixtral", "qwen3": "qwen3_moe"}
_ARCHITECTURES = {"mixtral": "MixtralForCausalLM", "qwen3_moe": "Qwen3MoeForCausalLM"}
_NAMES = {  # of a block's router and of an expert's three matrices, as files hold them
    "mixtral": ("block_sparse_moe.gate", "block_sparse_moe.experts.{}.{}", ("w1", "w3", "w2")),
    "qwen3_moe": ("mlp.gate", "mlp.experts.{}.{}", ("gate_proj", "up_proj", "down_proj")),
}
_DENSE = ("gate_proj", "up_proj", "down_proj")


def upcycled(source: Stored, experts: Experts, seed: int) -> Stored:
    """``source`` as a mixture: its config.json, and tensors that are made when they are read.

    Raises InputError for an architecture without such a mixture, and for one with biases or
    windows that the mixture has not.
    """
    config = upcycled_config(source.config, experts)
    gate, expert, matrices = _NAMES[config["model_type"]]
    slots, made = {}, {}
    for name, slot in source.slots.items():
        prefix, is_dense, matrix = name.removesuffix(".weight").partition(".mlp.")
        if not is_dense:
            slots[name] = slot
            continue
        if matrix not in _DENSE or not name.endswith(".weight"):
            raise InputError(f"{name}: {config['model_type']} has no place for it; experts refused")
        if matrix == _DENSE[0]:
            router = f"{prefix}.{gate}.weight"
            slots[router] = replace(slot, shape=(experts.number, slot.shape[1]))
            made[router] = partial(_router, slots[router].shape, slot.dtype, seed, router)
        for number in range(experts.number):
            other = expert.format(number, matrices[_DENSE.index(matrix)])
            slots[f"{prefix}.{other}.weight"] = slot
            made[f"{prefix}.{other}.weight"] = partial(
                _expert, source, name, experts.drop, f"{seed} {prefix} {number}"
            )
    return replace(source, config=config, slots=slots, made=made)


def _router(shape: tuple[int, ...], dtype: torch.dtype, seed: int, name: str) -> Tensor:
    drawn = _generator(f"{seed} {name}").normal(0, ROUTER_DEVIATION, shape)
    return torch.from_numpy(drawn).to(dtype)


def _expert(source: Stored, name: str, drop: float, key: str) -> Tensor:
    """One expert's matrix; ``key`` is the expert's, so that its three lose the same neurons."""
    weight = source.read(name)
    neurons = 1 if name.endswith("down_proj.weight") else 0
    size = weight.shape[neurons]
    gone = torch.from_numpy(_generator(key).permutation(size)[: int(drop * size)])
    if not len(gone):
        return weight
    weight = weight.clone()
    lost = weight.index_select(neurons, gone).double()
    drawn = _generator(f"{key} {name}").normal(float(lost.mean()), float(lost.std()), lost.shape)
    return weight.index_copy_(neurons, gone, torch.from_numpy(drawn).to(weight.dtype))


def _generator(key: str) -> np.random.Generator:
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


def upcycled_config(config: Mapping[str, Any], experts: Experts) -> dict[str, Any]:
    """config.json of the mixture; every setting whose default differs there is written out."""
    kind = str(config.get("model_type"))
    if kind not in TARGETS:
        raise InputError(
            f"experts: no mixture of experts is known whose blocks are {kind}'s; "
            f"those of {', '.join(sorted(TARGETS))} have one"
        )
    target = TARGETS[kind]
    dense = settings_of(config).to_dict()
    there = CONFIG_MAPPING[target]().to_dict()
    _refuse_lost(kind, target, dense, there)
    told = {name for name in config if name in there or name.endswith("_token_id")}
    told |= {name for name in there if name in dense and dense[name] != there[name]}
    carried = {name: config.get(name, dense.get(name)) for name in sorted(told)}
    return {
        **carried,
        "model_type": target,
        "architectures": [_ARCHITECTURES[target]],
        "num_experts_per_tok": experts.per_token,
        **dict(_of_experts(target, dense["intermediate_size"], experts)),
    }


def _of_experts(target: str, width: int, experts: Experts) -> Iterator[tuple[str, Any]]:
    if target == "mixtral":
        yield "num_local_experts", experts.number
        return
    yield "num_experts", experts.number
    yield "moe_intermediate_size", width
    yield "norm_topk_prob", True  # else the shares of the chosen sum to less than 1
    yield "decoder_sparse_step", 1
    yield "mlp_only_layers", []


def _refuse_lost(
    kind: str, target: str, dense: Mapping[str, Any], there: Mapping[str, Any]
) -> None:
    """Settings of the dense model that the mixture cannot have must be off."""
    lost = [name for name in ("attention_bias", "mlp_bias") if dense.get(name)]
    lost = [name for name in lost if name not in there]
    if set(dense.get("layer_types") or ()) - {"full_attention"} and "layer_types" not in there:
        lost.append("layer_types")
    if lost:
        raise InputError(
            f"experts: {target} cannot have {lost[0]}={dense[lost[0]]}, which this {kind} has; "
            "such a model cannot become a mixture"
        )


def verdict_of(experts: Experts) -> AxisVerdict:
    """What becomes of the function."""
    if not experts.drop:
        return AxisVerdict(
            "experts", 1, experts.number, "copies of the feed-forward", "exact",
            f"the shares of the {experts.per_token} chosen of equal experts sum to 1, whatever the "
            "router says",
        )  # fmt: skip
    return AxisVerdict(
        "experts", 1, experts.number, "drop-upcycling", "lossy",
        f"{experts.drop:.0%} of each expert's neurons are drawn anew, so that experts differ",
    )  # fmt: skip
