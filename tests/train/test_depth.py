import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from evergrow.config import decode
from evergrow.errors import InputError
from evergrow.models.vision import PictureForm, TransformerSizes, resnet, vit, vit_mae
from evergrow.train.config import DepthConfig
from evergrow.train.depth import DepthPlan, depth_groups, grouping, resolve

FORM = PictureForm(8, 1)
SIZES = TransformerSizes(hidden=16, layers=3, heads=2, patch=2)
GROUPS = ["embed", "0", "1", "2", "head"]


def test_one_axis_for_all_families() -> None:
    small = LlamaConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        vocab_size=8,
        bos_token_id=1,
        eos_token_id=2,
    )
    for model in (
        vit_mae(FORM, SIZES, 0),
        vit(FORM, SIZES, ["a", "b"], 0),
        LlamaForCausalLM(small),
        resnet(FORM, [8, 16, 16], [1, 2, 1], ["a", "b"], 0),
    ):
        group_of = grouping(model)
        assert depth_groups([group_of(name) for name, _ in model.named_parameters()]) == GROUPS


def test_a_shortcut_belongs_to_its_stage_and_a_decoder_to_the_head() -> None:
    of_resnet = grouping(resnet(FORM, [8, 16], [1, 1], ["a", "b"], 0))
    assert of_resnet("resnet.encoder.stages.1.layers.0.shortcut.convolution.weight") == "1"
    of_autoencoder = grouping(vit_mae(FORM, SIZES, 0))
    assert of_autoencoder("decoder.decoder_layers.0.mlp.fc1.weight") == "head"


def test_unfreezing_opens_from_the_top_at_its_shares() -> None:
    config = DepthConfig(unfreeze={"head": 0, "-1": 0.1, "-2": 0.3})
    plan = resolve(config, GROUPS)
    open_at = lambda share: [g for g in GROUPS if plan[g].trains(share - 0.01, share)]  # noqa: E731
    assert open_at(0.05) == ["head"]
    assert open_at(0.1) == ["head"]  # the step that ends at the share is still closed
    assert open_at(0.11) == ["2", "head"]
    assert open_at(1.0) == ["1", "2", "head"]


def test_freezeout_closes_from_the_bottom_along_a_cosine() -> None:
    plan = resolve(DepthConfig(freeze=0.5, freeze_shape="linear"), GROUPS)
    assert [round(plan[g].end, 4) for g in GROUPS] == [0.5, 0.625, 0.75, 0.875, 1.0]
    assert plan["embed"].multiple(0.25, 0.26) == pytest.approx(0.5)
    assert plan["embed"].multiple(0.5, 0.51) == 0 and not plan["embed"].trains(0.5, 0.51)
    assert plan["head"].multiple(0.5, 0.51) == pytest.approx(0.5)  # its own cosine, to the end
    for share in (0.1, 0.2, 0.3, 0.4, 0.6, 0.7):
        for shape in ("linear", "cubic"):
            closing = resolve(DepthConfig(freeze=share, freeze_shape=shape), GROUPS)
            assert closing["head"].trains(0.99, 1.0)
    cubic = resolve(DepthConfig(freeze=0.5), GROUPS)
    assert cubic["embed"].end == pytest.approx(0.5)
    assert cubic["1"].end == pytest.approx((0.5 ** (1 / 3) + (1 - 0.5 ** (1 / 3)) / 2) ** 3)


def test_rates_fall_geometrically_and_a_table_wins() -> None:
    plan = resolve(DepthConfig(decay=0.5, rates={"0": 0.3}), GROUPS)
    assert [plan[g].multiple(0.5, 0.6) for g in GROUPS] == [0.0625, 0.3, 0.25, 0.5, 1.0]


