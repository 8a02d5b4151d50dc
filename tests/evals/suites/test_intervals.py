"""Intervals hold what they promise on simulated scores; pass@k equals counting."""

from itertools import combinations

import numpy as np
import pytest

from evergrow.evals.intervals import wilson_interval
from evergrow.evals.suites.intervals import mean_of, pass_at

RUNS = 1500


def own(num: int) -> list[str]:
    return [str(n) for n in range(num)]


def test_right_and_wrong_items_are_wilsons_case() -> None:
    found = mean_of([1.0] * 30 + [0.0] * 134, own(164))
    assert (found.value, found.method) == (30 / 164, "Wilson")
    assert (found.low, found.high) == pytest.approx(wilson_interval(30, 164))


def test_failing_on_everything_is_no_certainty() -> None:
    assert mean_of([0.0] * 20, own(20)).high == pytest.approx(0.1611, abs=1e-4)
    fractions = mean_of([0.0] * 20, [str(n // 2) for n in range(20)])
    assert 0.2 < fractions.high < 0.5  # the evidence of ten
    assert fractions.low == 0
    assert mean_of([0.5], ["a"]).high > 0.9


def test_copies_of_items_are_no_evidence() -> None:
    values = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0] * 3
    once, thrice = mean_of(values, own(30)), mean_of(values * 3, own(30) * 3)
    assert thrice.value == once.value
    assert thrice.high - thrice.low > 0.95 * (once.high - once.low)
    assert mean_of(values * 3, own(90)).high - once.value < 0.7 * (once.high - once.value)


def coverage(draw: object, share: float, seed: int = 0) -> float:
    generator = np.random.default_rng(seed)
    held = 0
    for _ in range(RUNS):
        values, clusters = draw(generator)  # pyright: ignore[reportCallIssue]
        found = mean_of(values, clusters)
        held += found.low <= share <= found.high
    return held / RUNS


@pytest.mark.parametrize(("num", "share"), [(40, 0.3), (164, 0.1), (164, 0.5), (1319, 0.05)])
def test_coverage_of_items_that_are_right_or_wrong(num: int, share: float) -> None:
    clusters = own(num)
    held = coverage(lambda g: ((g.random(num) < share).astype(float), clusters), share)
    assert 0.92 <= held <= 0.97


@pytest.mark.parametrize("samples", [3, 10])
def test_coverage_of_items_answered_several_times(samples: int) -> None:
    # Items differ: each has its own chance, of mean 0.25.
    def draw(g: np.random.Generator) -> tuple[np.ndarray, list[str]]:
        chances = g.beta(0.5, 1.5, 164)
        return g.binomial(samples, chances) / samples, own(164)

    assert 0.92 <= coverage(draw, 0.25) <= 0.97


@pytest.mark.parametrize(("clusters", "size"), [(30, 8), (60, 5)])
def test_coverage_of_items_that_share_a_source(clusters: int, size: int) -> None:
    names = [str(n // size) for n in range(clusters * size)]

    def draw(g: np.random.Generator) -> tuple[np.ndarray, list[str]]:
        chances = np.repeat(g.beta(2, 2, clusters), size)
        return (g.random(clusters * size) < chances).astype(float), names

    assert 0.92 <= coverage(draw, 0.5) <= 0.97
    alone = coverage(lambda g: (draw(g)[0], own(clusters * size)), 0.5)
    assert alone < 0.9  # without clusters it promises too much


def test_pass_at_k_equals_counting() -> None:
    for num in range(1, 9):
        for num_right in range(num + 1):
            for k in range(1, num + 1):
                draws = list(combinations(range(num), k))
                right = sum(min(draw) < num_right for draw in draws)
                assert pass_at(k, num_right, num) == pytest.approx(right / len(draws), abs=1e-12)
