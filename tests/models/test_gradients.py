"""Gradients that are never made have the size and the elements of those that are."""

import pytest
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from evergrow.models.gradients import Factors, GradientSquares, factors_of, is_factored

IDS = torch.tensor([[3, 1], [3, 0]])


def used(module: nn.Module, entered: Tensor) -> tuple[Factors, Tensor]:
    """The factors of the module's gradient, and the gradient that autograd makes."""
    output = module(entered)
    kept: list[Tensor] = []
    output.register_hook(kept.append)
    (output * torch.arange(1.0, 1 + output.numel()).view_as(output)).sum().backward()
    weight = module.weight
    assert isinstance(weight, Tensor)
    assert weight.grad is not None
    return factors_of(module, entered, kept[0]), weight.grad


@pytest.mark.parametrize(
    ("module", "entered"),
    [
        (nn.Linear(5, 7), torch.randn(2, 3, 5)),
        (Conv1D(7, 5), torch.randn(2, 3, 5)),
        (nn.Embedding(4, 5), IDS),
    ],
)
def test_factors_are_the_gradient(module: nn.Module, entered: Tensor) -> None:
    factors, gradient = used(module, entered)
    assert torch.allclose(factors.whole(), gradient)
    assert factors.times(factors) == pytest.approx(float(gradient.square().sum()), rel=1e-5)


def test_a_table_that_is_the_head_too_adds_both_gradients() -> None:
    head, head_gradient = used(nn.Linear(5, 4), torch.randn(1, 3, 5))
    table, table_gradient = used(nn.Embedding(4, 5), IDS)
    expected = float((head_gradient + table_gradient).norm())
    names = {"head": "table", "table": "table"}
    squares = GradientSquares(names)
    squares.take_factors("table", head)
    squares.take_factors("table", table)
    assert squares.norm() == pytest.approx(expected, rel=1e-5)
    mixed = GradientSquares(names)  # one use of it made the gradient
    weight = nn.Parameter(torch.zeros(4, 5))
    weight.grad = table_gradient.clone()
    mixed.take("table", weight)
    mixed.take_factors("table", head)
    assert mixed.norm() == pytest.approx(expected, rel=1e-5)


def test_few_tokens_are_worth_it_and_what_does_more_than_a_product_is_left_alone() -> None:
    class Scaled(nn.Embedding):
        pass

    assert is_factored(nn.Linear(50, 70), (torch.zeros(2, 3, 50),))
    assert not is_factored(nn.Linear(5, 7), (torch.zeros(2, 3, 5),))  # 6 x 12 against 35
    assert not is_factored(Scaled(50, 70), (IDS,))
    assert not is_factored(nn.LayerNorm(50), (torch.zeros(1, 50),))
