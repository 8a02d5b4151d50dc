"""AdamW as OLMo 2 uses it, and its state as named tensors."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from evergrow.errors import EvergrowError
from evergrow.train.config import OptimizerConfig

_STATE = ("exp_avg", "exp_avg_sq", "step")


def build_optimizer(
    model: nn.Module,
    config: OptimizerConfig,
    undecayed: Collection[str],
    group_of: Callable[[str], str] | None = None,
) -> torch.optim.AdamW:
    """Fused AdamW over all trainable parameters; those in ``undecayed`` have no weight decay.

    ``group_of`` names the depth group of a parameter: each has a parameter group, called ``depth``.
    """
    groups: dict[tuple[str, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            place = ("" if group_of is None else group_of(name), name in undecayed)
            decay = 0.0 if name in undecayed else config.weight_decay
            empty = {"params": [], "weight_decay": decay, "depth": place[0]}
            groups.setdefault(place, empty)["params"].append(parameter)
    return torch.optim.AdamW(
        sorted(groups.values(), key=lambda g: g["weight_decay"] == 0),  # the decayed first
        lr=0.0,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        fused=True,
    )


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state by ``<moment>.<parameter>``; empty before the first step."""
    return {
        f"{part}.{name}": optimizer.state[parameter][part]
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
        for part in _STATE
    }


def load_optimizer_tensors(
    model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    """Put back what ``optimizer_tensors`` returned; raises EvergrowError when it does not fit."""
    expected = set()
    for name, parameter in model.named_parameters():
        parts = {part: tensors.get(f"{part}.{name}") for part in _STATE}
        missing = [part for part, tensor in parts.items() if tensor is None]
        if len(missing) == len(_STATE):
            continue
        moments = [tensor for part, tensor in parts.items() if part != "step"]
        if missing or any(m is None or m.shape != parameter.shape for m in moments):
            raise EvergrowError(
                f"optimiser state of {name}: does not belong to this model; "
                "start the stage with optimizer_state: reset"
            )
        expected.update(f"{part}.{name}" for part in _STATE)
        optimizer.state[parameter] = {
            part: tensor.to(parameter.device, copy=True)
            for part, tensor in parts.items()
            if tensor is not None
        }
    if strangers := tensors.keys() - expected:
        raise EvergrowError(
            f"optimiser state of {min(strangers)}: no such parameter in this model; "
            "start the stage with optimizer_state: reset"
        )


def clip_factor(parameters: list[Tensor], clip_norm: float) -> tuple[Tensor, Tensor]:
    """The gradient's 2-norm and the divisor that brings it to at most ``clip_norm``, on device."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    return norm, (norm / clip_norm).clamp(min=1.0).float()  # the fused kernel reads fp32
