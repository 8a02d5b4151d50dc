"""The paired test keeps its level when models are equal, and finds what it says it can find."""

import numpy as np
import pytest
from scipy import stats

from evergrow.evals.suites.paired import flipped, mcnemar, paired

RUNS = 1000


def own(num: int) -> list[str]:
    return [str(n) for n in range(num)]


def test_mcnemar_counts_where_the_two_differ() -> None:
    differences = np.array([1.0] * 8 + [-1.0] * 2 + [0.0] * 30)
    # Ten tosses with two heads or fewer, on both sides: 2 (1 + 10 + 45) / 1024.
    assert mcnemar(differences) == pytest.approx(112 / 1024)
    assert mcnemar(np.zeros(5)) == 1


def test_flipped_signs_agree_with_all_of_them() -> None:
    differences = np.array([0.3, -0.1, 0.4, 0.2, 0.25, -0.05, 0.1, 0.35])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 8)).reshape(8, -1).T
    exact = float((abs(signs @ differences) >= differences.sum() - 1e-12).mean())
    assert flipped(differences, 0) == pytest.approx(exact, abs=0.01)


def rejected(draw: object, seed: int = 1) -> float:
    generator = np.random.default_rng(seed)
    found = [paired(*draw(generator)).p_value for _ in range(RUNS)]  # pyright: ignore
    return float(np.mean(np.array(found) <= 0.05))


def test_its_level_on_equal_models() -> None:
    def draw(g: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[str]]:
        chances = g.beta(0.5, 0.5, 164)
        return g.binomial(1, chances), g.binomial(1, chances), own(164)

    assert 0.01 <= rejected(draw) <= 0.06  # exact: at most .05, less for discrete counts


def test_its_level_on_items_that_share_a_source() -> None:
    names = [str(n // 6) for n in range(180)]

    def draw(g: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[str]]:
        # Each model is good at some sources: differences go together within one.
        first, second = (np.repeat(g.beta(1, 1, 30), 6) for _ in range(2))
        return g.binomial(1, first), g.binomial(1, second), names

    level = rejected(draw)
    assert 0.03 <= level <= 0.07
    assert rejected(lambda g: (*draw(g)[:2], own(180))) > 2 * level


def test_what_is_detectable_is_found_four_times_of_five() -> None:
    def draw(g: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[str]]:
        chances = g.beta(2, 2, 200)
        second = g.binomial(10, chances) / 10
        return g.binomial(10, np.clip(chances + 0.03, 0, 1)) / 10, second, own(200)

    generator = np.random.default_rng(5)
    found = [paired(*draw(generator)) for _ in range(300)]
    power = np.mean([one.p_value <= 0.05 for one in found])
    effect = np.mean([one.difference for one in found])
    detectable = np.mean([one.detectable for one in found])
    reach = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert power == pytest.approx(stats.norm.cdf(effect / detectable * reach - 1.96), abs=0.08)


def test_the_verdict_claims_what_was_shown() -> None:
    right, wrong = [1] * 30 + [0] * 10, [0] * 20 + [1] * 10 + [0] * 10
    better = paired(right, wrong, own(40))
    assert better.verdict.startswith("the first is better: +50.0 points, p = 1.9e-06 (McNemar")
    assert paired(wrong, right, own(40)).verdict.startswith("the first is worse: -50.0 points")
    same = paired(right, right, own(40))
    assert same.verdict.startswith("no difference shown: +0.0 points, p = 1 (McNemar, exact)")
    assert (same.low, same.high) == (0, 0)
