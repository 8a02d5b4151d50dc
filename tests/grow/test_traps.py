"""Mistakes that others made, each of which looks harmless until the model is trained."""

import pytest
import torch
from grow.tiny import described, grown, inputs, logits, tiny
from torch import Tensor, nn
from transformers import PreTrainedModel

from evergrow.errors import InputError
from evergrow.grow.config import GrowConfig
from evergrow.grow.expand import needed
from evergrow.grow.plan import plan_growth
from evergrow.models.streamed import StaysWide

DOUBLE = {"hidden": 96, "heads": 8, "kv_heads": 4, "ffn": 224}


def change(before: PreTrainedModel, after: PreTrainedModel) -> float:
    return (logits(before) - logits(after)).abs().max().item()


def loss(model: PreTrainedModel) -> Tensor:
    ids = inputs(model)["input_ids"]
    with StaysWide():
        found = model(input_ids=ids).logits[:, :-1].flatten(0, 1)
    return nn.functional.cross_entropy(found, ids[:, 1:].flatten())


def gradient_norm(model: PreTrainedModel) -> float:
    model.zero_grad()
    loss(model).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return nn.utils.get_total_norm(gradients).item()


def train(model: PreTrainedModel, steps: int = 5) -> PreTrainedModel:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()
    return model


def gate(model: PreTrainedModel) -> Tensor:
    return model.get_parameter("model.layers.1.mlp.gate_proj.weight").detach()


def test_equal_halves_stay_at_the_rank_of_the_source_and_noise_frees_them() -> None:
    source = tiny("llama")
    locked, _ = grown(source, GrowConfig(to=DOUBLE, method="fpi"))
    free, _ = grown(source, GrowConfig(to=DOUBLE, method="auto"))
    assert change(source, locked) < 1e-12 > change(source, free)
    train(locked), train(free)
    assert (gate(locked)[:112] - gate(locked)[112:]).abs().max() < 1e-14
    assert torch.linalg.matrix_rank(gate(locked), atol=1e-9) == 48
    assert torch.linalg.matrix_rank(gate(free), atol=1e-9) == 96
    # neurons part too: rows and their copies are no longer alike, nor what is read from them
    assert (gate(free)[:112] - gate(free)[112:]).abs().min(1).values.max() > 1e-4


def test_uneven_halves_part_while_training() -> None:
    larger, _ = grown(tiny("llama"), GrowConfig(to=DOUBLE, method="lemon"))
    assert torch.linalg.matrix_rank(gate(larger), atol=1e-9) == 48
    assert torch.linalg.matrix_rank(gate(train(larger)), atol=1e-9) == 96


def test_a_silent_block_of_olmo2_is_silent_by_its_norm() -> None:
    source = tiny("olmo2")
    larger, _ = grown(source, GrowConfig(to={"layers": 5}))
    assert change(source, larger) == 0.0
    before, after = gradient_norm(source), gradient_norm(larger)
    assert after / before == pytest.approx(1.0, abs=0.2)
    for place, block in ((2, 1), (4, 2)):  # zeroed before the norm instead, as elsewhere
        here = larger.get_submodule(f"model.layers.{place}")
        there = source.get_submodule(f"model.layers.{block}")
        here.load_state_dict(there.state_dict())
        nn.init.zeros_(here.get_parameter("self_attn.o_proj.weight"))
        nn.init.zeros_(here.get_parameter("mlp.down_proj.weight"))
    assert change(source, larger) == 0.0
    assert gradient_norm(larger) / before > 10


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "qwen3"])
def test_silent_blocks_get_a_gradient(family: str) -> None:
    source = tiny(family)
    larger, plan = grown(source, GrowConfig(to={"layers": 5}))
    assert gradient_norm(larger) / gradient_norm(source) == pytest.approx(1.0, abs=0.3)
    silent = [n for n, _ in larger.named_parameters() if plan.family.zeroed(n)]
    new = [n for n in silent if plan.blocks[plan.family.block_of(n) or 0].identity]
    assert new
    for name in new:
        assert larger.get_parameter(name).grad.abs().max() > 0, name


