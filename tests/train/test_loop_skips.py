"""Steps that the loop skips: weights and moments stay, and ten in a row end the run."""

import pytest
import torch
from train.loops import BATCH, LEG, batch_at, masked_by, rate_at, train, training_of

from evergrow.errors import EvergrowError
from evergrow.objectives.causal import Causal
from evergrow.train.config import LoopConfig
from evergrow.train.loop import (
    Leg,
    Record,
    train_until,
)


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
