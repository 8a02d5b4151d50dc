"""The loop on models of 2 layers and width 16: golden losses, resume, spikes, and when it waits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import Olmo2Config, Olmo2ForCausalLM, PreTrainedModel

from evergrow.errors import EvergrowError
from evergrow.models.presets import draw_weights
from evergrow.objectives.causal import Causal
from evergrow.run import Ledger
from evergrow.schedules import Segment, rate
from evergrow.stream.batches import TokenBatch, token_batch
from evergrow.stream.plan import SampleStream
from evergrow.train.config import LoopConfig
from evergrow.train.loop import (
    Leg,
    Record,
    Training,
    autocast,
    choose_device,
    finite,
    load_weights,
    train_until,
    wants_compile,
    weights,
)
from evergrow.train.objective import Loss
from evergrow.train.optimizer import build_optimizer
from evergrow.train.spikes import SpikeGuard

CPU = torch.device("cpu")
LENGTH, BATCH = 16, 4
CONFIG = LoopConfig(batch_size=BATCH, log_every=4)
SCHEDULE = [
    Segment(start=0, end=320, from_lr=0.0, to_lr=0.02, shape="linear"),
    Segment(start=320, end=1280, from_lr=0.02, to_lr=0.002, shape="cosine"),
]
RIVER = (
    "The river rises in the hills and runs past the mill, the church and the seven small houses "
    "of the village. In spring it carries ice and branches; in summer children wade across it "
    "with their shoes in their hands. Nobody has counted the fish, but everybody has a number. "
    "The miller says four hundred, the priest says enough, and the children say one very big one."
)
RULES = (
    "def area(w, h): return w * h\ndef edge(w, h): return 2 * (w + h)\n"
    "for w in range(1, 9): print(w, area(w, 3), edge(w, 3))\n"
    "if area(4, 4) == edge(4, 4): print('a square of four is the only one')\n"
    "total = sum(area(w, h) for w in range(9) for h in range(w))\n"
)


class Letters:
    """A text whose tokens are its characters: 0 is the space, 95 the end of a line."""

    def __init__(self, text: str) -> None:
        self.tokens = np.array([95 if c == "\n" else ord(c) - 32 for c in text])

    def window(self, index: int, length: int) -> np.ndarray:
        return self.tokens[index * length : (index + 1) * length + 1].astype(np.int64)


SOURCES = {"river": Letters(RIVER), "rules": Letters(RULES)}


def ledger(source: str, replay_shares: tuple[int, int]) -> Ledger:
    return Ledger(
        shares={source: 1},
        replay_shares=replay_shares,
        replay_order="seen",
        num_samples=40,
        sizes={source: (len(SOURCES[source].tokens) - 1) // LENGTH},
        tokens_an_item={source: LENGTH},
    )


STREAM = SampleStream([ledger("river", (0, 1)), ledger("rules", (1, 3))], seed=0)


def batch_at(step: int) -> TokenBatch:
    samples = [STREAM.sample(n) for n in range((step - 1) * BATCH, step * BATCH)]
    return token_batch(samples, SOURCES, LENGTH, True, False)  # type: ignore


def rate_at(step: int) -> float:
    return rate(SCHEDULE, step * LENGTH * BATCH)


LEG = Leg(Causal(1e-5), batch_at, rate_at, seed=0)


def training_of(model: nn.Module) -> Training:
    optimizer = build_optimizer(model, CONFIG.optimizer, [])
    return Training(model, optimizer, SpikeGuard(6.0, CPU), CPU)


def train(
    state: Training, last_step: int, leg: Leg = LEG, config: LoopConfig = CONFIG
) -> list[Record]:
    records: list[Record] = []
    train_until(state, last_step, leg, config, lambda found, seconds: records.extend(found))
    return records


def same(first: Any, second: Any) -> bool:
    """Whether two states hold the same bits."""
    return all(
        first[group].keys() == second[group].keys()
        and all(torch.equal(first[group][name], second[group][name]) for name in first[group])
        for group in ("model", "optimizer", "guard")
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


def test_loading_a_state_without_moments_leaves_none(build_model) -> None:
    state = training_of(build_model("olmo2"))
    start = state.tensors()
    assert start["optimizer"] == {}
    records = train(state, 3)
    state.load(start, 0, 0)
    assert state.tensors()["optimizer"] == {}
    assert train(state, 3) == records


def test_what_was_saved_is_a_copy(build_model) -> None:
    state = training_of(build_model("olmo2"))
    train(state, 2)
    saved, again = state.tensors(), state.tensors()
    train(state, 4)
    assert same(saved, again)
    assert not same(saved, state.tensors())
    assert saved["optimizer"].keys() == {
        f"{part}.{name}" for part in ("exp_avg", "exp_avg_sq", "step") for name in saved["model"]
    }


def test_at_rate_0_the_moments_fill_and_the_weights_stay(build_model) -> None:
    state = training_of(build_model("olmo2"))
    before = state.tensors()["model"]
    train(state, 3, Leg(LEG.loss, batch_at, lambda step: 0.0, 0))
    after = state.tensors()
    assert all(torch.equal(after["model"][name], before[name]) for name in before)
    for name in before:
        assert after["optimizer"][f"step.{name}"] == 3
        assert after["optimizer"][f"exp_avg_sq.{name}"].max() > 0
    # The moments are those of a run whose weights stay: the mean of the three gradients, debiased.
    model = build_model("olmo2")
    expected = torch.zeros_like(model.lm_head.weight)
    for step in (1, 2, 3):
        model.zero_grad()
        batch = batch_at(step)
        (LEG.loss(model, batch, CPU).total / (BATCH * LENGTH)).backward()
        norm = nn.utils.get_total_norm([p.grad for p in model.parameters()])
        expected = 0.9 * expected + 0.1 * model.lm_head.weight.grad / max(1.0, norm)
    torch.testing.assert_close(after["optimizer"]["exp_avg.lm_head.weight"], expected)


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


def masked_by(weight_at: Callable[[int], float]) -> Leg:
    """Batches whose windows weigh ``weight_at(step)``; one that is not finite spoils the loss."""

    def batch(step: int) -> TokenBatch:
        found = batch_at(step)
        return replace(found, weights_BT=found.weights_BT * np.float32(weight_at(step)))

    return Leg(LEG.loss, batch, rate_at, seed=0)


def test_a_skipped_step_leaves_weights_and_moments_as_they_were(build_model) -> None:
    state = training_of(build_model("olmo2"))
    leg = masked_by(lambda step: float("nan") if step in (1, 4) else 1)
    before = state.tensors()["model"]
    (first,) = train(state, 1, leg)
    assert all(torch.equal(state.tensors()["model"][name], before[name]) for name in before)
    assert not any(t.any() for t in state.tensors()["optimizer"].values())
    train(state, 3, leg)
    saved = state.tensors()
    (fourth,) = train(state, 4, leg)
    after = state.tensors()
    for group in ("model", "optimizer"):
        assert all(torch.equal(after[group][name], saved[group][name]) for name in saved[group])
    assert after["optimizer"]["step.lm_head.weight"] == 2
    assert state.step == 4
    for record in (first, fourth):
        assert record["skipped"] is True
        assert record["loss"] is None
        assert record["grad_norm"] is None
    (fifth,) = train(state, 5, leg)
    assert fifth["skipped"] is False
    assert state.guard.count == 3
    assert not torch.equal(
        state.tensors()["model"]["lm_head.weight"], saved["model"]["lm_head.weight"]
    )


def test_a_finite_spike_is_skipped_too(build_model) -> None:
    state = training_of(build_model("olmo2"))
    still = Leg(LEG.loss, batch_at, lambda step: 0.0, 0)
    quiet = LoopConfig(batch_size=BATCH, log_every=200)
    assert not any(r["skipped"] for r in train(state, 128, still, quiet))
    jump = Leg(Causal(50.0), batch_at, rate_at, 0)  # a z-loss whose gradient dwarfs the others
    before = state.tensors()
    (record,) = train(state, 129, jump)
    assert record["skipped"] is True
    assert record["grad_norm"] > 100
    after = state.tensors()
    for group in ("model", "optimizer"):
        assert all(torch.equal(after[group][name], before[group][name]) for name in before[group])


@pytest.mark.parametrize("log_every", [1, 4, 10, 50])
def test_ten_skipped_steps_in_a_row_end_the_run(log_every: int, build_model) -> None:
    config = LoopConfig(batch_size=BATCH, log_every=log_every)
    state = training_of(build_model("olmo2"))
    # The eleventh step is sound again: when the run ends must not hang on how often it logs.
    leg = masked_by(lambda step: float("inf") if 3 <= step <= 12 else 1)
    records: list[Record] = []
    with pytest.raises(EvergrowError) as error:
        train_until(state, 30, leg, config, lambda found, seconds: records.extend(found))
    assert str(error.value) == (
        "step 12: 10 steps in a row were skipped because the loss or the gradient spiked or was "
        "not finite (last loss nan, gradient norm nan); lower peak_lr or look at the data"
    )
    assert [r["step"] for r in records if r["skipped"]] == list(range(3, 13))


def test_nine_skipped_steps_in_a_row_do_not(build_model) -> None:
    leg = masked_by(lambda step: float("inf") if step % 10 else 1)
    records = train(training_of(build_model("olmo2")), 20, leg)
    assert sum(r["skipped"] for r in records) == 18


def test_micro_batches_train_like_the_whole_batch(build_model) -> None:
    states = []
    for size in (None, 1, 2):
        config = CONFIG.model_copy(update={"micro_batch_size": size, "clip_norm": 1e9})
        state = training_of(build_model("olmo2").double())
        train(state, 20, config=config)
        states.append(weights(state.model))
    for other in states[1:]:
        for name, tensor in states[0].items():
            torch.testing.assert_close(other[name], tensor, rtol=0, atol=1e-10)


def test_loss_and_gradient_are_means_over_the_targets_that_count(build_model) -> None:
    def half(step: int) -> TokenBatch:
        found, mask = batch_at(step), np.array([[1], [0], [0], [1]], np.float32)
        return replace(found, weights_BT=found.weights_BT * mask)

    leg = Leg(Causal(0.01), half, rate_at, 0)
    (record,) = train(training_of(build_model("olmo2")), 1, leg)
    model, batch = build_model("olmo2"), batch_at(1)
    logits = model(input_ids=torch.from_numpy(batch.inputs_BT[[0, 3]])).logits.flatten(0, 1)
    targets = torch.from_numpy(batch.targets_BT[[0, 3]]).flatten()
    loss = nn.functional.cross_entropy(logits, targets)
    z_loss = 0.01 * logits.logsumexp(-1).square().mean()
    (loss + z_loss).backward()
    norm = nn.utils.get_total_norm([p.grad for p in model.parameters()])
    assert record["loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert record["z_loss"] == pytest.approx(z_loss.item(), rel=1e-5)
    assert record["grad_norm"] == pytest.approx(norm.item(), rel=1e-5)


def test_a_batch_without_a_target_that_counts_is_survived(build_model) -> None:
    state = training_of(build_model("olmo2"))
    (record,) = train(state, 1, masked_by(lambda step: 0.0))
    assert (record["loss"], record["grad_norm"], record["skipped"]) == (0.0, 0.0, False)


def test_the_clock_counts_the_tokens_of_data_and_not_the_padding(build_model) -> None:
    def shorter(step: int) -> TokenBatch:
        return replace(batch_at(step), lengths_B=np.array([16, 5, step, 0]))

    state = training_of(build_model("olmo2"))
    state.passed = 1000
    records = train(state, 3, replace(LEG, batch_at=shorter))
    assert [r["tokens"] for r in records] == [1022, 1045, 1069]
    assert state.passed == 1069


class Average:
    """The mean of the head's weights over steps, an older step half as much as the next one."""

    def __init__(self, model: nn.Module) -> None:
        self._head = model.get_parameter("lm_head.weight")
        self.mean = torch.zeros_like(self._head)

    @contextmanager
    def after(self, step: int) -> Iterator[None]:
        yield
        self.mean.lerp_(self._head.detach(), 0.5)

    def tensors(self) -> dict[str, Tensor]:
        return {"mean": self.mean}

    def load(self, tensors: dict[str, Tensor]) -> None:
        self.mean.copy_(tensors["mean"])