@pytest.mark.parametrize(("method", "to"), [("zero", {"hidden": 72}), ("auto", {"head_dim": 24})])
@pytest.mark.parametrize("family", ["llama", "qwen3", "olmo2"])
def test_padding_is_not_dead(family: str, method: str, to: dict[str, int]) -> None:
    larger, _ = grown(tiny(family), GrowConfig(to=to, method=method))
    before = {n: p.detach().clone() for n, p in larger.named_parameters()}
    train(larger, steps=2)
    for name, parameter in larger.named_parameters():
        stuck = (parameter == before[name]) & (before[name] == 0)
        if "embed_tokens" in name:
            stuck = stuck[inputs(larger)["input_ids"][:, :-1].unique()]  # others were not met
        assert not stuck.any(), name


def test_the_gradient_reaches_copies_that_nothing_reads_yet() -> None:
    larger, _ = grown(tiny("llama"), GrowConfig(to={"ffn": 224}, method="zero"))
    down = larger.get_parameter("model.layers.0.mlp.down_proj.weight")
    assert down[:, 112:].abs().max() == 0
    train(larger, steps=2)
    assert (gate(larger)[:112] - gate(larger)[112:]).abs().max() > 0


def test_every_field_is_carried() -> None:
    rope = {"rope_type": "default", "rope_theta": 123.0}
    source = tiny("mistral", rope_parameters=rope, sliding_window=7, rms_norm_eps=0.02)
    larger, plan = grown(source, GrowConfig(to=DOUBLE | {"layers": 4}))
    assert plan.target["rope_parameters"] == rope
    assert plan.changed == {
        "hidden_size": (48, 96),
        "intermediate_size": (112, 224),
        "num_attention_heads": (4, 8),
        "num_hidden_layers": (3, 4),
        "num_key_value_heads": (2, 4),
    }
    assert change(source, larger) < 1e-12
    larger.config.rope_parameters["rope_theta"] = 1e4  # the default of this family
    other = type(larger)(larger.config).double().eval()
    other.load_state_dict(larger.state_dict())
    assert change(source, other) > 0.1


@pytest.mark.parametrize("family", ["qwen3", "olmo2"])
@pytest.mark.parametrize("to", [{"hidden": 72}, {"heads": 6}, {"head_dim": 24}])
@pytest.mark.parametrize("method", ["auto", "zero"])
def test_a_large_eps_is_shared_with_the_norm_of_queries(
    family: str, to: dict[str, int], method: str
) -> None:
    source = tiny(family, rms_norm_eps=0.3)
    larger, plan = grown(source, GrowConfig(to=to, method=method))
    assert "rms_norm_eps" not in plan.changed
    assert change(source, larger) < 1e-12