def test_a_group_may_have_its_own_clock() -> None:
    plan = resolve(DepthConfig(unfreeze={"head": 0, "-1": 0.6}, clock="since_opening"), GROUPS)
    assert plan["2"].clock(0.6) == 0
    assert plan["2"].clock(0.8) == pytest.approx(0.5)
    assert plan["head"].clock(0.8) == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"unfreeze": {"head": 0}, "freeze": 0.5}, "keep one of the two"),
        ({"unfreeze": {"head": 0.1}}, "one group must train from the start"),
        ({"unfreeze": {"head": 1.0}}, r"shares of unfreeze lie in \[0, 1\)"),
        ({"rates": {"head": -1}}, "multiples of the rate are 0 or more"),
    ],
)
def test_plans_that_cannot_be_are_refused(settings: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        decode(DepthConfig, settings, "train.depth")


def test_a_group_that_the_model_lacks_is_refused() -> None:
    with pytest.raises(InputError, match="no group '7'; the model has embed, 0, 1, 2, head"):
        resolve(DepthConfig(rates={"7": 0.1}), GROUPS)
    with pytest.raises(InputError, match="no group '-4'"):
        resolve(DepthConfig(rates={"-4": 0.1}), GROUPS)
    with pytest.raises(InputError, match="'-1' is group '2', which is named twice"):
        resolve(DepthConfig(unfreeze={"head": 0, "2": 0.1, "-1": 0.3}), GROUPS)


def trained(model: torch.nn.Module, config: DepthConfig, num_steps: int) -> list[set[str]]:
    """The groups that moved in each of ``num_steps`` steps of a stage of as many."""
    plan = DepthPlan(model, config, first_step=100, num_steps=num_steps)
    groups: dict[str, list] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(plan.group_of(name), []).append(parameter)
    optimizer = torch.optim.AdamW(
        [{"params": p, "depth": g, "lr": 0.0} for g, p in groups.items()], weight_decay=0.5
    )
    moved = []
    for step in range(101, 101 + num_steps):
        model.train()
        before = {n: t.clone() for n, t in model.state_dict().items()}
        with plan.during(optimizer, lambda _: 0.1, step):
            torch.manual_seed(step)
            model(torch.rand(4, 1, 8, 8)).logits.pow(2).sum().backward()
        for group in optimizer.param_groups:
            group["lr"] = group["own_rate"]
        optimizer.step()
        optimizer.zero_grad()
        changed = [n for n, t in model.state_dict().items() if not torch.equal(t, before[n])]
        moved.append({plan.group_of(name) for name in changed})
    return moved


def test_frozen_means_frozen_with_statistics_and_without_decay() -> None:
    model = resnet(FORM, [8, 16, 16], [1, 1, 1], ["a", "b"], 0)
    config = DepthConfig(unfreeze={"head": 0, "-1": 0.5})
    assert trained(model, config, 4) == [{"head"}, {"head"}, {"2", "head"}, {"2", "head"}]
    assert all(p.requires_grad for p in model.parameters())


def test_what_a_step_takes_is_what_is_counted() -> None:
    """Against torch's counter of the products of a step; the sequence is short, attention small."""
    sizes = {"hidden_size": 32, "intermediate_size": 96, "num_hidden_layers": 3, "vocab_size": 64}
    model = LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=2))
    opened = {"head": 0.0, "2": 0.25, "1": 0.5, "0": 0.75, "embed": 0.75}
    plan = DepthPlan(model, DepthConfig(unfreeze=opened), first_step=0, num_steps=4)
    optimizer = torch.optim.AdamW(
        [{"params": [p], "depth": plan.group_of(n)} for n, p in model.named_parameters()]
    )
    ids = torch.arange(4).expand(8, 4)
    found = []
    for step in (1, 2, 3, 4):
        with plan.during(optimizer, lambda _: 0.1, step), FlopCounterMode(display=False) as counter:
            model(input_ids=ids, labels=ids).loss.backward()
        optimizer.zero_grad()
        found.append(counter.get_total_flops())
    shares = [count / found[-1] for count in found]
    assert shares[0] < 0.45 and shares[1] < shares[2] < shares[3]
    assert [plan.computed(step) for step in (1, 2, 3, 4)] == pytest.approx(shares, rel=0.03)


def test_what_freezes_stops_for_good() -> None:
    model = resnet(FORM, [8, 16, 16], [1, 1, 1], ["a", "b"], 0)
    moved = trained(model, DepthConfig(freeze=0.5, freeze_shape="linear"), 4)
    assert moved[0] == set(GROUPS)
    assert moved[2] == {"0", "1", "2", "head"}  # the embedding froze at .5
    assert moved[3] == {"2", "head"}  # block 0 at .625, block 1 at .75, 2 in the step, at .875


def test_beside_a_constant_schedule_freezeout_has_the_rates_of_the_paper() -> None:
    """As its authors' code has them: layer i at step j of n, 1/2 (1 + cos(pi j / (t_i n))), then 0.

    Scaled to t_i^3 (cubic), t_0^(1/3) to 1 in equal steps; the last layer's t is 1.
    """
    model, num_steps = vit(FORM, SIZES, ["a", "b"], 0), 37
    plan = DepthPlan(model, DepthConfig(freeze=0.3), first_step=5, num_steps=num_steps)
    first = 0.3 ** (1 / 3)
    for i, group in enumerate(GROUPS):
        last = num_steps * (first + (1 - first) * i / 4) ** 3
        for j in range(num_steps):
            paper = 0.05 * (1 + math.cos(math.pi * j / last)) if j < last else 0.0
            found = plan.rates(6 + j, lambda _: 0.1)[group]
            assert found == pytest.approx(paper, abs=1e-12)


@pytest.mark.parametrize(
    ("settings", "step"),
    [
        ({"freeze": 0.3, "rates": {"head": 0}}, 9),  # block 2 ends at .767 of 10 steps
        ({"unfreeze": {"head": 0}, "rates": {"head": 0}}, 1),
        ({"rates": dict.fromkeys(GROUPS, 0.0)}, 1),
    ],
)
def test_a_step_that_would_train_nothing_is_refused(settings: dict, step: int) -> None:
    config = DepthConfig(**settings)
    with pytest.raises(
        InputError, match=f"step {step} of the stage's 10 trains no group of layers"
    ):
        DepthPlan(vit(FORM, SIZES, ["a", "b"], 0), config, first_step=100, num_steps=10)


def test_fixed_tables_stay_fixed_when_layers_open() -> None:
    model = vit_mae(FORM, SIZES, 0)
    fixed = {n for n, p in model.named_parameters() if not p.requires_grad}
    plan = DepthPlan(model, DepthConfig(unfreeze={"head": 0}), 0, 4)
    optimizer = torch.optim.AdamW([{"params": [], "depth": "head"}], lr=0.1)
    with plan.during(optimizer, lambda _: 0.1, 1):
        pass
    assert {n for n, p in model.named_parameters() if not p.requires_grad} == fixed


def test_rates_follow_the_plan_and_the_groups_own_clock() -> None:
    model = vit(FORM, SIZES, ["a", "b"], 0)
    config = DepthConfig(unfreeze={"head": 0, "-1": 0.5}, decay=0.5, clock="since_opening")
    plan = DepthPlan(model, config, first_step=10, num_steps=100)
    rates = plan.rates(80, lambda step: float(step - 10))  # the schedule rises by 1 a step
    assert rates["head"] == 70
    assert rates["2"] == pytest.approx(0.5 * 40)  # 20 of its own 50 steps: as at 40 of 100
    assert rates["0"] == 0