def averaged(model: nn.Module) -> tuple[Training, Average, Leg]:
    state, average = training_of(model), Average(model)
    state.groups["average"] = average
    return state, average, replace(LEG, update_at=average.after)


def test_a_group_is_saved_and_goes_on_where_it_was(build_model) -> None:
    straight, average, leg = averaged(build_model("olmo2"))
    train(straight, 4, leg)
    saved = straight.tensors()
    assert saved.keys() == {"model", "optimizer", "guard", "average"}
    assert torch.equal(saved["average"]["mean"], average.mean)
    train(straight, 10, leg)
    assert not torch.equal(saved["average"]["mean"], average.mean), "a copy"
    resumed, its_average, its_leg = averaged(build_model("olmo2"))
    resumed.load(saved, 4, 4 * BATCH * LENGTH)
    train(resumed, 10, its_leg)
    assert torch.equal(its_average.mean, average.mean)
    assert same(resumed.tensors(), straight.tensors())
    assert resumed.passed == straight.passed == 10 * BATCH * LENGTH
    lost = {name: group for name, group in saved.items() if name != "average"}
    with pytest.raises(KeyError, match="average"):
        resumed.load(lost, 4, 256)


@pytest.mark.parametrize("micro_batch_size", [None, 1])
def test_a_penalty_is_added_once_to_the_mean_loss_and_recorded(
    micro_batch_size: int | None, build_model
) -> None:
    """The gradient of 3 |w|^2 is 6 w, of which a first moment holds a tenth."""
    config = LoopConfig(batch_size=BATCH, micro_batch_size=micro_batch_size, clip_norm=1e9)
    name = "lm_head.weight"
    before = build_model("olmo2").get_parameter(name).detach()
    found, moments = [], []
    for penalty in (None, lambda model: 3 * model.get_parameter(name).square().sum()):
        state = training_of(build_model("olmo2"))
        found += train(state, 1, replace(LEG, penalty=penalty), config)
        moments.append(state.tensors()["optimizer"])
    plain, penalised = found
    assert "penalty" not in plain
    assert penalised["penalty"] == pytest.approx(3 * before.square().sum().item(), rel=1e-6)
    assert penalised["loss"] == plain["loss"]
    assert penalised["grad_norm"] > plain["grad_norm"]
    difference = moments[1][f"exp_avg.{name}"] - moments[0][f"exp_avg.{name}"]
    torch.testing.assert_close(difference, 0.6 * before, rtol=1e-5, atol=1e-6)
    other = "exp_avg.model.norm.weight"
    assert torch.equal(moments[0][other], moments[1][other])


