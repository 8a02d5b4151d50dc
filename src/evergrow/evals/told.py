"""What a model tells of held-out pictures, beside what needs no model: records for scores.

N pictures, K labels, R resamples. Intervals resample patients whole where they are known.
"""

import warnings
from collections.abc import Callable, Sequence

import numpy as np

from evergrow.evals.auroc import weighted_auroc
from evergrow.evals.intervals import bootstrap, owners_of, wilson_interval
from evergrow.lineage import ByLabel, Share, Told

LEAST = 1e-12  # a chance of 0 would cost infinitely much


def prior_of(counts_K: np.ndarray) -> np.ndarray:
    """[K] chances by the counts of training, one added to each (Laplace): none of them is 0."""
    return (counts_K + 1) / (counts_K.sum() + len(counts_K))


def told_classes(
    chances_NK: np.ndarray,
    truth_N: np.ndarray,
    labels: Sequence[str],
    majority: int,
    patients_N: Sequence[str | None],
) -> Told:
    """Confusion, accuracy and ranking of pictures of one class each; class ``majority`` is usual.

    Accuracy is bounded after Wilson where pictures are the units. The balanced accuracy is the
    mean of the classes' shares told right.
    """
    num_labels, told_N = len(labels), chances_NK.argmax(1)
    confusion = np.zeros((num_labels, num_labels), np.int64)
    np.add.at(confusion, (truth_N, told_N), 1)
    present_NK = truth_N[:, None] == np.arange(num_labels)
    right_N = told_N == truth_N

    def statistics(weights_RN: np.ndarray) -> np.ndarray:
        sizes, right = weights_RN @ present_NK, (weights_RN * right_N) @ present_NK
        recalls = np.divide(right, sizes, out=np.full(sizes.shape, np.nan), where=sizes > 0)
        accuracy = right.sum(1) / sizes.sum(1)
        return np.column_stack([accuracy, _mean(recalls), ranks(weights_RN)])

    ranks = _ranks(chances_NK, present_NK, np.ones_like(present_NK))
    values, bounds = bootstrap(statistics, patients_N)
    shares = [_share(value, bound) for value, bound in zip(values, bounds, strict=True)]
    within = (float(bounds[0, 0]), float(bounds[0, 1]))
    if not owners_of(patients_N)[1]:
        within = wilson_interval(int(right_N.sum()), len(right_N))
    return Told(
        labels=[
            ByLabel(label=label, known=len(truth_N), present=int(num), auroc=auroc)
            for label, num, auroc in zip(labels, present_NK.sum(0), shares[3:], strict=True)
        ],
        auroc=shares[2],
        confusion=confusion.tolist(),
        accuracy_bounds=within,
        balanced_accuracy=shares[1],
        majority=float((truth_N == majority).mean()),
    )


def told_findings(
    chances_NK: np.ndarray,
    truth_NK: np.ndarray,
    labels: Sequence[str],
    prior_K: np.ndarray,
    patients_N: Sequence[str | None],
) -> Told:
    """Ranking and log loss of every finding by itself; truth is 1, 0, or no number: unknown."""
    known_NK = ~np.isnan(truth_NK)
    present_NK = known_NK & (truth_NK == 1)
    values, bounds = bootstrap(_ranks(chances_NK, present_NK, known_NK), patients_N)
    losses = log_losses(chances_NK, truth_NK)
    floors = log_losses(np.broadcast_to(prior_K, truth_NK.shape), truth_NK)
    by_label = []
    for k, label in enumerate(labels):
        known = known_NK[:, k]
        means = [float(x[known, k].mean()) if known.any() else None for x in (losses, floors)]
        by_label.append(
            ByLabel(
                label=label,
                known=int(known.sum()),
                present=int(present_NK[:, k].sum()),
                auroc=_share(values[1 + k], bounds[1 + k]),
                loss=means[0],
                floor=means[1],
            )
        )
    return Told(labels=by_label, auroc=_share(values[0], bounds[0]))


def log_losses(chances_NK: np.ndarray, truth_NK: np.ndarray) -> np.ndarray:
    """[N, K] nats of each finding; 0 where it is unknown."""
    there, absent = (np.maximum(c, LEAST) for c in (chances_NK, 1 - chances_NK))
    losses = -np.where(truth_NK == 1, np.log(there), np.log(absent))
    return np.where(np.isnan(truth_NK), 0.0, losses)


def _ranks(
    scores_NK: np.ndarray, present_NK: np.ndarray, known_NK: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Weights [R, N] to [R, 1 + K]: the mean area over labels, and each label's against others."""

    def statistics(weights_RN: np.ndarray) -> np.ndarray:
        each = np.column_stack(
            [
                weighted_auroc(scores, present, weights_RN * known)
                for scores, present, known in zip(
                    scores_NK.T, present_NK.T, known_NK.T, strict=True
                )
            ]
        )
        return np.column_stack([_mean(each), each])

    return statistics


def _mean(values_RK: np.ndarray) -> np.ndarray:
    """[R] the mean of the numbers that there are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a row without any has none
        return np.nanmean(values_RK, axis=1)


def _share(value: float, bounds_2: np.ndarray) -> Share | None:
    """None where there is no number."""
    if np.isnan(value) or np.isnan(bounds_2).any():
        return None
    return Share(value=float(value), low=float(bounds_2[0]), high=float(bounds_2[1]))
