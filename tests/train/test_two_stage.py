from typing import Any

import pytest
import torch
from tiny_models import LENGTH, BuildBatch, BuildModel
from transformers import BertConfig, BertForMaskedLM, LlamaConfig, LlamaForCausalLM

from evergrow.errors import InputError
from evergrow.objectives.causal import Causal
from evergrow.train.ladder import SubModels, ladder
from evergrow.train.two_stage import blocks_of, flops_per_token, only_top, sub_model

CPU = torch.device("cpu")
SIZES: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_attention_heads": 2,
    "max_position_embeddings": LENGTH,
}


def llama(num_layers: int, tied: bool = False) -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(**SIZES, num_hidden_layers=num_layers, tie_word_embeddings=tied)
    )


def trained_names(model: torch.nn.Module) -> set[str]:
    """What has a gradient, by layer or by the module's own name."""
    names = [name for name, p in model.named_parameters() if p.grad is not None]
    return {name.split("layers.")[-1][0] if "layers." in name else name for name in names}


def test_sub_models_are_bottom_prefixes_and_the_last_is_the_whole() -> None:
    assert ladder(12, 3) == [3, 6, 9, 12]
    assert ladder(5, 2) == [2, 4, 5]
    with pytest.raises(InputError, match=r"two_stage.layers: 2 of 2 layers leave no smaller"):
        ladder(2, 2)


def test_the_draw_is_of_the_seed_and_the_step_alone_and_even() -> None:
    rule = SubModels((1, 2, 3), 1, last_step=600, seed=3)
    drawn = [rule.depth_at(step) for step in range(1, 601)]
    assert drawn == [SubModels((1, 2, 3), 1, 600, 3).depth_at(step) for step in range(1, 601)]
    assert drawn != [SubModels((1, 2, 3), 1, 600, 4).depth_at(step) for step in range(1, 601)]
    assert all(160 < drawn.count(depth) < 240 for depth in (1, 2, 3))
    assert rule.depth_at(601) is None


@pytest.mark.parametrize(("depth", "trained"), [(1, {"0"}), (2, {"1"}), (3, {"2"})])
def test_only_the_top_layer_and_the_head_get_a_gradient(
    depth: int, trained: set[str], build_batch: BuildBatch
) -> None:
    model, smaller = llama(3), llama(depth)
    smaller.load_state_dict(model.state_dict(), strict=False)
    with only_top(model, depth, 1):
        found = Causal(0.0)(model, build_batch(0), CPU).total
        found.backward()
    expected = Causal(0.0)(smaller, build_batch(0), CPU).total
    expected.backward()
    assert torch.equal(found, expected)
    assert trained_names(model) == trained | {"model.norm.weight", "lm_head.weight"}
    top = f"model.layers.{depth - 1}.mlp.up_proj.weight"
    ours, theirs = model.get_parameter(top).grad, smaller.get_parameter(top).grad
    assert ours is not None and theirs is not None and torch.equal(ours, theirs)
    assert len(model.model.layers) == 3
    assert all(p.requires_grad for p in model.parameters())


def test_a_tied_table_is_trained_as_the_head_alone(build_batch: BuildBatch) -> None:
    model = llama(2, tied=True)
    with only_top(model, 1, 1):
        Causal(0.0)(model, build_batch(0), CPU).total.backward()
    table = model.model.embed_tokens.weight
    as_head = table.grad
    assert as_head is not None
    untied = llama(2)
    untied.load_state_dict(model.state_dict())
    with only_top(untied, 1, 1):
        Causal(0.0)(untied, build_batch(0), CPU).total.backward()
    assert untied.lm_head.weight.grad is not None
    assert torch.equal(as_head, untied.lm_head.weight.grad)


def test_a_bidirectional_model_has_layers_too() -> None:
    torch.manual_seed(0)
    model = BertForMaskedLM(BertConfig(**SIZES, num_hidden_layers=3)).eval()
    with only_top(model, 2, 1):
        model(input_ids=torch.zeros(1, 4, dtype=torch.long)).logits.sum().backward()
    names = {n for n, p in model.named_parameters() if p.grad is not None}
    assert any(n.startswith("bert.encoder.layer.1.") for n in names)
    assert not any(n.startswith(("bert.encoder.layer.0.", "bert.encoder.layer.2.")) for n in names)
    assert "bert.embeddings.position_embeddings.weight" not in names


def test_outside_the_first_part_the_model_is_whole(build_model: BuildModel) -> None:
    model = build_model("olmo2")
    with sub_model(model, SubModels((1, 2), 1, last_step=5, seed=0), 6):
        assert len(blocks_of(model).layers) == 2


def test_operations_of_sub_models_by_hand() -> None:
    """Width 16, T = 8; a block has 4 x 16 x 16 + 3 x 16 x 32 + 2 x 16 parameters, the head 96 x 16.

    The whole has 6 N + 12 L d T; one layer of two, trained alone, costs as a model of one layer.
    """
    model = llama(2)
    block, head = 4 * 256 + 3 * 512 + 32, 96 * 16 + 16
    whole = 6 * (2 * block + head) + 12 * 2 * 16 * 8
    assert flops_per_token(model, whole, 8, 1, 1) == 6 * (block + head) + 12 * 16 * 8
    top_of_two = 2 * (2 * block + head) + 4 * 2 * 128 + 4 * (block + head) + 8 * 128
    assert flops_per_token(model, whole, 8, 2, 1) == top_of_two
    assert flops_per_token(model, whole, 8, 2, 2) == whole
