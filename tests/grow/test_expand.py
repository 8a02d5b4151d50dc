"""One tensor at a time: where it comes from, what is new in it, and in which precision."""

import numpy as np
import pytest
import torch
from grow.tiny import TINY, described, grown, inputs, logits, tiny
from torch import Tensor
from transformers import BertModel, LlamaModel, ViTModel
from transformers.core_model_loading import revert_weight_conversion

from evergrow.errors import InputError
from evergrow.grow.config import GrowConfig
from evergrow.grow.expand import (
    expand,
    grow_state,
    needed,
    new_parameters,
    provenance,
    target_names,
)
from evergrow.grow.plan import GrowthPlan, plan_growth
from evergrow.models.families import FAMILIES
from evergrow.models.streamed import StaysWide

DOUBLE = {"hidden": 96, "heads": 8, "kv_heads": 4, "ffn": 224}
DOWN = "model.layers.0.mlp.down_proj.weight"
UP = "model.layers.0.mlp.up_proj.weight"


def planned(family: str, **settings: object) -> tuple[GrowthPlan, dict[str, Tensor]]:
    model = tiny(family)
    return plan_growth(described(model), GrowConfig(**settings)), model.state_dict()


def test_the_formula_on_one_matrix() -> None:
    plan, state = planned("llama", to={"hidden": 72, "ffn": 130}, noise=0.3)
    source = state[DOWN].numpy()
    result = expand(plan, DOWN, state.__getitem__).numpy()
    hold, _ = plan.views["hidden"].matrices()
    grow, read = plan.views["ffn"].matrices()
    assert np.abs(read @ grow - np.eye(112)).max() < 1e-15
    seen = result @ grow  # what the grown matrix makes of what the source's neurons say
    assert np.abs(seen - hold @ source).max() < 1e-14
    assert np.abs(result - hold @ source @ read).max() > 0.05  # and yet there is noise


def test_a_tensor_does_not_depend_on_what_was_made_before_it() -> None:
    plan, state = planned("llama", to=DOUBLE)
    whole = grow_state(plan, state)
    assert list(whole) == target_names(plan, state)
    again = plan_growth(plan.source, GrowConfig(to=DOUBLE))
    assert torch.equal(expand(again, UP, state.__getitem__), whole[UP])
    other = plan_growth(plan.source, GrowConfig(to=DOUBLE, seed=1))
    assert not torch.equal(expand(other, UP, state.__getitem__), whole[UP])


def test_names_run_through_the_blocks_and_say_what_they_need() -> None:
    plan, state = planned("gpt2", to={"layers": 5}, depth="identity")
    names = target_names(plan, state)
    assert [n for n in names if n.endswith("ln_1.weight")] == [
        f"transformer.h.{block}.ln_1.weight" for block in range(5)
    ]
    assert names[0] == "transformer.wte.weight"
    assert names[-1] == "lm_head.weight"
    assert needed(plan, "transformer.h.2.ln_1.weight") == ["transformer.h.1.ln_1.weight"]
    made = expand(plan, "transformer.h.2.ln_1.weight", state.__getitem__)
    assert torch.equal(made, state["transformer.h.1.ln_1.weight"])


def test_strangers_are_refused_by_name() -> None:
    plan, state = planned("llama", to=DOUBLE)
    with pytest.raises(InputError, match=r"model\.layers\.0\.adapter\.weight: no line of the lla"):
        target_names(plan, [*state, "model.layers.0.adapter.weight"])
    with pytest.raises(InputError, match="says 3 blocks and the weights have 2"):
        target_names(plan, [n for n in state if ".layers.2." not in n])
    with pytest.raises(InputError, match=r"dimension 0 is 50, and 112 by config.json \(ffn\)"):
        expand(plan, UP, lambda name: torch.zeros(50, 48))
    with pytest.raises(InputError, match="has 1 dimensions and its line 2"):
        expand(plan, UP, lambda name: torch.zeros(112))


