"""Which of two documents that share a band are alike: by their signatures first, then by texts.

Signatures err by some hundredths. That is little for one pair; but texts of one template meet in
thousands of pairs, and the luckiest of them would always pass.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np

Pair = tuple[int, int]
ERRORS = 2  # standard errors below what is asked at which texts are still compared
MOST = 4  # texts compared for a document, those of the highest estimates: a repeat is among them


@final
@dataclass
class Likeness:
    """How similar two documents must be, and what is known of that.

    signatures_of    uint8 [U, P] of U rows
    exact            the similarities of pairs of rows by their texts, as far as they are known;
                     None where a text is gone: the estimate decides
    compare          fills ``exact`` for more pairs
    """

    at_least: float
    permutations: int
    signatures_of: Callable[[np.ndarray], np.ndarray]
    exact: Mapping[Pair, float | None]
    compare: Callable[[Sequence[Pair]], None]
    open: set[Pair] = field(default_factory=set)

    @property
    def worth_comparing(self) -> float:
        """The estimate from which on texts are compared."""
        error = math.sqrt(self.at_least * (1 - self.at_least) / self.permutations)
        return self.at_least - ERRORS * error

    def first(self, row: int, others: np.ndarray, estimates: np.ndarray) -> tuple[int | None, int]:
        """The place of the first of ``others`` that the document at ``row`` repeats, and how many
        are worth comparing; where texts have yet to be compared that is noted, and the estimate
        decides for now."""
        places = self._best(estimates)
        alike = (p for p in places if self._is_alike((row, int(others[p])), float(estimates[p])))
        return next(alike, None), len(places)

    def _best(self, estimates: np.ndarray) -> list[int]:
        """The most promising places, in order."""
        places = np.flatnonzero(estimates >= self.worth_comparing)
        best = np.argsort(-estimates[places], kind="stable")[:MOST]
        return np.sort(places[best]).tolist()

    def _is_alike(self, pair: Pair, estimate: float) -> bool:
        if pair not in self.exact:
            self.open.add(pair)
        known = self.exact.get(pair)
        return (estimate if known is None else known) >= self.at_least

    def compare_open(self) -> bool:
        """Compare the texts that were noted; whether there were any."""
        if not self.open:
            return False
        self.compare(sorted(self.open))
        self.open.clear()
        return True
