"""Objectives: a batch becomes a loss and its named parts.

Shapes: B windows, T tokens, D width, V vocabulary.
"""

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from evergrow.models.parts import PartsOf
from evergrow.stream.batches import TokenBatch

CHUNK_BYTES = 1 << 30  # logits above this are made and dropped in pieces


class Loss(NamedTuple):
    """Sums over the tokens that count; divided by their number outside, so micro-batches add up."""

    total: Tensor
    cross_entropy: Tensor
    z_loss: Tensor


class Objective(Protocol):
    """Turns a batch into a loss; ``weight`` is the number of targets that count in it."""

    def weight(self, batch: Any) -> float: ...

    def loss(self, model: nn.Module, batch: Any, device: torch.device) -> Loss: ...

    def split(self, batch: Any, size: int) -> list[Any]: ...


class CrossEntropy(torch.autograd.Function):
    """Cross-entropy plus z-loss of one logits tensor in a single normaliser and one backward pass.

    loss = sum_n w_n (lse_n - logit_n[target]) + z * w_n * lse_n^2 (PaLM, section 5; OLMo 2, section
    3.3.3); d loss / d logit = w_n (softmax * (1 + 2 z lse_n) - onehot).

    Single-precision logits on a CPU are overwritten, which saves an array of their size: nothing
    reads them after the loss. Autograd refuses loudly when a model's own backward pass would.
    """

    @staticmethod
    def forward(
        ctx: Any, logits_NV: Tensor, targets_N: Tensor, weights_N: Tensor, z: float
    ) -> tuple[Tensor, Tensor]:
        values_NV = logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))
        reached = values_NV.gather(-1, targets_N[:, None])[:, 0]
        # One vectorised pass; logsumexp takes four (1.3M parameters: 5 % of a step).
        log_p_NV = values_NV if values_NV.device.type == "cpu" else torch.empty_like(values_NV)
        torch.ops.aten._log_softmax.out(values_NV, -1, False, out=log_p_NV)
        picked = log_p_NV.gather(-1, targets_N[:, None])[:, 0]
        lse = reached - picked
        ctx.save_for_backward(targets_N, weights_N, lse)
        ctx.log_p_NV, ctx.dtype, ctx.z = log_p_NV, logits_NV.dtype, z
        return -(weights_N * picked).sum(), z * (weights_N * lse * lse).sum()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None, None, None]:
        grad_ce, grad_z = grads
        targets_N, weights_N, lse = ctx.saved_tensors
        # In place: the log-probabilities become the gradient, so this runs once.
        gradient, ctx.log_p_NV = ctx.log_p_NV.exp_(), None
        weights = weights_N.to(lse.dtype)
        scale = weights * (grad_ce + 2 * ctx.z * lse * grad_z)
        gradient.mul_(scale[:, None])
        gradient.scatter_add_(1, targets_N[:, None], -(weights * grad_ce)[:, None])
        return gradient.to(ctx.dtype), None, None, None


class Causal:
    """Next-token prediction with z-loss."""

    def __init__(self, z_loss: float, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._z = z_loss
        self._chunk_bytes = chunk_bytes
        self._parts_of = PartsOf()

    def weight(self, batch: TokenBatch) -> float:
        """The number of targets that count."""
        return float(batch.weights_B.sum()) * batch.targets_BT.shape[1]

    def split(self, batch: TokenBatch, size: int) -> list[TokenBatch]:
        """Micro-batches of ``size`` windows."""
        return [
            TokenBatch(
                batch.inputs_BT[i : i + size],
                batch.targets_BT[i : i + size],
                batch.weights_B[i : i + size],
                None if batch.positions_BT is None else batch.positions_BT[i : i + size],
            )
            for i in range(0, len(batch.inputs_BT), size)
        ]

    def loss(self, model: nn.Module, batch: TokenBatch, device: torch.device) -> Loss:
        """Summed loss of a batch; logits above 1 GiB are made, and made again, in pieces."""
        inputs = to_device(batch.inputs_BT, device)
        targets = to_device(batch.targets_BT, device).reshape(-1)
        weights = to_device(batch.weights_B, device)
        weights = weights[:, None].expand(inputs.shape).reshape(-1)
        extra = {}
        if batch.positions_BT is not None:
            extra["position_ids"] = to_device(batch.positions_BT, device)
        config: Any = model.config
        num_chunks = -(-targets.numel() * config.vocab_size * 4 // self._chunk_bytes)
        parts = self._parts_of(model) if num_chunks > 1 else None
        if parts is None:
            logits = model(input_ids=inputs, use_cache=False, **extra).logits
            sums = CrossEntropy.apply(logits.flatten(0, 1), targets, weights, self._z)
            return Loss(sums[0] + sums[1], *sums)
        hidden_ND = parts.backbone(input_ids=inputs, use_cache=False, **extra)[0].flatten(0, 1)
        return in_pieces(parts.head, hidden_ND, targets, weights, self._z, num_chunks)


def in_pieces(
    head: Any, hidden_ND: Tensor, targets: Tensor, weights: Tensor, z: float, num_chunks: int
) -> Loss:
    """The loss of hidden states, their logits made, and made again, ``num_chunks`` times a part."""

    def piece(hidden: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        return CrossEntropy.apply(head(hidden), target, weight, z)

    cross_entropy = z_loss = torch.zeros((), device=hidden_ND.device)
    pieces = zip(*(t.chunk(num_chunks) for t in (hidden_ND, targets, weights)), strict=True)
    for part in pieces:
        found: Any = checkpoint(piece, *part, use_reentrant=False)
        cross_entropy, z_loss = cross_entropy + found[0], z_loss + found[1]
    return Loss(cross_entropy + z_loss, cross_entropy, z_loss)


def to_device(array: Any, device: torch.device) -> Tensor:
    """A tensor of a NumPy array; the copy to a GPU is not waited for."""
    tensor = torch.from_numpy(array)
    return tensor.to(device, non_blocking=True) if device.type != "cpu" else tensor