def test_new_is_what_joins_a_new_unit_or_lies_in_a_new_block() -> None:
    plan, _ = planned("llama", to=DOUBLE | {"layers": 4, "vocab": 111})
    down = new_parameters(plan, DOWN, (96, 224))
    assert not down[:48, :112].any()
    assert down[48:].all() and down[:, 112:].all()
    new_block = DOWN.replace(".0.", ".3.")  # 0 1 2 2
    assert new_parameters(plan, new_block, (96, 224)).all()
    rows = new_parameters(plan, "model.embed_tokens.weight", (111, 96))
    assert rows[101:].all() and not rows[:101, :48].any()
    norm = new_parameters(plan, "model.norm.weight", (96,))
    assert norm.tolist() == [False] * 48 + [True] * 48


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("name", [UP, DOWN, "model.layers.1.self_attn.o_proj.weight"])
def test_stored_halves_sum_to_the_source_in_any_precision(name: str, dtype: torch.dtype) -> None:
    plan, state = planned("llama", to=DOUBLE)
    source = state[name].to(dtype)
    result = expand(plan, name, lambda _: source)
    assert result.dtype == dtype
    rows, columns = source.shape
    first, second = result[:rows, :columns].double(), result[:rows, columns:].double()
    if name.endswith("o_proj.weight"):  # heads go round as wholes
        assert columns == 48
    assert torch.equal(first + second, source.double())
    apart = (first - second).abs().mean() / source.double().abs().mean()
    assert 0.05 < apart < 0.15  # twice the noise of 0.05
    assert 0.4 < (first.abs() > second.abs()).double().mean() < 0.6  # neither half is favoured


def test_whole_numbers_stay_as_they_are() -> None:
    plan, state = planned("bert", to={"hidden": 96})
    positions = torch.arange(64)[None]
    name = "bert.embeddings.position_ids"
    assert name in target_names(plan, [*state, name])
    assert expand(plan, name, lambda _: positions) is positions


def test_provenance_says_all_that_made_a_tensor() -> None:
    plan, _ = planned("llama", to=DOUBLE | {"layers": 4})
    record = provenance(plan, DOWN)
    assert record.source == DOWN
    assert record.line == "hidden <- ffn"
    gives, reads = record.dimensions
    assert gives is not None and reads is not None
    assert (gives.side, gives.after, gives.coefficients) == ("gives", 96, "M")
    assert (reads.side, reads.after, reads.coefficient_range) == ("reads", 224, (0.5, 0.5))
    assert record.noise is not None and record.noise[0] == 0.05
    silent = provenance(plan, DOWN.replace(".0.", ".3."))
    assert silent.zero == "identity block"
    assert silent.source == DOWN.replace(".0.", ".2.")
    assert silent.new_block and silent.noise is None and "noise" not in silent.record()
    small = provenance(plan, "model.layers.0.self_attn.k_proj.weight").dimensions[0]
    assert small is not None and small.index == [*range(24)] * 2
    upper, _ = planned("llama", to=DOUBLE, method="aki")
    assert provenance(upper, DOWN).new_units_from == DOWN.replace(".0.", ".1.")


@pytest.mark.parametrize(
    ("kind", "family"), [(BertModel, "bert"), (LlamaModel, "llama"), (ViTModel, "vit")]
)
def test_trunks_without_a_head_give_states_that_read_back(kind: type, family: str) -> None:
    whole = tiny(family)
    config = whole.config
    prefix = whole.base_model_prefix + "."
    state = {n.removeprefix(prefix): t for n, t in whole.state_dict().items() if prefix in n}
    source = kind(config).double().eval()
    source.load_state_dict(state, strict=False)
    to = {"hidden": 96} | ({} if family == "bert" else {"ffn": 150})
    plan = plan_growth(described(source), GrowConfig(to=to))
    larger = kind(type(config).from_dict(plan.target)).double().eval()
    larger.load_state_dict(grow_state(plan, source.state_dict()))

    with torch.no_grad(), StaysWide():
        before, after = source(**inputs(source)), larger(**inputs(larger))
    _, read = plan.outputs.matrices()
    states = after.last_hidden_state @ torch.from_numpy(read.T)
    assert (states - before.last_hidden_state).abs().max() < 1e-12
    if family == "bert":  # its pooler has the width of the trunk
        pooled = after.pooler_output @ torch.from_numpy(read.T)
        assert (pooled - before.pooler_output).abs().max() < 1e-12
    if family == "vit":  # its pooler keeps its width
        assert (after.pooler_output - before.pooler_output).abs().max() < 1e-12


