"""Intervals against hand numbers, scipy and simulation; verdicts no bolder than their seeds."""

import math
from itertools import product

import numpy as np
import pytest
import scipy.stats

from evergrow.errors import InputError
from evergrow.statistics import (
    bootstrap_ratio,
    compare,
    holm,
    kendall,
    sign_test_floor,
    spearman,
    t_interval,
)


def test_t_interval_on_hand_numbers() -> None:
    # mean 2, s = 1, t(.975, 2) = 4.30265: 2 -+ 4.30265 / sqrt(3)
    interval = t_interval([1.0, 2.0, 3.0])
    assert interval.low == pytest.approx(2 - 2.484138, abs=1e-6)
    assert interval.high == pytest.approx(2 + 2.484138, abs=1e-6)
    assert interval.level == 0.95


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_t_interval_agrees_with_scipy(level: float) -> None:
    values = np.random.default_rng(0).normal(3, 2, 11)
    low, high = scipy.stats.t.interval(level, 10, values.mean(), scipy.stats.sem(values))
    interval = t_interval(values.tolist(), level)
    assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-12)


def test_bootstrap_of_two_documents_is_its_three_ratios() -> None:
    # the ratio is 1 (both the first), 3 (both the second) with 1/4 each, else (1*10 + 3*30) / 40
    numerators, denominators = np.array([10.0, 90.0]), np.array([10, 30])
    whole = bootstrap_ratio(numerators, denominators)
    assert (whole.low, whole.high) == (1.0, 3.0)
    middle = bootstrap_ratio(numerators, denominators, level=0.4)
    assert (middle.low, middle.high) == (2.5, 2.5)


def test_bootstrap_agrees_with_scipy() -> None:
    generator = np.random.default_rng(0)
    num_bytes = generator.integers(100, 3000, 60)
    nats = num_bytes * generator.normal(2, 0.4, 60)
    ours = bootstrap_ratio(nats, num_bytes, num_resamples=20_000)
    theirs = scipy.stats.bootstrap(
        (nats, num_bytes),
        lambda a, b, axis=-1: a.sum(axis) / b.sum(axis),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.03 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.03 * width)


def test_bootstrap_depends_on_its_seed_alone() -> None:
    nats, num_bytes = np.arange(1.0, 30.0), np.arange(3, 32)
    np.random.seed(0)
    first = bootstrap_ratio(nats, num_bytes, seed=5)
    np.random.seed(1)
    assert bootstrap_ratio(nats, num_bytes, seed=5) == first
    assert bootstrap_ratio(nats, num_bytes, seed=6) != first


def test_bootstrap_in_chunks_is_the_bootstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    nats, num_bytes = np.arange(1.0, 30.0), np.arange(3, 32)
    at_once = bootstrap_ratio(nats, num_bytes)
    monkeypatch.setattr("evergrow.statistics._CHUNK", 100)
    in_chunks = bootstrap_ratio(nats, num_bytes)
    assert (in_chunks.low, in_chunks.high) == pytest.approx((at_once.low, at_once.high), rel=1e-12)


def test_coverage_of_both_intervals() -> None:
    generator = np.random.default_rng(0)
    inside = {"bootstrap": 0, "t": 0}
    for _ in range(400):
        num_bytes = generator.integers(500, 1500, 80)
        nats = num_bytes * generator.normal(2.0, 0.5, 80)
        interval = bootstrap_ratio(nats, num_bytes, num_resamples=300)
        inside["bootstrap"] += interval.low <= 2.0 <= interval.high
        interval = t_interval(generator.normal(2.0, 1.0, 4).tolist())
        inside["t"] += interval.low <= 2.0 <= interval.high
    assert 0.92 * 400 <= inside["bootstrap"] <= 0.97 * 400
    assert 0.92 * 400 <= inside["t"] <= 0.97 * 400


def test_intervals_that_cannot_be() -> None:
    with pytest.raises(InputError, match="at least 2 values, got 1; run more seeds"):
        t_interval([1.0])
    with pytest.raises(InputError, match="did a run diverge"):
        t_interval([1.0, math.nan])
    with pytest.raises(InputError, match="at least 2 of them, got 1"):
        bootstrap_ratio(np.array([1.0]), np.array([1]))
    with pytest.raises(InputError, match="2 numerators for 3 denominators"):
        bootstrap_ratio(np.ones(2), np.ones(3))
    with pytest.raises(InputError, match="positive denominators; leave the empty documents out"):
        bootstrap_ratio(np.ones(2), np.array([1, 0]))


