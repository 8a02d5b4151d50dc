import copy
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from evergrow.train.own_clock import OwnClock, multiplier


def test_the_multiplier_rises_to_rho_and_comes_back_to_one() -> None:
    found = [multiplier(steps, 1.3, 4) for steps in range(-1, 11)]
    expected = [1, 1, 0.325, 0.65, 0.975, 1.3, 1.225, 1.15, 1.075, 1, 1, 1]
    assert found == pytest.approx(expected)
    assert found[9:] == [1.0, 1.0, 1.0]  # exactly: the clock is off
    assert multiplier(1, 1.3, 0) == 1.0


def trained(clocked: bool, num_steps: int) -> tuple[nn.Linear, list[torch.Tensor]]:
    """A layer whose last row is new, after steps from step 8, and its weights after each."""
    torch.manual_seed(0)
    model = nn.Linear(4, 3, bias=False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.5, fused=True)
    mask = torch.zeros(3, 4, dtype=torch.bool)
    mask[2] = True
    clock = OwnClock(model, {"weight": mask}, born=7, rho=2.0, warm_steps=2)
    x, history = torch.randn(8, 4), [model.weight.detach().clone()]
    for step in range(8, 8 + num_steps):
        model(x).square().sum().backward()
        with clock.during(step) if clocked else nullcontext():
            optimizer.step()
        optimizer.zero_grad()
        history.append(model.weight.detach().clone())
    return model, history


def test_only_new_elements_move_by_their_multiple_and_decay_counts() -> None:
    _, plain = trained(clocked=False, num_steps=1)
    _, own = trained(clocked=True, num_steps=1)
    assert torch.equal(own[1][:2], plain[1][:2])
    moved = own[1][2] - own[0][2]
    assert torch.allclose(moved, 1.0 * (plain[1][2] - plain[0][2]), atol=1e-7)  # rho 1 of 2


def test_half_way_up_the_update_is_half() -> None:
    torch.manual_seed(0)
    model = nn.Linear(2, 2, bias=False)
    clock = OwnClock(model, {"weight": torch.tensor([[True, False]] * 2)}, 10, 1.0, 4)
    before = copy.deepcopy(model.weight.data)
    with clock.during(11), torch.no_grad():
        model.weight.sub_(1.0)
    moved = model.weight.data - before
    assert torch.allclose(moved, torch.tensor([[-0.25, -1.0]] * 2))


def test_afterwards_nothing_is_done() -> None:
    model = nn.Linear(2, 2, bias=False)
    clock = OwnClock(model, {"weight": torch.ones(2, 2, dtype=torch.bool)}, 10, 1.3, 4)
    before = model.weight.detach().clone()
    expected = before * 3 + 0.1
    with clock.during(18), torch.no_grad():
        model.weight.copy_(expected)
    assert torch.equal(model.weight, expected)