@pytest.mark.parametrize(
    ("before", "after"),
    [((8, 2), (8, 8)), ((8, 2), (16, 4)), ((8, 2), (12, 4)), ((8, 2), (12, 3)), ((8, 2), (16, 2))],
)
@pytest.mark.parametrize("method", ["auto", "fpi_random"])
def test_query_heads_stay_with_their_keys(
    before: tuple[int, int], after: tuple[int, int], method: str
) -> None:
    sizes = {"hidden_size": 96, "num_attention_heads": before[0], "num_key_value_heads": before[1]}
    source = tiny("llama", **sizes, num_hidden_layers=1, head_dim=12)
    to = {"heads": after[0], "kv_heads": after[1]}
    larger, plan = grown(source, GrowConfig(to=to, method=method))
    heads, keys = plan.views["heads"].source, plan.views["kv_heads"].source
    group = after[0] // after[1]
    assert all(keys[head // group] == heads[head] // 4 for head in range(after[0]))
    assert change(source, larger) < 1e-12


def test_axes_go_by_name_where_all_sizes_agree() -> None:
    sizes = {"hidden_size": 48, "intermediate_size": 192, "vocab_size": 192}
    source = tiny("gpt2", n_inner=192, vocab_size=192)
    larger, plan = grown(source, GrowConfig(to={"ffn": 240}))
    assert plan.changed == {"n_inner": (192, 240)}
    assert change(source, larger) < 1e-12
    source = tiny("llama", **sizes)
    larger, _ = grown(source, GrowConfig(to={"hidden": 96}))  # 2 x 48 is half the feed-forward
    assert change(source, larger) < 1e-12
    source = tiny("gpt_neox", hidden_size=64, intermediate_size=192)  # 3 hidden, as fused qkv
    larger, _ = grown(source, GrowConfig(to={"ffn": 200}))
    assert change(source, larger) < 1e-12


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2", "llama", "gpt_neox", "olmo2"])
@pytest.mark.parametrize("method", ["auto", "lemon"])
def test_a_head_reads_its_own_table_or_its_own_weight(family: str, tied: bool, method: str) -> None:
    source = tiny(family, tie_word_embeddings=tied)
    to = {"hidden": 96} | ({} if family in ("bert", "roberta") else {"ffn": 150})
    larger, plan = grown(source, GrowConfig(to=to, method=method))
    assert plan.tied == tied
    table, head = larger.get_input_embeddings(), larger.get_output_embeddings()
    assert (table.weight is head.weight) == tied
    assert change(source, larger) < 1e-12


def test_the_last_block_has_no_block_above() -> None:
    source = tiny("llama")
    plan = plan_growth(described(source), GrowConfig(to=DOUBLE, method="aki"))
    name = "model.layers.{}.mlp.up_proj.weight"
    assert needed(plan, name.format(0)) == [name.format(0), name.format(1)]
    assert needed(plan, name.format(2)) == [name.format(2)]
    single = tiny("llama", num_hidden_layers=1)
    larger, plan = grown(single, GrowConfig(to=DOUBLE, method="aki"))
    assert plan.exactness == "exact"
    assert change(single, larger) < 1e-12


def test_new_ids_take_probability_and_old_ones_keep_their_logits() -> None:
    source = tiny("llama")
    larger, _ = grown(source, GrowConfig(to={"vocab": 112}))
    before, after = logits(source), logits(larger)
    assert (before - after[..., :101]).abs().max() < 1e-12
    mass = after.softmax(-1)[..., 101:].sum(-1).mean().item()
    assert 0.01 < mass < 0.05


@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
def test_a_wider_head_turns_at_the_old_speeds(family: str) -> None:
    source = tiny(family)
    to = {"head_dim": 36} if family == "llama" else {"hidden": 144, "heads": 4}
    larger, plan = grown(source, GrowConfig(to=to))
    half = 6 if family == "llama" else 3  # GPT-NeoX turns half of its 12 coordinates here
    kept = plan.views["query"].scale[: half * 3] != 0
    assert kept.tolist() == [True, False, False] * half
    assert change(source, larger) < 1e-12


@pytest.mark.parametrize("share", [0.25, 0.92])  # 3 and 11 of 12 coordinates; pairs are 4 and 12
@pytest.mark.parametrize("times", [2, 3])
def test_an_odd_rotary_width_turns_one_coordinate_more(share: float, times: int) -> None:
    rope = {"rope_type": "default", "rope_theta": 5e3, "partial_rotary_factor": share}
    source = tiny("gpt_neox", rope_parameters=rope)
    wider = GrowConfig(to={"hidden": 48 * times, "heads": 4})
    larger, _ = grown(source, GrowConfig(to={"hidden": 72}))
    assert change(source, larger) < 1e-12
    if int(share * 12 * times) == int(share * 12) * times:
        larger, _ = grown(source, wider)
        assert change(source, larger) < 1e-12
    else:
        with pytest.raises(InputError, match=r"turned by positions, and 11 of 12 are; keep heads"):
            grown(source, wider)


def test_a_head_that_is_all_odd_pairs_keeps_room_for_the_rest() -> None:
    rope = {"rope_type": "default", "rope_theta": 5e3, "partial_rotary_factor": 11 / 12 + 1e-9}
    source = tiny("gpt_neox", rope_parameters=rope)
    larger, plan = grown(source, GrowConfig(to={"hidden": 96, "heads": 4}))
    assert plan.views["key"].after == 24  # 22 turn, and 2 stand for nothing
    assert change(source, larger) < 1e-12
