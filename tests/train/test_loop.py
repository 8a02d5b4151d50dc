"""The loop on models of 2 layers and width 16: golden losses, resume, and when it waits."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from train.loops import BATCH, CONFIG, LEG, LENGTH, batch_at, rate_at, same, train, training_of
from transformers import Olmo2Config, Olmo2ForCausalLM, PreTrainedModel

from evergrow.models.presets import draw_weights
from evergrow.stream.batches import TokenBatch
from evergrow.train.loop import (
    Leg,
    Record,
    finite,
    train_until,
)


@pytest.fixture
def golden_model() -> PreTrainedModel:
    model = Olmo2ForCausalLM(
        Olmo2Config(
            vocab_size=96,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            pad_token_id=None,
            bos_token_id=None,
            eos_token_id=95,
        )
    )
    draw_weights(model, seed=0)
    return model


# fmt: off
GOLDEN = [
    4.57652, 4.54945, 4.42958, 4.25501, 4.02262, 3.76114, 3.50248, 3.30406, 3.09274, 3.22381,
    3.51916, 3.74039, 3.52376, 3.53327, 3.52111, 3.41365, 3.44421, 3.54595, 3.41351, 3.34612,
]
# fmt: on
GRADIENT_NORM, Z_LOSS = 1.385913, 2.092426e-4  # of the first step


def test_the_first_20_losses_are_those_checked_in(golden_model: PreTrainedModel) -> None:
    records = train(training_of(golden_model), 20)
    assert [r["loss"] for r in records] == pytest.approx(GOLDEN, rel=1e-4)
    assert [r["step"] for r in records] == list(range(1, 21))
    assert [r["tokens"] for r in records] == list(range(64, 1281, 64))
    assert [r["lr"] for r in records] == [rate_at(step) for step in range(1, 21)]
    assert records[4]["lr"] == 0.02
    assert records[19]["lr"] == pytest.approx(0.002)
    assert not any(r["skipped"] for r in records)
    assert records[0]["grad_norm"] == pytest.approx(GRADIENT_NORM, rel=1e-4)
    assert records[0]["z_loss"] == pytest.approx(Z_LOSS, rel=1e-4)


@pytest.mark.parametrize("name", ["olmo2", "gpt2 with dropout"])
def test_resuming_is_not_interrupting(name: str, build_model) -> None:
    straight = training_of(build_model(name))
    straight.model.train()
    records = train(straight, 4)
    saved = straight.tensors()
    records += train(straight, 10)
    torch.rand(17)  # whatever else draws random numbers changes nothing
    resumed = training_of(build_model(name))
    train(resumed, 2)  # an optimiser with a state of its own
    resumed.load(saved, 4, 4 * BATCH * LENGTH)
    assert same(resumed.tensors(), saved)
    assert train(resumed, 10) == records[4:]
    assert same(resumed.tensors(), straight.tensors())
    at_once = training_of(build_model(name))
    assert train(at_once, 10) == records
    assert same(at_once.tensors(), straight.tensors())


def test_dropout_is_on_and_keyed_by_the_seed(build_model) -> None:
    def first_loss(name: str, seed: int) -> float:
        leg = Leg(LEG.loss, batch_at, rate_at, seed)
        return train(training_of(build_model(name).eval()), 1, leg)[0]["loss"]

    assert first_loss("gpt2", 0) == first_loss("gpt2", 1)
    losses = {first_loss("gpt2 with dropout", seed) for seed in (0, 1)} | {first_loss("gpt2", 0)}
    assert len(losses) == 3


def test_a_wish_to_stop_is_heard_between_two_steps(build_model) -> None:
    state = training_of(build_model("olmo2"))
    records: list[Record] = []
    asked: list[int] = []

    def stop() -> bool:
        asked.append(state.step)
        return state.step == 6

    train_until(state, 9, LEG, CONFIG, lambda found, seconds: records.extend(found), stop)
    assert state.step == 6
    assert asked == list(range(7))
    assert [r["step"] for r in records] == list(range(1, 7))
    assert train(state, 6) == [], "nothing to do"


def test_records_come_in_bundles_with_the_seconds_they_took(build_model) -> None:
    bundles: list[list[int]] = []
    seconds: list[float] = []

    def report(found: list[Record], took: float) -> None:
        bundles.append([r["step"] for r in found])
        seconds.append(took)

    train_until(training_of(build_model("olmo2")), 10, LEG, CONFIG, report)
    assert bundles == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    assert all(took > 0 for took in seconds)


class Waits(TorchDispatchMode):
    """Counts the operations that make the host wait for one number of the device."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        waits = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
        self.count += func in waits
        return func(*args, **(kwargs or {}))


class Bigrams(nn.Module):
    """Predicts each character from the one before it."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(96, 96)
        self.config = SimpleNamespace(vocab_size=96)

    def forward(self, input_ids: Tensor, use_cache: bool) -> SimpleNamespace:
        return SimpleNamespace(logits=self.table(input_ids))


def test_the_host_waits_for_the_device_only_to_log(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counted(name: str) -> Callable[..., Any]:
        original = getattr(Tensor, name)

        def call(self: Tensor, *args: Any) -> Any:
            calls.append(name)
            return original(self, *args)

        return call

    for name in ("item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__"):
        monkeypatch.setattr(Tensor, name, counted(name))
    # Not one of transformers' models: run eagerly, those ask the device in every forward pass
    # whether the window is packed (masking_utils.find_packed_sequence_indices); compiled, not.
    state = training_of(Bigrams())
    with Waits() as waits:
        train(state, 10)
    # One copy to the host after steps 4, 8 and 10; its rows are read there.
    assert calls == ["cpu", *["tolist"] * 4, "cpu", *["tolist"] * 4, "cpu", *["tolist"] * 2]
    assert waits.count == 0
    with Waits() as waits:
        torch.ones(()).item()
    assert waits.count == 1


def test_the_clock_counts_the_tokens_of_data_and_not_the_padding(build_model) -> None:
    def shorter(step: int) -> TokenBatch:
        return replace(batch_at(step), lengths_B=np.array([16, 5, step, 0]))

    state = training_of(build_model("olmo2"))
    state.passed = 1000
    records = train(state, 3, replace(LEG, batch_at=shorter))
    assert [r["tokens"] for r in records] == [1022, 1045, 1069]
    assert state.passed == 1069


def test_numbers_that_json_lacks_are_none() -> None:
    assert [finite(x) for x in (1.5, float("nan"), float("inf"), -float("inf"))] == [
        1.5,
        None,
        None,
        None,
    ]