@pytest.mark.parametrize("family", ["vit", "vit_mae"])
def test_files_name_the_blocks_of_images_otherwise(family: str) -> None:
    source = tiny(family)
    plan = plan_growth(described(source), GrowConfig(to={"hidden": 96, "layers": 5}))
    stored = revert_weight_conversion(source, source.state_dict())
    assert any(".encoder.layer.0." in name for name in stored)
    larger, _ = grown(source, GrowConfig(to={"hidden": 96, "layers": 5}))
    by_file = grow_state(plan, stored)
    expected = revert_weight_conversion(larger, larger.state_dict())
    assert by_file.keys() == expected.keys()
    for name in ("cls_token", "position_embeddings"):
        whole = f"vit.embeddings.{name}"
        assert torch.equal(by_file[whole], expected[whole])
    assert all(by_file[n].shape == expected[n].shape for n in expected)
    assert by_file["vit.encoder.layer.2.output.dense.weight"].abs().max() == 0


def test_every_family_is_grown_along_all_axes_at_once() -> None:
    for family, (_, config) in TINY.items():
        to = {"hidden": 96} | ({"ffn": 230} if "ffn" in FAMILIES[family].fields else {})
        source = tiny(family)
        larger, plan = grown(source, GrowConfig(to=to))
        assert plan.exactness == "exact"
        assert (logits(source) - logits(larger)).abs().max() < 1e-12, family
        assert larger.config.num_hidden_layers == config.num_hidden_layers


@pytest.mark.parametrize("name", [UP, DOWN, "model.embed_tokens.weight", "model.norm.weight"])
@pytest.mark.parametrize("method", ["fpi", "average"])
def test_pieces_make_the_same_whole(
    name: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = "llama" if method == "fpi" else "gpt2"
    if family == "gpt2":
        name = {
            UP: "transformer.h.0.mlp.c_fc.weight",
            DOWN: "transformer.h.0.mlp.c_proj.weight",
            "model.embed_tokens.weight": "transformer.wpe.weight",
            "model.norm.weight": "transformer.ln_f.weight",
        }[name]
    plan, state = planned(family, to={"hidden": 72, "vocab": 111}, method=method)
    whole = expand(plan, name, state.__getitem__)
    monkeypatch.setattr("evergrow.grow.expand.PIECE", 200)
    pieces = expand(plan, name, state.__getitem__)
    held = torch.ones_like(whole, dtype=torch.bool)
    if name == "transformer.h.0.mlp.c_fc.weight":
        held[48:] = False  # free rows are drawn piece by piece
    assert torch.equal(whole[held], pieces[held])


def test_noise_stays_invisible_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evergrow.grow.expand.PIECE", 500)
    for family, to in (("llama", DOUBLE), ("gpt2", {"hidden": 72, "ffn": 149})):
        source = tiny(family)
        larger, _ = grown(source, GrowConfig(to=to))
        assert (logits(source) - logits(larger)).abs().max() < 1e-12


def test_the_source_is_left_as_it_was() -> None:
    for family, to in (("llama", DOUBLE | {"layers": 4}), ("gpt2", {"hidden": 72, "ffn": 149})):
        plan, state = planned(family, to=to)
        before = {name: tensor.clone() for name, tensor in state.items()}
        grow_state(plan, state)
        assert all(torch.equal(before[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("family", ["llama", "qwen3", "olmo2", "gpt2"])
def test_a_doubled_bf16_model_computes_the_same_function(family: str) -> None:
    source = tiny(family)
    for parameter in source.parameters():
        parameter.data.copy_(parameter.data.bfloat16())
    stored = {name: tensor.bfloat16() for name, tensor in source.state_dict().items()}
    to = DOUBLE if family != "gpt2" else {"hidden": 96, "ffn": 224}
    larger, plan = grown(source, GrowConfig(to=to))
    assert plan.noise > 0
    state = grow_state(plan, stored)
    larger.load_state_dict({name: tensor.double() for name, tensor in state.items()})
    assert (logits(source) - logits(larger)).abs().max() < 1e-12
