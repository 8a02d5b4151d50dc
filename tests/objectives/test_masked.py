"""The masked loss against transformers' own, in pieces, and through the head or around it."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import (
    AutoModelForMaskedLM,
    BertConfig,
    DistilBertConfig,
    PreTrainedConfig,
    PreTrainedModel,
    RobertaConfig,
)

from evergrow.models.parts import backbone_and_head
from evergrow.objectives import masked as masked_room
from evergrow.objectives.masked import Masked
from evergrow.stream.masks import MaskedBatch
from evergrow.train.objective import Loss

CPU = torch.device("cpu")
Z = 0.01
VOCABULARY, LENGTH = 96, 16
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "pad_token_id": 1,
}
CONFIGS: dict[str, PreTrainedConfig] = {
    "bert": BertConfig(**SIZES, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0),
    "roberta": RobertaConfig(**SIZES, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0),
    "distilbert": DistilBertConfig(
        vocab_size=VOCABULARY,
        dim=16,
        n_layers=2,
        n_heads=2,
        hidden_dim=32,
        dropout=0.0,
        attention_dropout=0.0,
    ),
}
HEADS = {"bert": "cls", "roberta": "lm_head", "distilbert": None}


@pytest.fixture(params=list(CONFIGS))
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    torch.manual_seed(0)
    made = AutoModelForMaskedLM.from_config(CONFIGS[request.param])
    for parameter in made.parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(0, 0.1)
    return made.double()


@pytest.fixture
def batch() -> MaskedBatch:
    """Six windows, about a third of their tokens chosen; nothing in the third."""
    draw = np.random.default_rng(0)
    targets = draw.integers(3, VOCABULARY, (6, LENGTH))
    chosen = draw.random((6, LENGTH)) < 0.3
    chosen[2] = False
    return MaskedBatch(np.where(chosen, 2, targets), targets, chosen)


def values(loss: Loss) -> list[Tensor]:
    return [loss.total, *loss.parts.values()]


def gradients(model: nn.Module, loss: Loss) -> dict[str, Tensor]:
    model.zero_grad()
    loss.total.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def assert_same(first: Any, second: Any) -> None:
    assert first.keys() == second.keys()
    for name, gradient in first.items():
        torch.testing.assert_close(second[name], gradient, rtol=1e-9, atol=1e-12)


def test_the_loss_is_that_of_transformers_on_the_same_masks(
    model: PreTrainedModel, batch: MaskedBatch
) -> None:
    learn = Masked(z_loss=0.0)
    loss = learn(model, batch, CPU)
    ours = gradients(model, loss)
    labels = torch.from_numpy(np.where(batch.chosen_BT, batch.targets_BT, -100))
    theirs = model(input_ids=torch.from_numpy(batch.inputs_BT), labels=labels).loss
    number = batch.weight
    assert number == batch.chosen_BT.sum() > 20
    torch.testing.assert_close(loss.total / number, theirs, rtol=1e-12, atol=0)
    expected = gradients(model, Loss(theirs * number, {}))
    assert_same(ours, expected)


def test_z_loss_is_the_squared_normaliser_of_the_chosen_tokens(
    model: PreTrainedModel, batch: MaskedBatch
) -> None:
    loss = Masked(Z)(model, batch, CPU)
    logits = model(input_ids=torch.from_numpy(batch.inputs_BT)).logits
    squares = logits.logsumexp(-1)[torch.from_numpy(batch.chosen_BT)] ** 2
    torch.testing.assert_close(loss.parts["z_loss"], Z * squares.sum())
    torch.testing.assert_close(loss.total, loss.parts["cross_entropy"] + loss.parts["z_loss"])


def test_only_chosen_tokens_go_through_the_head_and_the_result_is_the_same(
    model: PreTrainedModel, batch: MaskedBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = backbone_and_head(model)
    name = HEADS[model.config.model_type]
    assert (parts.head if parts else None) is (getattr(model, name) if name else None)
    rows: list[int] = []
    head = model.get_output_embeddings()
    hook = head.register_forward_hook(lambda *call: rows.append(call[2].numel() // VOCABULARY))
    loss = Masked(Z)(model, batch, CPU)
    assert rows[-1] == (batch.chosen_BT.sum() if name else batch.chosen_BT.size)
    hook.remove()
    found = gradients(model, loss)
    with monkeypatch.context() as patch:
        patch.setattr(masked_room, "PartsOf", lambda: lambda model: None)
        everything = Masked(Z)(model, batch, CPU)
    for a, b in zip(values(loss), values(everything), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=0)
    assert_same(gradients(model, everything), found)


def test_logits_in_pieces_change_neither_loss_nor_gradient(
    model: PreTrainedModel, batch: MaskedBatch
) -> None:
    whole, pieces = (Masked(Z, n)(model, batch, CPU) for n in (2**30, 2**12))
    for a, b in zip(values(whole), values(pieces), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=0)
    assert_same(gradients(model, whole), gradients(model, pieces))


def test_micro_batches_add_up_and_one_without_a_chosen_token_adds_nothing(
    model: PreTrainedModel, batch: MaskedBatch
) -> None:
    learn = Masked(Z)
    whole = gradients(model, learn(model, batch, CPU))
    parts = batch.split(1)
    assert [part.weight for part in parts] == batch.chosen_BT.sum(axis=1).tolist()
    empty = learn(model, parts[2], CPU)
    assert empty.total.item() == 0
    model.zero_grad()
    for part in parts:
        learn(model, part, CPU).total.backward()
    assert_same(whole, {n: p.grad for n, p in model.named_parameters() if p.grad is not None})
