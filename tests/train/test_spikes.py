import math

import pytest
import torch

from evergrow.train.spikes import WINDOW, SpikeGuard

NAN, INFINITY = float("nan"), float("inf")


def check(guard: SpikeGuard, loss: float, norm: float = 1.0) -> bool:
    found = guard.check(torch.tensor(loss), torch.tensor(norm))
    assert found.dtype == torch.float32
    return bool(found)


def wave(step: int) -> float:
    """Alternates between 1 and 3: mean 2, deviation (n / (n - 1))**.5 over an even window."""
    return 1.0 if step % 2 else 3.0


def filled(sigma: float = 6.0) -> SpikeGuard:
    guard = SpikeGuard(sigma, torch.device("cpu"))
    for step in range(WINDOW):
        assert not check(guard, wave(step), wave(step))
    return guard


LIMIT = 2 + 6 * math.sqrt(128 / 127)  # 8.0236


def test_nothing_finite_is_a_spike_before_the_window_is_full() -> None:
    guard = SpikeGuard(6.0, torch.device("cpu"))
    for step in range(WINDOW - 1):
        assert not check(guard, wave(step))
    assert not check(guard, 1e30)


@pytest.mark.parametrize(("loss", "norm"), [(LIMIT, 2.0), (2.0, LIMIT)])
def test_six_deviations_above_the_mean_is_a_spike(loss: float, norm: float) -> None:
    assert not check(filled(), loss - 1e-3, norm - 1e-3)
    assert check(filled(), loss + 1e-3, norm + 1e-3 if norm > 2 else norm)
    assert not check(filled(7.0), loss + 1e-3, norm + 1e-3)
    assert not check(filled(), -100.0, 0.0), "a fall is no spike"


def test_the_window_holds_the_last_128_values() -> None:
    guard = filled()
    for step in range(WINDOW):
        check(guard, 10 + wave(step))
    assert not check(guard, 10 + LIMIT - 1e-3)
    assert guard.count == 2 * WINDOW + 1
    assert sorted(guard.values[0].tolist())[-1] == pytest.approx(10 + LIMIT - 1e-3)


@pytest.mark.parametrize("bad", [NAN, INFINITY, -INFINITY])
def test_what_is_not_finite_is_always_skipped_and_never_remembered(bad: float) -> None:
    for guard in (SpikeGuard(6.0, torch.device("cpu")), filled()):
        before = {name: t.clone() for name, t in guard.tensors().items()}
        assert check(guard, bad, 1.0)
        assert check(guard, 2.0, bad)
        assert torch.equal(guard.values, before["values"])
        assert torch.equal(guard.count, before["count"])
        assert guard.in_a_row == 2
        assert not check(guard, 2.0)
        assert guard.in_a_row == 0


def test_empty_forgets_the_window() -> None:
    guard = filled()
    check(guard, NAN)
    guard.empty()
    assert guard.in_a_row == 0
    for step in range(WINDOW):
        assert not check(guard, 100 * wave(step)), "off until it is full again"
    assert not check(guard, 100 * LIMIT - 1)
    assert check(filled(), 100 * LIMIT - 1)


def test_the_state_comes_back_and_belongs_to_its_owner() -> None:
    guard = filled()
    check(guard, NAN)
    saved = guard.tensors()
    values = {name: t.tolist() for name, t in saved.items()}
    other = SpikeGuard(6.0, torch.device("cpu"))
    other.load(saved)
    assert check(other, LIMIT + 1e-3)
    assert other.in_a_row == 2
    other.empty()
    assert {name: t.tolist() for name, t in saved.items()} == values
