from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evergrow.models.parts import backbone_and_head
from evergrow.objectives.causal import Causal, CrossEntropy
from evergrow.stream.batches import Row, TokenBatch, row_batch
from evergrow.train.objective import Loss

CPU = torch.device("cpu")
Z = 0.01  # a thousand times the default, so that an error in it is seen


def case(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Logits [N, V], targets and weights, of which one is 0 and one is a half."""
    draw = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(7, 11, generator=draw, dtype=torch.float64)).to(dtype)
    targets = torch.randint(11, (7,), generator=draw)
    weights = torch.tensor([1, 1, 0, 1, 0.5, 1, 1], dtype=dtype)
    return logits.requires_grad_(), targets, weights


def reference(logits: Tensor, targets: Tensor, weights: Tensor, z: float) -> tuple[Tensor, Tensor]:
    each = nn.functional.cross_entropy(logits, targets, reduction="none")
    return (weights * each).sum(), z * (weights * logits.logsumexp(-1) ** 2).sum()


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5)], ids=str
)
def test_loss_and_gradient_are_those_of_torch(dtype: torch.dtype, tolerance: float) -> None:
    logits, targets, weights = case(dtype)
    for factors in ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.3, 0.7)):
        found = CrossEntropy.apply(logits * 1, targets, weights, Z)
        expected = reference(logits, targets, weights, Z)
        ours, theirs = (
            torch.autograd.grad(factors[0] * a + factors[1] * b, logits)[0]
            for a, b in (found, expected)
        )
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=tolerance, atol=0)


def test_the_gradient_is_the_derivative() -> None:
    logits, targets, weights = case(torch.float64)

    def total(values: torch.Tensor) -> torch.Tensor:
        ce, z_loss = CrossEntropy.apply(values * 1, targets, weights, Z)
        return 3 * ce + z_loss

    total(logits).backward()
    assert logits.grad is not None
    step = 1e-6
    for place in ((0, 0), (0, int(targets[0])), (1, 2)):
        change = torch.zeros_like(logits)
        change[place] = step
        with torch.no_grad():
            slope = (total(logits + change) - total(logits - change)) / (2 * step)
        torch.testing.assert_close(logits.grad[place], slope, rtol=1e-6, atol=1e-8)


def test_half_precision_logits_are_summed_in_single_precision() -> None:
    logits, targets, weights = case(torch.bfloat16)
    found = CrossEntropy.apply(logits, targets, weights.float(), Z)
    expected = reference(logits.float(), targets, weights.float(), Z)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=0)
    (gradient,) = torch.autograd.grad(found[0] + found[1], logits)
    assert gradient.dtype == torch.bfloat16


def values(loss: Loss) -> list[Tensor]:
    return [loss.total, *loss.parts.values()]


def gradients(model: nn.Module, loss: Loss) -> dict[str, Tensor]:
    model.zero_grad()
    loss.total.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def test_the_loss_of_a_model_is_the_sum_over_windows_that_count(build_model, build_batch) -> None:
    model, batch = build_model("olmo2"), build_batch(0)
    loss = Causal(Z)(model, batch, CPU)
    logits = model(input_ids=torch.from_numpy(batch.inputs_BT)).logits
    counted = [0, 1, 3, 4, 5]
    targets = torch.from_numpy(batch.targets_BT)[counted].flatten()
    expected = reference(logits[counted].flatten(0, 1), targets, torch.ones(5 * 16), Z)
    torch.testing.assert_close(loss.parts["cross_entropy"], expected[0])
    torch.testing.assert_close(loss.parts["z_loss"], expected[1])
    torch.testing.assert_close(loss.total, expected[0] + expected[1])
    assert list(loss.parts) == ["cross_entropy", "z_loss"], "the first is what is recorded"
    assert (batch.weight, batch.passed) == (5 * 16, 6 * 16)


def test_masked_windows_leave_no_gradient(build_model, build_batch) -> None:
    model, batch = build_model("olmo2"), build_batch(0)
    inputs, targets = batch.inputs_BT.copy(), batch.targets_BT.copy()
    inputs[2], targets[2] = 7, 9
    other = replace(batch, inputs_BT=inputs, targets_BT=targets)
    first, second = (gradients(model, Causal(Z)(model, b, CPU)) for b in (batch, other))
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["olmo2", "gpt2", "llama"])
def test_logits_in_pieces_change_neither_loss_nor_gradient(name, build_model, build_batch) -> None:
    model, batch = build_model(name).double(), build_batch(0)
    rows: list[int] = []
    model.get_output_embeddings().register_forward_hook(lambda *call: rows.append(len(call[1][0])))
    whole = Causal(Z)(model, batch, CPU)
    whole_gradients = gradients(model, whole)
    rows.clear()
    # 6 x 16 targets x 96 logits x 4 bytes is 36 KiB: five pieces, the last one shorter.
    pieces = Causal(Z, logit_bytes=8 * 2**10)(model, batch, CPU)
    assert rows == [1, 20, 20, 20, 20, 16]  # one token to see whether pieces are possible
    piece_gradients = gradients(model, pieces)
    assert len(rows) == 6  # nothing is made again in the backward pass
    for a, b in zip(values(whole), values(pieces), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=0)
    assert piece_gradients.keys() == whole_gradients.keys() == dict(model.named_parameters()).keys()
    for key, gradient in whole_gradients.items():
        torch.testing.assert_close(piece_gradients[key], gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["gemma2", "granite"])
def test_families_that_change_the_logits_are_left_whole(name, build_model, build_batch) -> None:
    model, batch = build_model(name), build_batch(0)
    assert backbone_and_head(model) is None
    whole, pieces = (Causal(Z, n)(model, batch, CPU) for n in (2**30, 2**10))
    assert torch.equal(whole.total, pieces.total)


def test_looking_for_the_parts_draws_nothing_and_changes_nothing(build_model) -> None:
    model = build_model("gpt2 with dropout").train()
    state = torch.get_rng_state()
    parts = backbone_and_head(model)
    assert parts is not None
    assert parts.backbone is model.transformer
    assert parts.head is model.lm_head
    assert torch.equal(torch.get_rng_state(), state)
    assert all(m.training for m in model.modules())
    assert not model.transformer._forward_hooks
    assert not model.lm_head._forward_hooks


def test_micro_batches_add_up_to_the_batch(build_model, build_batch) -> None:
    model, batch, learn = build_model("olmo2").double(), build_batch(0), Causal(Z)
    whole = gradients(model, learn(model, batch, CPU))
    for size in (1, 2, 3, 4):
        micro_batches = batch.split(size)
        assert [len(b.inputs_BT) for b in micro_batches][:-1] == [size] * ((6 - 1) // size)
        assert sum(b.weight for b in micro_batches) == batch.weight
        assert sum(b.passed for b in micro_batches) == batch.passed
        model.zero_grad()
        for micro_batch in micro_batches:
            learn(model, micro_batch, CPU).total.backward()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(parameter.grad, whole[name], rtol=1e-10, atol=1e-10)


def test_positions_reach_the_model_and_are_split_with_the_rest(build_model, build_batch) -> None:
    model, batch = build_model("olmo2"), build_batch(0)
    places = np.tile(np.arange(4), (6, 4))
    apart = replace(batch, positions_BT=places)
    # The same tokens as 24 windows of 4: documents of four tokens that do not see each other.
    short = TokenBatch(
        batch.inputs_BT.reshape(24, 4),
        batch.targets_BT.reshape(24, 4),
        batch.weights_BT.reshape(24, 4),
        np.full(24, 4),
        None,
    )
    expected = Causal(Z)(model, short, CPU).total
    torch.testing.assert_close(Causal(Z)(model, apart, CPU).total, expected)
    torch.testing.assert_close(Causal(Z, 8 * 2**10)(model, apart, CPU).total, expected)
    micro_batches = apart.split(2)
    total = sum(Causal(Z)(model, b, CPU).total for b in micro_batches)
    torch.testing.assert_close(total, expected)
    assert (Causal(Z)(model, batch, CPU).total - expected).abs() > 0.1


# torch 2.13's own compiler warns of itself when it is imported.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_a_compiled_model_has_a_compiled_backbone(build_model) -> None:
    model = build_model("olmo2")
    compiled = torch.compile(model, backend="eager")
    parts = backbone_and_head(compiled)
    assert parts is not None
    assert parts.backbone._orig_mod is model.model
    assert parts.head is model.lm_head


def test_logits_that_a_model_still_needs_are_not_overwritten_in_silence() -> None:
    logits, targets, weights = case(torch.float32)
    kept = logits.exp()  # its derivative is its own value
    ce, _ = CrossEntropy.apply(kept, targets, weights, Z)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        ce.backward()


@pytest.mark.parametrize("name", ["olmo2", "llama", "gpt2"])
def test_packed_rows_lose_what_they_lose_alone(name: str, build_model) -> None:
    """Five chats of which some tokens count, in rows of 12 and each in a batch of its own."""
    model, draw = build_model(name).double(), np.random.default_rng(0)
    rows = []
    for length in (7, 5, 10, 3, 2):
        ids = draw.integers(1, 96, length + 1)
        weights = (draw.random(length) < 0.6).astype(np.float32)
        rows.append(Row(ids[:-1], ids[1:], weights, np.arange(length)))
    alone = [Causal(Z)(model, row_batch([row], None, 0), CPU) for row in rows]
    expected = torch.stack([torch.stack(values(loss)) for loss in alone]).sum(0)
    kept = gradients(model, Loss(torch.stack([loss.total for loss in alone]).sum(), {}))
    together, side_by_side = row_batch(rows, 12, 0), row_batch(rows, None, 0)
    assert together.inputs_BT.shape == (3, 12)
    for batch in (together, side_by_side):
        found = Causal(Z)(model, batch, CPU)
        torch.testing.assert_close(torch.stack(values(found)), expected, rtol=1e-10, atol=0)
        for key, gradient in gradients(model, found).items():
            torch.testing.assert_close(gradient, kept[key], rtol=1e-9, atol=1e-12)
    blind = Causal(Z)(model, replace(together, positions_BT=None), CPU)
    assert (blind.total - expected[0]).abs() > 0.1, "without positions chats see each other"
