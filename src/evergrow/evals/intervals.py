"""Intervals of what is measured over pictures, of which one patient may have several."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy import special

from evergrow.statistics import bootstrap_ratio

RESAMPLES = 1_000
_CHUNK = 2**20  # weights held at once, 8 MB


def owners_of(patients_N: Sequence[str | None]) -> tuple[np.ndarray, bool]:
    """[N] the number of each picture's owner, and whether owners are patients.

    A picture without a patient is its own. Where no patient, or a single one, is known, nobody
    can tell patients apart and pictures are the units.
    """
    owners = [f"picture {n}" if p is None else f"of {p}" for n, p in enumerate(patients_N)]
    _, places = np.unique(owners, return_inverse=True)
    if any(p is not None for p in patients_N) and places.max() > 0:
        return places, True
    return np.arange(len(patients_N)), False


def mean_interval(values_N: np.ndarray, patients_N: Sequence[str | None]) -> dict[str, Any]:
    """``low`` and ``high`` (95 %) of the mean, and over how many pictures and patients.

    Patients are resampled whole, because their pictures are alike and stand on one side of the
    split. Where nobody can tell them apart ``num_patients`` is not said (see ``owners_of``).
    """
    return ratio_interval(values_N, np.ones_like(values_N), patients_N)


def ratio_interval(
    numerators_N: np.ndarray, denominators_N: np.ndarray, patients_N: Sequence[str | None]
) -> dict[str, Any]:
    """The same of sum(numerators) / sum(denominators); who has a denominator of 0 is no unit."""
    places, is_known = owners_of(patients_N)
    sums, sizes = np.bincount(places, numerators_N), np.bincount(places, denominators_N)
    counted = sizes > 0
    interval = bootstrap_ratio(sums[counted], sizes[counted])
    found = {"low": interval.low, "high": interval.high, "num_pictures": len(numerators_N)}
    return {**found, "num_patients": int(counted.sum())} if is_known else found


def bootstrap_weights(patients_N: Sequence[str | None], seed: int = 0) -> Iterator[np.ndarray]:
    """[r, N] how often each picture is in each of 1,000 resamples of patients, r at a time."""
    places, _ = owners_of(patients_N)
    num_owners = int(places.max()) + 1
    generator = np.random.default_rng(seed)
    rows = max(1, _CHUNK // max(len(places), num_owners))
    for start in range(0, RESAMPLES, rows):
        some = min(rows, RESAMPLES - start)
        draws = generator.integers(0, num_owners, (some, num_owners))
        draws += np.arange(some)[:, None] * num_owners
        counts = np.bincount(draws.ravel(), minlength=some * num_owners)
        yield counts.reshape(some, num_owners)[:, places].astype(np.float64)


def bootstrap(
    statistics: Callable[[np.ndarray], np.ndarray], patients_N: Sequence[str | None]
) -> tuple[np.ndarray, np.ndarray]:
    """Values [S] and percentile bounds (95 %) [S, 2] of ``statistics``: weights [r, N] to [r, S].

    A statistic that a resample does not have is no number there, and counts in the others.
    """
    values = statistics(np.ones((1, len(patients_N))))[0]
    drawn = np.concatenate([statistics(weights) for weights in bootstrap_weights(patients_N)])
    bounds = np.full((len(values), 2), np.nan)
    for place in np.flatnonzero(~np.isnan(drawn).all(axis=0)):
        bounds[place] = np.nanquantile(drawn[:, place], [0.025, 0.975])
    return values, bounds


def wilson_interval(num_right: int, num: int, level: float = 0.95) -> tuple[float, float]:
    """Bounds of the share ``num_right / num`` of independent pictures or items."""
    return wilson(num_right / num, num, float(special.ndtri((1 + level) / 2)))


def wilson(share: float, num: float, z: float) -> tuple[float, float]:
    """Bounds of a share p of n after Wilson (1927): the p' with |p - p'| = z sqrt(p' (1 - p') / n).

    (p + z^2/2n -+ z sqrt(p q/n + z^2/4n^2)) / (1 + z^2/n)
    """
    square = z * z / num
    reach = z * math.sqrt(share * (1 - share) / num + square / (4 * num))
    low, high = ((share + square / 2 + side * reach) / (1 + square) for side in (-1, 1))
    return max(0.0, low), min(1.0, high)