@pytest.mark.parametrize(("pairs", "p"), [(1, 1.0), (2, 0.5), (3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_smallest_sign_test_p_agrees_with_scipy(pairs: int, p: float) -> None:
    assert sign_test_floor(pairs) == p
    assert scipy.stats.binomtest(pairs, pairs).pvalue == pytest.approx(p)


def test_comparison_agrees_with_scipy() -> None:
    first, second = [2.1, 2.3, 2.2, 2.0], [2.3, 2.4, 2.6, 2.1]
    found = compare(first, second, "infinite", "cosine")
    reference = scipy.stats.ttest_rel(first, second)
    expected = reference.confidence_interval(0.95)
    assert found.mean_difference == pytest.approx(-0.2)
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))
    assert found.p_value == pytest.approx(reference.pvalue)
    assert (found.num_pairs, found.smallest_p) == (4, 0.125)


@pytest.mark.parametrize("num_pairs", [3, 6, 20])
def test_the_detectable_difference_is_found_four_times_out_of_five(num_pairs: int) -> None:
    differences = scipy.stats.norm.ppf((np.arange(num_pairs) + 0.5) / num_pairs)
    found = compare(differences.tolist(), [0.0] * num_pairs, "a", "b")
    error = float(scipy.stats.sem(differences))
    critical = scipy.stats.t.ppf(0.975, num_pairs - 1)
    power = scipy.stats.nct.sf(critical, num_pairs - 1, found.detectable / error)
    assert power == pytest.approx(0.8, abs=0.05)


def differences(num_pairs: int, mean: float, spread: float) -> tuple[list[float], list[float]]:
    """Values of two arms whose paired differences alternate around ``mean``."""
    second = [3.0 + 0.3 * seed for seed in range(num_pairs)]
    return [b + mean + spread * (-1) ** i for i, b in enumerate(second)], second


@pytest.mark.parametrize(
    ("num_pairs", "mean", "opening"),
    [
        (6, -0.1, "new is better than old: -0.1 ["),
        (6, 0.1, "new is worse than old: +0.1 ["),
        (5, -0.1, "suggests new below old, a line for the log (6 seeds make a claim): -0.098"),
        (3, 0.1, "suggests new above old, a line for the log"),
        (2, -0.1, "too few seeds to compare new with old"),
        (6, 0.0, "no difference shown between new and old"),
        (3, 0.0, "no difference shown between new and old"),
    ],
)
def test_verdicts(num_pairs: int, mean: float, opening: str) -> None:
    found = compare(*differences(num_pairs, mean, 0.01), "new", "old")
    assert found.verdict.startswith(opening)
    assert f"95% interval, {num_pairs} seeds; detectable: " in found.verdict


def test_the_word_better_needs_six_seeds_and_an_interval_without_zero() -> None:
    for num_pairs, mean, spread in product((2, 3, 4, 5, 6, 7), (-1.0, -0.01, 0.0, 1.0), (0.0, 0.1)):
        found = compare(*differences(num_pairs, mean, spread), "new", "old")
        shown = found.interval.low > 0 or found.interval.high < 0
        said = any(word in found.verdict for word in ("better", "worse", "reproduced"))
        assert said == (shown and num_pairs >= 6)


def test_equal_arms_show_no_difference() -> None:
    found = compare([1.0] * 6, [1.0] * 6, "a", "b")
    assert (found.p_value, found.mean_difference) == (1.0, 0.0)
    assert found.verdict.startswith("no difference shown")
    assert compare([2.0] * 6, [1.0] * 6, "a", "b").p_value == 0.0


def test_comparisons_that_cannot_be() -> None:
    with pytest.raises(InputError, match="new has 3 values and old 2; pairs need the same seeds"):
        compare([1.0, 2.0, 3.0], [1.0, 2.0], "new", "old")
    with pytest.raises(InputError, match="at least 2 values, got 1"):
        compare([1.0], [1.0], "new", "old")


def test_holm_on_hand_numbers() -> None:
    # sorted .005 .01 .03 .04 times 4 3 2 1: .02 .03 .06 .04, the last raised to .06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_rank_correlations_on_hand_numbers() -> None:
    # ranks 1 2 3 4 and 2 1 3 4: d^2 sums to 2, 1 - 6 * 2 / 60; five pairs of six in one order
    assert spearman([1, 2, 3, 4], [20, 10, 30, 40]) == pytest.approx(0.8)
    assert kendall([1, 2, 3, 4], [20, 10, 30, 40]) == pytest.approx(4 / 6)
    assert (spearman([1, 2], [2, 1]), kendall([1, 2], [2, 1])) == pytest.approx((-1, -1))
    assert (spearman([1, 1], [2, 1]), kendall([1, 1], [2, 1])) == (0, 0)  # no order on one side


def test_rank_correlations_agree_with_scipy_with_ties_and_without() -> None:
    draw = np.random.default_rng(5)
    for _ in range(20):
        first, second = draw.integers(0, 6, 8).tolist(), draw.integers(0, 6, 8).tolist()
        assert spearman(first, second) == pytest.approx(scipy.stats.spearmanr(first, second)[0])
        assert kendall(first, second) == pytest.approx(scipy.stats.kendalltau(first, second)[0])
