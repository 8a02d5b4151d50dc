"""Which source the n-th sample comes from: a deterministic rule, exact within one sample."""

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np

_MAX_PERIOD = 100_000


def share_weights(weights: Sequence[float]) -> tuple[int, ...]:
    """Whole-number shares proportional to ``weights`` (which sum to 1).

    Decimals and simple fractions are kept exactly (.25 and .75 become 1 and 3). Weights without a
    common denominator up to 100,000 are rounded to hundred-thousandths by largest remainder.
    """
    fractions = [Fraction(str(w)).limit_denominator(_MAX_PERIOD) for w in weights]
    period = math.lcm(*(f.denominator for f in fractions))
    if sum(fractions) == 1 and period <= _MAX_PERIOD:
        return tuple(int(f * period) for f in fractions)
    exact = [w / sum(weights) * _MAX_PERIOD for w in weights]
    shares = [math.floor(e) for e in exact]
    by_remainder = sorted(range(len(exact)), key=lambda j: shares[j] - exact[j])
    for j in by_remainder[: _MAX_PERIOD - sum(shares)]:
        shares[j] += 1
    return tuple(shares)


@lru_cache(maxsize=64)
def _period(shares: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """One period P of the assignment, [P], and the counts before each position, [P + 1, sources].

    Tijdeman's rule for the chairman assignment (1980): among the sources that would not run more
    than one sample ahead, take the one whose next sample is due first. Every prefix then holds each
    source within one sample of its share.
    """
    total = sum(shares)
    period = total // math.gcd(*shares)
    shares = tuple(s * period // total for s in shares)
    counts = [0] * len(shares)
    sources = np.empty(period, np.int16)
    before = np.zeros((period + 1, len(shares)), np.int64)
    for n in range(period):
        # Eligible: one more sample leaves source j less than one ahead of share * (n + 1) / period.
        # Due: at (counts[j] + 1) * period / share, without one, j would be a whole sample behind.
        eligible = [j for j, s in enumerate(shares) if counts[j] * period < s * (n + 1)]
        j = min(eligible, key=lambda j: (Fraction((counts[j] + 1) * period, shares[j]), j))
        counts[j] += 1
        sources[n] = j
        before[n + 1] = counts
    return sources, before


class Mixture:
    """Assigns sample after sample, without end, to sources with ``shares`` (whole numbers)."""

    def __init__(self, shares: Sequence[int]) -> None:
        self._sources, self._before = _period(tuple(shares))

    def source_of(self, sample: int) -> int:
        """The source of sample ``sample`` (counted from 0)."""
        return int(self._sources[sample % len(self._sources)])

    def count(self, num_samples: int, source: int) -> int:
        """How many of the first ``num_samples`` samples come from ``source``."""
        periods, rest = divmod(num_samples, len(self._sources))
        return int(periods * self._before[-1, source] + self._before[rest, source])