def test_losses_of_other_parts_are_recorded_by_their_names(build_model) -> None:
    """A first step whose batch has both parts, and a second that has one, in one bundle."""

    def loss(model: nn.Module, batch: TokenBatch, device: torch.device) -> Loss:
        found = LEG.loss(model, batch, device)
        parts = {"margin": 2 * found.total, "chosen": found.parts["cross_entropy"]}
        return Loss(found.total, parts if state.step == 0 else {"margin": parts["margin"]})

    state = training_of(build_model("olmo2"))
    first, second = train(state, 2, replace(LEG, loss=loss))
    (plain,) = train(training_of(build_model("olmo2")), 1)
    assert first["chosen"] == plain["loss"]
    assert first["loss"] == pytest.approx(2 * (plain["loss"] + plain["z_loss"]), rel=1e-6)
    assert first.keys() - second.keys() == {"chosen"}
    assert "z_loss" not in first


def test_weights_hold_a_tied_tensor_once(build_model) -> None:
    model = build_model("gpt2")
    assert "lm_head.weight" not in weights(model)
    assert "transformer.wte.weight" in weights(model)
    assert weights(build_model("olmo2")).keys() == build_model("olmo2").state_dict().keys()


def test_strange_weights_are_refused_before_anything_is_copied(build_model) -> None:
    model = build_model("olmo2")
    state = training_of(model)
    tensors = state.tensors()["model"]
    lost = {name: t for name, t in tensors.items() if name != "lm_head.weight"}
    with pytest.raises(EvergrowError) as error:
        load_weights(model, lost)
    assert str(error.value) == "weights lm_head.weight: in the model or the checkpoint, not in both"
    with pytest.raises(EvergrowError) as error:
        load_weights(model, tensors | {"lm_head.weight": torch.zeros(95, 16)})
    assert str(error.value) == (
        "weights lm_head.weight: shape (95, 16) in the checkpoint, (96, 16) in the model"
    )


