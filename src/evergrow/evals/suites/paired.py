"""Two models on the same items: whether they differ, and what difference could have been seen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from evergrow.statistics import t_interval

LEVEL = 0.95
POWER = 0.8
NUM_FLIPS = 10_000
_CHUNK = 2**20  # signs held at once


@dataclass(frozen=True)
class Paired:
    """Mean of first - second with its interval over clusters, and the p of no difference.

    ``detectable`` is the difference that would be found four times out of five; ``test`` says how p
    was found.
    """

    difference: float
    low: float
    high: float
    p_value: float
    detectable: float
    num_clusters: int
    test: str

    @property
    def verdict(self) -> str:
        """One sentence that claims no more than the items allow."""
        numbers = (
            f"{100 * self.difference:+.1f} points, p = {self.p_value:.2g} ({self.test}); "
            f"detectable here: {100 * self.detectable:.1f}"
        )
        if self.p_value > 1 - LEVEL:
            return f"no difference shown: {numbers}"
        return f"the first is {'better' if self.difference > 0 else 'worse'}: {numbers}"


def paired(
    first_N: Sequence[float], second_N: Sequence[float], clusters_N: Sequence[str], seed: int = 0
) -> Paired:
    """Compare two models item by item.

    Items that are right or wrong, each a cluster: McNemar's test, exact. Else signs of clusters'
    differences are flipped (Fisher's permutation, 10,000 draws).
    """
    differences_N = np.asarray(first_N, np.float64) - np.asarray(second_N, np.float64)
    _, places_N = np.unique(np.asarray(clusters_N), return_inverse=True)
    # By its sum, so that the mean over clusters is the mean over items.
    scale = (places_N.max() + 1) / len(places_N)
    differences_C = np.bincount(places_N, differences_N) * scale
    num = len(differences_C)
    mean = float(differences_C.mean())
    low, high, error = mean, mean, 0.0
    if num > 1:
        interval = t_interval(differences_C.tolist(), LEVEL)
        low, high = interval.low, interval.high
        error = float(differences_C.std(ddof=1)) / math.sqrt(num)
    plain = num == len(places_N) and bool(np.isin([*first_N, *second_N], (0, 1)).all())
    p_value = mcnemar(differences_N) if plain else flipped(differences_C, seed)
    quantiles = special.stdtrit(max(1, num - 1), [(1 + LEVEL) / 2, POWER]).sum()
    test = "McNemar, exact" if plain else f"{NUM_FLIPS:,} permutations of {num} clusters"
    return Paired(mean, low, high, p_value, float(quantiles) * error, num, test)


def mcnemar(differences_N: np.ndarray) -> float:
    """Two-sided exact p: the items on which the two differ are heads or tails."""
    better, worse = int((differences_N > 0).sum()), int((differences_N < 0).sum())
    if better + worse == 0:
        return 1.0
    return float(stats.binomtest(better, better + worse).pvalue)


def flipped(differences_C: np.ndarray, seed: int) -> float:
    """Two-sided p of the mean under random signs; what was seen counts as one of the draws."""
    generator = np.random.default_rng(seed)
    seen, num = abs(differences_C.sum()), len(differences_C)
    rows, at_least = max(1, _CHUNK // num), 1
    for start in range(0, NUM_FLIPS, rows):
        signs = generator.integers(0, 2, (min(rows, NUM_FLIPS - start), num)) * 2 - 1
        at_least += int((abs(signs @ differences_C) >= seen - 1e-12).sum())
    return at_least / (NUM_FLIPS + 1)
