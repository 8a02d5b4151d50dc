"""What the loop saves and puts back: weights, moments, groups."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from train.loops import BATCH, CPU, LEG, LENGTH, batch_at, same, train, training_of

from evergrow.errors import EvergrowError
from evergrow.train.loop import (
    Leg,
    Training,
    load_weights,
    weights,
)


def test_loading_a_state_without_moments_leaves_none(build_model) -> None:
    state = training_of(build_model("olmo2"))
    start = state.tensors()
    assert start["optimizer"] == {}
    records = train(state, 3)
    state.load(start, 0, 0)
    assert state.tensors()["optimizer"] == {}
    assert train(state, 3) == records


def test_what_was_saved_is_a_copy(build_model) -> None:
    state = training_of(build_model("olmo2"))
    train(state, 2)
    saved, again = state.tensors(), state.tensors()
    train(state, 4)
    assert same(saved, again)
    assert not same(saved, state.tensors())
    assert saved["optimizer"].keys() == {
        f"{part}.{name}" for part in ("exp_avg", "exp_avg_sq", "step") for name in saved["model"]
    }


def test_at_rate_0_the_moments_fill_and_the_weights_stay(build_model) -> None:
    state = training_of(build_model("olmo2"))
    before = state.tensors()["model"]
    train(state, 3, Leg(LEG.loss, batch_at, lambda step: 0.0, 0))
    after = state.tensors()
    assert all(torch.equal(after["model"][name], before[name]) for name in before)
    for name in before:
        assert after["optimizer"][f"step.{name}"] == 3
        assert after["optimizer"][f"exp_avg_sq.{name}"].max() > 0
    # The moments are those of a run whose weights stay: the mean of the three gradients, debiased.
    model = build_model("olmo2")
    expected = torch.zeros_like(model.lm_head.weight)
    for step in (1, 2, 3):
        model.zero_grad()
        batch = batch_at(step)
        (LEG.loss(model, batch, CPU).total / (BATCH * LENGTH)).backward()
        norm = nn.utils.get_total_norm([p.grad for p in model.parameters()])
        expected = 0.9 * expected + 0.1 * model.lm_head.weight.grad / max(1.0, norm)
    torch.testing.assert_close(after["optimizer"]["exp_avg.lm_head.weight"], expected)


class Average:
    """The mean of the head's weights over steps, an older step half as much as the next one."""

    def __init__(self, model: nn.Module) -> None:
        self._head = model.get_parameter("lm_head.weight")
        self.mean = torch.zeros_like(self._head)

    @contextmanager
    def after(self, step: int) -> Iterator[None]:
        yield
        self.mean.lerp_(self._head.detach(), 0.5)

    def tensors(self) -> dict[str, Tensor]:
        return {"mean": self.mean}

    def load(self, tensors: dict[str, Tensor]) -> None:
        self.mean.copy_(tensors["mean"])


def averaged(model: nn.Module) -> tuple[Training, Average, Leg]:
    state, average = training_of(model), Average(model)
    state.groups["average"] = average
    return state, average, replace(LEG, update_at=average.after)


def test_a_group_is_saved_and_goes_on_where_it_was(build_model) -> None:
    straight, average, leg = averaged(build_model("olmo2"))
    train(straight, 4, leg)
    saved = straight.tensors()
    assert saved.keys() == {"model", "optimizer", "guard", "average"}
    assert torch.equal(saved["average"]["mean"], average.mean)
    train(straight, 10, leg)
    assert not torch.equal(saved["average"]["mean"], average.mean), "a copy"
    resumed, its_average, its_leg = averaged(build_model("olmo2"))
    resumed.load(saved, 4, 4 * BATCH * LENGTH)
    train(resumed, 10, its_leg)
    assert torch.equal(its_average.mean, average.mean)
    assert same(resumed.tensors(), straight.tensors())
    assert resumed.passed == straight.passed == 10 * BATCH * LENGTH
    lost = {name: group for name, group in saved.items() if name != "average"}
    with pytest.raises(KeyError, match="average"):
        resumed.load(lost, 4, 256)


def test_weights_hold_a_tied_tensor_once(build_model) -> None:
    model = build_model("gpt2")
    assert "lm_head.weight" not in weights(model)
    assert "transformer.wte.weight" in weights(model)
    assert weights(build_model("olmo2")).keys() == build_model("olmo2").state_dict().keys()


def test_strange_weights_are_refused_before_anything_is_copied(build_model) -> None:
    model = build_model("olmo2")
    state = training_of(model)
    tensors = state.tensors()["model"]
    lost = {name: t for name, t in tensors.items() if name != "lm_head.weight"}
    with pytest.raises(EvergrowError) as error:
        load_weights(model, lost)
    assert str(error.value) == "weights lm_head.weight: in the model or the checkpoint, not in both"
    with pytest.raises(EvergrowError) as error:
        load_weights(model, tensors | {"lm_head.weight": torch.zeros(95, 16)})
    assert str(error.value) == (
        "weights lm_head.weight: shape (95, 16) in the checkpoint, (96, 16) in the model"
    )
