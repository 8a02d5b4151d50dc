"""Which pairs are compared by their texts, and what these decide."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evergrow.corpus.duplicates.clusters import cluster
from evergrow.corpus.duplicates.likeness import Likeness, Pair

TRUTH = {(1, 0): 0.69, (2, 0): 0.71, (2, 1): 0.9, (3, 0): 0.3, (3, 1): 0.72}
SAME = np.zeros((4, 112), np.uint8)


def likeness(asked: list[Pair], signatures: np.ndarray, gone: int | None = None) -> Likeness:
    exact: dict[Pair, float | None] = {}

    def compare(pairs: Sequence[Pair]) -> None:
        asked.extend(pairs)
        exact.update({pair: None if gone in pair else TRUTH[pair] for pair in pairs})

    return Likeness(0.7, 112, signatures.__getitem__, exact, compare)


def stars(judge: Likeness) -> list[int]:
    everyone, bands = np.ones(4, bool), [np.ones(4, np.uint64)]
    return cluster(bands, judge, np.arange(4), everyone).repeat_of_D.tolist()


def test_texts_decide_and_every_pair_is_compared_once() -> None:
    asked: list[Pair] = []
    assert stars(likeness(asked, SAME)) == [-1, -1, 0, 1]
    assert sorted(asked) == [(1, 0), (2, 0), (3, 0), (3, 1)]  # 2 goes, so nothing meets it


def test_estimates_two_errors_below_what_is_asked_are_ruled_out() -> None:
    asked: list[Pair] = []
    judge = likeness(asked, SAME)
    assert abs(judge.worth_comparing - (0.7 - 2 * 0.0433)) < 1e-4
    assert judge.first(3, np.array([0, 1, 2]), np.array([0.61, 0.62, 0.63])) == (None, 2)
    assert judge.open == {(3, 1), (3, 2)}


def test_of_many_the_most_promising_are_compared() -> None:
    judge = likeness([], SAME)
    estimates = np.array([0.66, 0.9, 0.65, 0.8, 0.67, 0.7, 0.65])
    assert judge.first(9, np.arange(7), estimates) == (1, 4)
    assert judge.open == {(9, 1)}
    exact = dict.fromkeys([(9, 1)], 0.6)
    judge = replace(judge, exact=exact)
    assert judge.first(9, np.arange(7), estimates) == (3, 4)
    exact |= dict.fromkeys([(9, 3), (9, 4), (9, 5)], 0.6)
    assert judge.first(9, np.arange(7), estimates) == (None, 4)


def test_without_a_text_the_estimate_decides() -> None:
    signatures = SAME.copy()
    signatures[1, :40] = 1  # 72 of 112 agree
    asked: list[Pair] = []
    assert stars(likeness(asked, signatures, gone=0)) == [-1, -1, 0, 0]
    assert sorted(asked) == [(1, 0), (2, 0), (3, 0)]
