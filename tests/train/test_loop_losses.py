"""A step's loss: means over what counts, micro-batches, penalties, other parts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from train.loops import BATCH, CONFIG, LEG, batch_at, masked_by, rate_at, train, training_of

from evergrow.objectives.causal import Causal
from evergrow.stream.batches import TokenBatch
from evergrow.train.config import LoopConfig
from evergrow.train.loop import (
    Leg,
    weights,
)
from evergrow.train.objective import Loss


def test_micro_batches_train_like_the_whole_batch(build_model) -> None:
    states = []
    for size in (None, 1, 2):
        config = CONFIG.model_copy(update={"micro_batch_size": size, "clip_norm": 1e9})
        state = training_of(build_model("olmo2").double())
        train(state, 20, config=config)
        states.append(weights(state.model))
    for other in states[1:]:
        for name, tensor in states[0].items():
            torch.testing.assert_close(other[name], tensor, rtol=0, atol=1e-10)


def test_loss_and_gradient_are_means_over_the_targets_that_count(build_model) -> None:
    def half(step: int) -> TokenBatch:
        found, mask = batch_at(step), np.array([[1], [0], [0], [1]], np.float32)
        return replace(found, weights_BT=found.weights_BT * mask)

    leg = Leg(Causal(0.01), half, rate_at, 0)
    (record,) = train(training_of(build_model("olmo2")), 1, leg)
    model, batch = build_model("olmo2"), batch_at(1)
    logits = model(input_ids=torch.from_numpy(batch.inputs_BT[[0, 3]])).logits.flatten(0, 1)
    targets = torch.from_numpy(batch.targets_BT[[0, 3]]).flatten()
    loss = nn.functional.cross_entropy(logits, targets)
    z_loss = 0.01 * logits.logsumexp(-1).square().mean()
    (loss + z_loss).backward()
    norm = nn.utils.get_total_norm([p.grad for p in model.parameters()])
    assert record["loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert record["z_loss"] == pytest.approx(z_loss.item(), rel=1e-5)
    assert record["grad_norm"] == pytest.approx(norm.item(), rel=1e-5)


def test_a_batch_without_a_target_that_counts_is_survived(build_model) -> None:
    state = training_of(build_model("olmo2"))
    (record,) = train(state, 1, masked_by(lambda step: 0.0))
    assert (record["loss"], record["grad_norm"], record["skipped"]) == (0.0, 0.0, False)


@pytest.mark.parametrize("micro_batch_size", [None, 1])
def test_a_penalty_is_added_once_to_the_mean_loss_and_recorded(
    micro_batch_size: int | None, build_model
) -> None:
    """The gradient of 3 |w|^2 is 6 w, of which a first moment holds a tenth."""
    config = LoopConfig(batch_size=BATCH, micro_batch_size=micro_batch_size, clip_norm=1e9)
    name = "lm_head.weight"
    before = build_model("olmo2").get_parameter(name).detach()
    found, moments = [], []
    for penalty in (None, lambda model: 3 * model.get_parameter(name).square().sum()):
        state = training_of(build_model("olmo2"))
        found += train(state, 1, replace(LEG, penalty=penalty), config)
        moments.append(state.tensors()["optimizer"])
    plain, penalised = found
    assert "penalty" not in plain
    assert penalised["penalty"] == pytest.approx(3 * before.square().sum().item(), rel=1e-6)
    assert penalised["loss"] == plain["loss"]
    assert penalised["grad_norm"] > plain["grad_norm"]
    difference = moments[1][f"exp_avg.{name}"] - moments[0][f"exp_avg.{name}"]
    torch.testing.assert_close(difference, 0.6 * before, rtol=1e-5, atol=1e-6)
    other = "exp_avg.model.norm.weight"
    assert torch.equal(moments[0][other], moments[1][other])


def test_losses_of_other_parts_are_recorded_by_their_names(build_model) -> None:
    """A first step whose batch has both parts, and a second that has one, in one bundle."""

    def loss(model: nn.Module, batch: TokenBatch, device: torch.device) -> Loss:
        found = LEG.loss(model, batch, device)
        parts = {"margin": 2 * found.total, "chosen": found.parts["cross_entropy"]}
        return Loss(found.total, parts if state.step == 0 else {"margin": parts["margin"]})

    state = training_of(build_model("olmo2"))
    first, second = train(state, 2, replace(LEG, loss=loss))
    (plain,) = train(training_of(build_model("olmo2")), 1)
    assert first["chosen"] == plain["loss"]
    assert first["loss"] == pytest.approx(2 * (plain["loss"] + plain["z_loss"]), rel=1e-6)
    assert first.keys() - second.keys() == {"chosen"}
    assert "z_loss" not in first
