"""The interval of a mean of shares, and pass@k.

N items, C clusters of them: items of one source are no independent evidence.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from evergrow.evals.intervals import wilson


class Mean(NamedTuple):
    """A mean of shares with its 95 % interval, and how that was made."""

    value: float
    low: float
    high: float
    method: str


def mean_of(values_N: Sequence[float], clusters_N: Sequence[str], level: float = 0.95) -> Mean:
    """The mean of values from 0 to 1, bounded after Wilson (1927) at the evidence there is.

    Items that are right or wrong, each a cluster, are Wilson's own case. Else the variance V of the
    mean is that between clusters (Miller 2411.00640, section 2.2), p (1 - p) / V the number of
    items that would tell as much (Korn and Graubard 1998), with Student's t of C - 1 degrees. Where
    all values are alike that number is C: a suite on which everything fails is no certainty.
    """
    values, sums, sizes = _by_cluster(values_N, clusters_N)
    share, num_clusters = float(values.mean()), len(sums)
    plain = num_clusters == len(values) and bool(np.isin(values, (0, 1)).all())
    if plain:
        low, high = wilson(share, len(values), float(special.ndtri((1 + level) / 2)))
        return Mean(share, low, high, "Wilson")
    t = float(special.stdtrit(max(1, num_clusters - 1), (1 + level) / 2))
    low, high = wilson(share, _evidence(share, sums - share * sizes, len(values)), t)
    return Mean(share, low, high, f"Wilson, variance between {num_clusters} clusters")


def _evidence(share: float, deviations_C: np.ndarray, num_items: int) -> float:
    """How many independent right-or-wrong items would tell as much."""
    num_clusters = len(deviations_C)
    if num_clusters < 2:
        return 1.0
    scale = num_clusters / (num_clusters - 1)
    variance = scale * float(deviations_C @ deviations_C) / num_items**2
    return share * (1 - share) / variance if variance > 1e-12 else float(num_clusters)


def _by_cluster(
    values_N: Sequence[float], clusters_N: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values [N], and sums and sizes of clusters [C]."""
    values = np.asarray(values_N, np.float64)
    _, places = np.unique(np.asarray(clusters_N), return_inverse=True)
    return values, np.bincount(places, values), np.bincount(places).astype(np.float64)


def pass_at(k: int, num_right: int, num: int) -> float:
    """The chance that one of ``k`` of ``num`` samples is right, unbiased (2107.03374, eq. 1)."""
    wrong = num - num_right
    return 1.0 - math.comb(wrong, k) / math.comb(num, k)
