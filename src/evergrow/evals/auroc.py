"""The area under the receiver operating characteristic: how well a score ranks what is there."""

import numpy as np


def weighted_auroc(
    scores_N: np.ndarray, present_N: np.ndarray, weights_RN: np.ndarray
) -> np.ndarray:
    """[R] the chance that a present one scores above an absent one, ties counting half.

    Pictures count by their weights, a row each; no number where one of the two kinds is missing
    (Mann and Whitney 1947; Hanley and McNeil 1982).
    """
    order = np.argsort(scores_N, kind="stable")
    sorted_N = scores_N[order]
    starts = np.flatnonzero(np.r_[True, sorted_N[1:] != sorted_N[:-1]])
    is_there = present_N[order].astype(np.float64)
    weights = weights_RN[:, order]
    there = np.add.reduceat(weights * is_there, starts, axis=1)
    absent = np.add.reduceat(weights * (1 - is_there), starts, axis=1)
    above = (there * (np.cumsum(absent, axis=1) - absent / 2)).sum(axis=1)
    pairs = there.sum(axis=1) * absent.sum(axis=1)
    return np.divide(above, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
