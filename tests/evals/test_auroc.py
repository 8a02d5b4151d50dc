"""The area under the curve is scikit-learn's, weighted and with ties."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from evergrow.evals.auroc import weighted_auroc


@pytest.mark.parametrize("num_scores", [5, 1_000])
def test_it_is_scikit_learns_also_with_ties_and_weights(num_scores: int) -> None:
    draw = np.random.default_rng(0)
    scores = draw.integers(0, num_scores, 200) / num_scores
    present = draw.random(200) < 0.2 + 0.5 * scores
    weights = draw.integers(0, 4, (6, 200)).astype(float)
    expected = [roc_auc_score(present, scores, sample_weight=row) for row in weights]
    assert weighted_auroc(scores, present, weights) == pytest.approx(expected, abs=1e-12)


def test_it_is_no_number_where_a_kind_is_missing() -> None:
    scores, present = np.array([0.1, 0.9]), np.array([False, True])
    found = weighted_auroc(scores, present, np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 1.0]]))
    assert found[0] == 1.0 and np.isnan(found[1:]).all()
