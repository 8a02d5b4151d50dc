import pytest
import torch
from torch import Tensor, nn

from evergrow.errors import EvergrowError
from evergrow.train.config import OptimizerConfig
from evergrow.train.optimizer import (
    build_optimizer,
    clip_factor,
    load_optimizer_tensors,
    optimizer_tensors,
)

CONFIG = OptimizerConfig()
RATES = [0.0, 1e-3, 3e-2, 1e-2, 0.0, 5e-3]


def small_model(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 5), nn.LayerNorm(5))


def give_gradients(model: nn.Module, step: int) -> list[Tensor]:
    """Gradients whose norm is far above 1 in even steps and far below it in odd ones."""
    draw = torch.Generator().manual_seed(step)
    parameters = [p for p in model.parameters() if p.requires_grad]
    for parameter in parameters:
        size = 0.01 if step % 2 else 5.0
        parameter.grad = size * torch.randn(parameter.shape, generator=draw)
    return parameters


def take_steps(model: nn.Module, optimizer: torch.optim.AdamW, steps: range) -> None:
    for step in steps:
        _, divisor = clip_factor(give_gradients(model, step), 1.0)
        optimizer.grad_scale, optimizer.found_inf = divisor, torch.zeros(())  # type: ignore
        for group in optimizer.param_groups:
            group["lr"] = RATES[step]
        optimizer.step()


def test_clipping_inside_the_fused_step_is_clipping_before_a_plain_one() -> None:
    ours, theirs = small_model(), small_model()
    optimizer = build_optimizer(ours, CONFIG, ["0.weight"])
    plain = torch.optim.AdamW(
        [
            {"params": list(theirs[1:].parameters()), "weight_decay": 0.1},
            {"params": list(theirs[0].parameters()), "weight_decay": 0.0},
        ],
        lr=0.0,
        betas=(0.9, 0.95),
        eps=1e-8,
        fused=False,
    )
    for step, rate in enumerate(RATES):
        norm, divisor = clip_factor(give_gradients(ours, step), 1.0)
        total = nn.utils.clip_grad_norm_(give_gradients(theirs, step), 1.0)
        torch.testing.assert_close(norm, total, rtol=1e-6, atol=0)
        assert (divisor > 1).item() == (step % 2 == 0)
        take_steps(ours, optimizer, range(step, step + 1))
        for group in plain.param_groups:
            group["lr"] = rate
        plain.step()
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_the_divisor_brings_the_norm_to_the_limit_and_never_lifts_it() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([3.0, 4.0])
    silent = nn.Parameter(torch.zeros(2))
    assert [t.item() for t in clip_factor([parameter, silent], 2.0)] == [5.0, 2.5]
    assert [t.item() for t in clip_factor([parameter, silent], 10.0)] == [5.0, 1.0]


def test_undecayed_parameters_do_not_decay_and_the_others_do() -> None:
    model = small_model()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    optimizer = build_optimizer(model, CONFIG, ["0.weight"])
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for group in optimizer.param_groups:
        group["lr"] = 0.5
    optimizer.step()
    for name, parameter in model.named_parameters():
        kept = 1.0 if name == "0.weight" else 1 - 0.5 * 0.1
        torch.testing.assert_close(parameter.detach(), kept * before[name])


def test_frozen_parameters_are_left_out() -> None:
    model = small_model()
    model[1].weight.requires_grad_(False)
    optimizer = build_optimizer(model, CONFIG, ["0.weight"])
    assert sum(len(g["params"]) for g in optimizer.param_groups) == 4
    model[0].weight.requires_grad_(False)
    assert len(build_optimizer(model, CONFIG, ["0.weight"]).param_groups) == 1


def test_the_settings_are_those_of_the_recipe() -> None:
    config = OptimizerConfig(beta1=0.8, beta2=0.7, epsilon=1e-5, weight_decay=0.3)
    groups = build_optimizer(small_model(), config, ["0.weight"]).param_groups
    assert [g["weight_decay"] for g in groups] == [0.3, 0.0]
    assert all(g["betas"] == (0.8, 0.7) and g["eps"] == 1e-5 and g["lr"] == 0 for g in groups)


def test_the_state_comes_back_bit_for_bit() -> None:
    straight = small_model()
    optimizer = build_optimizer(straight, CONFIG, ["0.weight"])
    assert optimizer_tensors(straight, optimizer) == {}
    take_steps(straight, optimizer, range(3))
    tensors = {n: t.clone() for n, t in optimizer_tensors(straight, optimizer).items()}
    assert len(tensors) == 3 * 5
    assert tensors["step.0.weight"] == 3
    resumed = small_model(seed=1)
    resumed.load_state_dict(straight.state_dict())
    other = build_optimizer(resumed, CONFIG, ["0.weight"])
    load_optimizer_tensors(resumed, other, tensors)
    take_steps(straight, optimizer, range(3, 6))
    take_steps(resumed, other, range(3, 6))
    for a, b in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    ours, theirs = optimizer_tensors(straight, optimizer), optimizer_tensors(resumed, other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert tensors["step.0.weight"] == 3, "loading must copy"


@pytest.mark.parametrize("part", ["exp_avg", "exp_avg_sq"])
def test_a_moment_of_another_shape_is_refused(part: str) -> None:
    model = small_model()
    optimizer = build_optimizer(model, CONFIG, [])
    take_steps(model, optimizer, range(1))
    tensors = optimizer_tensors(model, optimizer) | {f"{part}.1.weight": torch.zeros(5, 3)}
    with pytest.raises(EvergrowError) as error:
        load_optimizer_tensors(model, optimizer, tensors)
    assert str(error.value) == (
        "optimiser state of 1.weight: does not belong to this model; "
        "start the stage with optimizer_state: reset"
    )


def test_a_lost_moment_and_a_strange_one_are_refused() -> None:
    model = small_model()
    optimizer = build_optimizer(model, CONFIG, [])
    take_steps(model, optimizer, range(1))
    tensors = optimizer_tensors(model, optimizer)
    lost = {name: t for name, t in tensors.items() if name != "step.2.bias"}
    with pytest.raises(EvergrowError, match=r"state of 2\.bias: does not belong to this model"):
        load_optimizer_tensors(model, optimizer, lost)
    strange = tensors | {"exp_avg.3.weight": torch.zeros(2)}
    with pytest.raises(EvergrowError) as error:
        load_optimizer_tensors(model, optimizer, strange)
    assert str(error.value) == (
        "optimiser state of exp_avg.3.weight: no such parameter in this model; "
        "start the stage with optimizer_state: reset"
    )
