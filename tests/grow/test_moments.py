"""Moments follow the gradient that the grown model would have had."""

import pytest
import torch
from grow.tiny import described, grown, inputs, tiny
from torch import Tensor, nn
from transformers import PreTrainedModel

from evergrow.errors import InputError
from evergrow.grow.config import GrowConfig
from evergrow.grow.layout import line_of
from evergrow.grow.moments import grow_moments
from evergrow.grow.plan import GrowthPlan, plan_growth
from evergrow.models.streamed import StaysWide

DOUBLE = {"hidden": 96, "heads": 8, "ffn": 224}
GQA = DOUBLE | {"kv_heads": 4}


def gradients(model: PreTrainedModel) -> dict[str, Tensor]:
    ids = inputs(model)["input_ids"]
    model.zero_grad()
    with StaysWide():
        logits = model(input_ids=ids).logits
    nn.functional.cross_entropy(logits.flatten(0, 1), ids.flatten()).backward()
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def as_moments(found: dict[str, Tensor]) -> dict[str, Tensor]:
    steps = {f"step.{n}": torch.tensor(7.0) for n in found}
    squares = {f"exp_avg_sq.{n}": g.square() for n, g in found.items()}
    return {f"exp_avg.{n}": g for n, g in found.items()} | squares | steps


@pytest.mark.parametrize(
    ("family", "grow"),
    [
        ("bert", GrowConfig(to=DOUBLE, method="fpi")),
        ("gpt2", GrowConfig(to=DOUBLE, method="fpi")),
        ("gpt_neox", GrowConfig(to=DOUBLE | {"heads": 4}, method="fpi")),
        ("llama", GrowConfig(to=GQA, method="fpi")),
        ("llama", GrowConfig(to={"hidden": 72, "ffn": 150}, method="sqrt")),
        ("qwen2", GrowConfig(to={"hidden": 72, "ffn": 150}, method="sqrt")),
        ("qwen3", GrowConfig(to=GQA, method="fpi")),
        ("olmo2", GrowConfig(to=GQA, method="fpi")),
        ("olmo2", GrowConfig(to={"hidden": 72}, method="zero")),
        ("llama", GrowConfig(to={"ffn": 224}, method="zero")),
        ("llama", GrowConfig(to={"head_dim": 24}, method="fpi")),
        ("llama", GrowConfig(to={"layers": 5})),
    ],
)
def test_copied_moments_are_those_of_the_grown_models_own_gradient(
    family: str, grow: GrowConfig
) -> None:
    source = tiny(family)
    larger, plan = grown(source, grow)
    moments, _ = grow_moments(plan, as_moments(gradients(source)), "copy")
    actual = gradients(larger)
    assert {n for n in moments if n.startswith("exp_avg.")} == {f"exp_avg.{n}" for n in actual}
    scale = max(g.abs().max() for g in actual.values())
    for name, gradient in actual.items():
        block = plan.family.block_of(name)
        if block is not None and plan.blocks[block].new:
            continue  # a silent block's gradient is another one
        seen = _of_copies(plan, name, gradient)
        here = moments[f"exp_avg.{name}"]
        assert ((here - gradient)[seen].abs().max() / scale) < 1e-10, name
        squares = moments[f"exp_avg_sq.{name}"]
        assert ((squares - gradient.square())[seen].abs().max() / scale**2) < 1e-10, name


def _of_copies(plan: GrowthPlan, name: str, gradient: Tensor) -> Tensor:
    """True where an element is a copy: what was 0 or turns at a new speed has a gradient anew."""

    seen = torch.ones_like(gradient, dtype=torch.bool)
    line = line_of(plan, name)
    for place, dimension in enumerate(line.dimensions):
        if dimension is not None:
            shape = [1] * gradient.ndim
            shape[place] = -1
            held = (dimension.map.source >= 0) & (dimension.map.scale != 0)
            seen &= torch.from_numpy(held).view(shape)
    return seen


def test_new_elements_start_at_zero_and_steps_go_on() -> None:
    source = tiny("llama")
    plan = plan_growth(described(source), GrowConfig(to=GQA | {"layers": 4}))
    before = as_moments(gradients(source))
    after, report = grow_moments(plan, before, "asymmetric")
    name = "model.layers.1.mlp.up_proj.weight"
    moment = after[f"exp_avg.{name}"]
    assert moment.shape == (224, 96)
    assert moment[112:].abs().max() == 0 == moment[:, 48:].abs().max()
    # rows of a copied neuron see half of what is read from it, columns all of what they read
    assert torch.allclose(moment[:112, :48], before[f"exp_avg.{name}"] / 2)
    assert after[f"step.{name}"] == 7
    assert report[name] == "kept for 25% of the elements, 0 for the new ones"
    silent = "model.layers.3.mlp.up_proj.weight"
    assert after[f"exp_avg_sq.{silent}"].abs().max() == 0
    assert report[silent] == "kept for 0% of the elements, 0 for the new ones"


def test_dropped_moments_are_said_to_be() -> None:
    source = tiny("llama")
    plan = plan_growth(described(source), GrowConfig(to={"layers": 4}))
    moments, report = grow_moments(plan, as_moments(gradients(source)), "drop")
    assert moments == {}
    assert set(report.values()) == {"dropped: it starts afresh"}
    assert "model.layers.3.mlp.up_proj.weight" in report
    assert grow_moments(plan, {}, "copy") == ({}, {})


def test_the_state_of_another_model_is_refused() -> None:
    plan = plan_growth(described(tiny("llama")), GrowConfig(to=GQA))
    other = as_moments(gradients(tiny("llama", intermediate_size=96)))
    with pytest.raises(InputError, match=r"optimiser state of .*: does not belong to this model"):
        grow_moments(plan, other, "asymmetric")
    other = as_moments(gradients(tiny("gpt2")))
    with pytest.raises(InputError, match=r"optimiser state of transformer.*does not belong"):
        grow_moments(plan, other, "copy")
    partial = as_moments(gradients(tiny("llama")))
    del partial["exp_avg_sq.model.norm.weight"]
    with pytest.raises(InputError, match=r"optimiser state of model\.norm\.weight"):
        grow_moments(plan, partial, "copy")
    fewer = as_moments(gradients(tiny("llama", num_hidden_layers=2)))
    with pytest.raises(InputError, match="says 3 blocks and the weights have 2"):
        grow_moments(plan, fewer, "copy")


@pytest.mark.parametrize(("policy", "locked"), [("copy", True), ("asymmetric", False)])
def test_equal_halves_part_only_if_their_moments_do(policy: str, locked: bool) -> None:
    source = tiny("llama")
    larger, plan = grown(source, GrowConfig(to=GQA, method="fpi"))
    moments, _ = grow_moments(plan, as_moments(gradients(source)), policy)  # pyright: ignore
    optimizer = torch.optim.AdamW(larger.parameters(), lr=1e-3)
    for name, parameter in larger.named_parameters():
        parts = ("exp_avg", "exp_avg_sq", "step")
        optimizer.state[parameter] = {part: moments[f"{part}.{name}"].clone() for part in parts}
    for _ in range(3):
        gradients(larger)
        optimizer.step()
    gate = larger.get_parameter("model.layers.1.mlp.gate_proj.weight").detach()
    apart = (gate[:112] - gate[112:]).abs().max().item()
    assert (apart < 1e-10) == locked
    assert (torch.linalg.matrix_rank(gate, atol=1e-8) == 48) == locked
