"""The causal objective: tell each token from those before it.

Shapes: B windows, T tokens, D width, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from evergrow.models.parts import LOGIT_BYTES, PartsOf
from evergrow.objectives.objective import Given, Objective, nothing_probed
from evergrow.objectives.text import UNIT, Texts, kept_apart
from evergrow.stream.batches import TokenBatch, token_batch
from evergrow.stream.plan import Sample
from evergrow.stream.shards import TokenSource
from evergrow.train.objective import Loss


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


def causal(given: Given) -> Objective:
    """Windows of text, each token told from those before it; chats may be replayed among them."""
    texts, train = Texts(given), given.train

    def batch(samples: Sequence[Sample], numbers: range) -> TokenBatch:
        if not are_windows(given, samples):
            return texts.row_batch(samples, "assistant", pack=False)
        settings = (train.sequence_length, train.mask_repeats, train.separate_documents)
        return token_batch(samples, given.by_folder, *settings)

    learn = Causal(train.z_loss)
    return Objective(
        unit=UNIT,
        counted="tokens",
        num_items=texts.num_windows,
        first_model=texts.first_model,
        refuse=texts.refuse,
        batch=batch,
        loss=kept_apart(learn, "train.separate_documents") if train.separate_documents else learn,
        measure=texts.measure,
        show=texts.show,
        probe=nothing_probed,
        save=texts.save,
    )


def are_windows(given: Given, samples: Sequence[Sample]) -> bool:
    """Whether all samples are windows of text as long as the stage's own."""
    by_folder, length = given.by_folder, given.train.sequence_length
    return all(
        given.lengths[s.origin] == length and isinstance(by_folder[s.source], TokenSource)
        for s in samples
    )


class Causal:
    """Next-token prediction with z-loss."""

    def __init__(self, z_loss: float, logit_bytes: int = LOGIT_BYTES) -> None:
        self._z = z_loss
        self._logit_bytes = logit_bytes
        self._parts_of = PartsOf()

    def __call__(self, model: nn.Module, batch: TokenBatch, device: torch.device) -> Loss:
        """Summed loss of a batch; logits above 256 MiB are made in pieces."""
        inputs = to_device(batch.inputs_BT, device)
        targets = to_device(batch.targets_BT, device).reshape(-1)
        weights = to_device(np.ascontiguousarray(batch.weights_BT), device).reshape(-1)
        extra = {}
        if batch.positions_BT is not None:
            extra["position_ids"] = to_device(batch.positions_BT, device)
        config: Any = model.config
        num_chunks = -(-targets.numel() * config.vocab_size * 4 // self._logit_bytes)
        parts = self._parts_of(model) if num_chunks > 1 else None
        if parts is None:
            logits = model(input_ids=inputs, use_cache=False, **extra).logits
            sums = CrossEntropy.apply(logits.flatten(0, 1), targets, weights, self._z)
            return token_loss(*sums)
        hidden_ND = parts.backbone(input_ids=inputs, use_cache=False, **extra)[0].flatten(0, 1)
        return in_pieces(parts.head, hidden_ND, targets, weights, self._z, num_chunks)


def token_loss(cross_entropy: Tensor, z_loss: Tensor) -> Loss:
    """Both parts are minimised; the cross-entropy is the loss that curves show."""
    return Loss(cross_entropy + z_loss, {"cross_entropy": cross_entropy, "z_loss": z_loss})


def in_pieces(
    head: Any, hidden_ND: Tensor, targets: Tensor, weights: Tensor, z: float, num_pieces: int
) -> Loss:
    """The loss of hidden states whose logits are made ``num_pieces`` times a part."""
    learnt = [parameter for parameter in head.parameters() if parameter.requires_grad]
    found = Pieces.apply(head, z, num_pieces, targets, weights, hidden_ND, *learnt)
    return Loss(found[0], {"cross_entropy": found[1], "z_loss": found[2]})


class Pieces(torch.autograd.Function):
    """Both parts of the loss, one piece of the logits at a time, each made only once.

    A piece's gradients are taken as soon as its loss is there (as the Liger kernels do,
    arXiv 2410.10989), so no logits await the backward pass, which only scales them. Making
    the pieces again there cost 25 to 29 % of a step (256 wide, 6 layers, 24,576 and 49,152 ids).
    """

    @staticmethod
    def forward(
        ctx: Any,
        head: Any,
        z: float,
        num_pieces: int,
        targets_N: Tensor,
        weights_N: Tensor,
        hidden_ND: Tensor,
        *learnt: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        sums: list[Tensor] = []
        slope_ND, slopes = torch.empty_like(hidden_ND), [torch.zeros_like(p) for p in learnt]
        given = (hidden_ND.detach(), targets_N, weights_N, slope_ND)
        for read, target, weight, slope in zip(*(t.chunk(num_pieces) for t in given), strict=True):
            with torch.enable_grad():
                read = read.requires_grad_()
                parts = CrossEntropy.apply(head(read), target, weight, z)
                found = torch.autograd.grad(parts[0] + parts[1], (read, *learnt))
            sums.append(torch.stack(parts).detach())
            slope.copy_(found[0])
            for whole, piece in zip(slopes, found[1:], strict=True):
                whole.add_(piece)
        ctx.slopes = [slope_ND, *slopes]
        cross_entropy, z_loss = torch.stack(sums).sum(dim=0)
        ctx.mark_non_differentiable(cross_entropy, z_loss)
        return cross_entropy + z_loss, cross_entropy, z_loss

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        # In place: this runs once.
        found, ctx.slopes = [slope.mul_(grads[0]) for slope in ctx.slopes], None
        return (None, None, None, None, None, *found)


def to_device(array: Any, device: torch.device) -> Tensor:
    """A tensor of a NumPy array; the copy to a GPU is not waited for."""
    tensor = torch.from_numpy(array)
    return tensor.to(device, non_blocking=True) if device.type != "cpu" else tensor
