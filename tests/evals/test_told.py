"""What is told of held-out pictures, on numbers that are counted by hand."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from evergrow.evals.told import log_losses, prior_of, told_classes, told_findings
from evergrow.lineage import Measured, Share, Told

TRUTH = np.array([0, 0, 0, 1, 1, 2])
CHANCES = np.array(
    [
        [0.7, 0.2, 0.1],
        [0.4, 0.5, 0.1],
        [0.6, 0.3, 0.1],
        [0.2, 0.7, 0.1],
        [0.5, 0.3, 0.2],
        [0.1, 0.1, 0.8],
    ]
)


def test_classes_by_hand() -> None:
    told = told_classes(CHANCES, TRUTH, [*"abc"], 0, [None] * 6)
    assert told.confusion == [[2, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert told.majority == 0.5
    assert told.accuracy_bounds == pytest.approx((0.29999, 0.90323), abs=1e-5)
    right = balanced_accuracy_score(TRUTH, CHANCES.argmax(1))
    assert told.balanced_accuracy is not None and told.auroc is not None
    assert (
        told.balanced_accuracy.value == pytest.approx(right) == pytest.approx((2 / 3 + 0.5 + 1) / 3)
    )
    each = [roc_auc_score(k == TRUTH, CHANCES[:, k]) for k in range(3)]
    assert [label.auroc and label.auroc.value for label in told.labels] == pytest.approx(each)
    assert told.auroc.value == pytest.approx(np.mean(each))
    assert told.auroc.low <= told.auroc.value <= told.auroc.high
    assert [(x.label, x.known, x.present) for x in told.labels] == [
        ("a", 6, 3), ("b", 6, 2), ("c", 6, 1)
    ]  # fmt: skip


def test_an_interval_over_patients_is_wider_than_over_their_pictures() -> None:
    truth, chances = np.tile(TRUTH, 20), np.tile(CHANCES, (20, 1))
    patients = [f"p{n}" for n in [0, 1, 2, 3, 4, 5] * 20]
    alone = told_classes(chances, truth, [*"abc"], 0, [None] * 120)
    whole = told_classes(chances, truth, [*"abc"], 0, patients)
    assert alone.accuracy_bounds is not None and whole.accuracy_bounds is not None
    narrow, wide = (high - low for low, high in (alone.accuracy_bounds, whole.accuracy_bounds))
    assert wide > 2 * narrow


def test_a_class_that_is_not_held_out_has_no_ranking() -> None:
    told = told_classes(CHANCES[:5], TRUTH[:5], [*"abc"], 0, [None] * 5)
    assert told.labels[2].auroc is None and told.labels[0].auroc is not None
    assert told.auroc is not None


def test_the_prior_counts_one_more_of_each() -> None:
    assert prior_of(np.array([7, 1, 0])).tolist() == pytest.approx([8 / 11, 2 / 11, 1 / 11])


NAN = np.nan
FINDINGS = np.array([[1, 0, NAN], [0, NAN, NAN], [1, 0, NAN], [0, 1, NAN]])
SAID = np.array([[0.9, 0.2, 0.5], [0.3, 0.9, 0.5], [0.2, 0.4, 0.5], [0.1, 0.8, 0.5]])


def test_findings_by_hand_with_unknown_ones_left_out() -> None:
    told = told_findings(SAID, FINDINGS, ["x", "y", "z"], np.array([0.5, 0.25, 0.1]), [None] * 4)
    x, y, z = told.labels
    assert (x.known, x.present, y.known, y.present, z.known) == (4, 2, 3, 1, 0)
    assert x.auroc and y.auroc and z.auroc is None
    assert x.auroc.value == 0.75 and y.auroc.value == 1.0  # the unknown .9 above .8 does not count
    assert told.auroc and told.auroc.value == 0.875
    assert y.loss == pytest.approx(-np.log([0.8, 0.6, 0.8]).mean())
    assert y.floor == pytest.approx(-np.log([0.75, 0.75, 0.25]).mean())
    assert (z.loss, z.floor) == (None, None)
    assert (x.prevalence, y.prevalence, z.prevalence) == (0.5, 1 / 3, 0.0)
    assert log_losses(SAID, FINDINGS)[:, 2].tolist() == [0.0] * 4


def measured(loss: float, auroc: Share | None) -> Measured:
    told = Told(labels=[], auroc=auroc)
    return Measured(source="s", unit="u", loss=loss, low=0, high=1, floor=0.523, told=told)


def test_what_was_learnt_beats_the_prior_or_ranks() -> None:
    chance, good = (Share(value=v, low=v - 0.05, high=v + 0.05) for v in (0.52, 0.9))
    assert not measured(0.54, chance).is_learnt and not measured(0.54, None).is_learnt
    assert measured(0.5, chance).is_learnt
    assert measured(0.78, good).is_learnt  # too sure, and yet it tells them apart
    assert Measured(source="s", unit="u", loss=9, low=0, high=10).is_learnt  # no floor to beat