def test_numbers_that_json_lacks_are_none() -> None:
    assert [finite(x) for x in (1.5, float("nan"), float("inf"), -float("inf"))] == [
        1.5,
        None,
        None,
        None,
    ]


def test_bf16_is_refused_where_the_processor_lacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    config = LoopConfig(batch_size=BATCH, precision="bf16")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    with pytest.raises(EvergrowError) as error:
        autocast(config, CPU)
    assert str(error.value) == (
        "train.precision: bf16 needs a processor with bf16 instructions, this one has none and "
        "would run about 13 times slower; use fp32"
    )
    square = torch.ones(2, 2)
    with autocast(CONFIG, CPU):
        assert (square @ square).dtype == torch.float32
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    with autocast(config, CPU):
        assert (square @ square).dtype == torch.bfloat16


def test_the_device_is_the_one_asked_for_or_the_best_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def config(device: Any) -> LoopConfig:
        return LoopConfig(batch_size=BATCH, device=device)

    found = {"cuda": False, "mps": False}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found["cuda"])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: found["mps"])
    assert choose_device(config("auto")) == CPU
    assert not wants_compile(config("auto"), CPU)
    with pytest.raises(EvergrowError, match=r"finds no cuda device here; use auto or cpu"):
        choose_device(config("cuda"))
    found["mps"] = True
    assert choose_device(config("auto")) == torch.device("mps")
    found["cuda"] = True
    assert choose_device(config("auto")) == torch.device("cuda")
    assert choose_device(config("mps")) == torch.device("mps")
    assert choose_device(config("cpu")) == CPU
    assert wants_compile(config("auto"), torch.device("cuda"))
