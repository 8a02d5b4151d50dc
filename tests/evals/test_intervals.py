"""Intervals over pictures and patients."""

import numpy as np
import pytest
from scipy.stats import binomtest

from evergrow.evals.intervals import (
    bootstrap,
    bootstrap_weights,
    owners_of,
    ratio_interval,
    wilson_interval,
)


@pytest.mark.parametrize(("right", "num"), [(0, 7), (7, 7), (31, 40), (1, 1_000)])
def test_wilsons_bounds_are_scipys(right: int, num: int) -> None:
    expected = binomtest(right, num).proportion_ci(0.95, "wilson")
    assert wilson_interval(right, num) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_patients_are_resampled_whole() -> None:
    patients = ["a", "b", "a", None, "b"]
    places, is_known = owners_of(patients)
    assert is_known and places[0] == places[2] and places[1] == places[4]
    weights = np.concatenate(list(bootstrap_weights(patients)))
    assert weights.shape == (1_000, 5)
    assert np.array_equal(weights[:, 0], weights[:, 2]) and np.array_equal(
        weights[:, 1], weights[:, 4]
    )
    assert not owners_of(["a", "a"])[1] and not owners_of([None, None])[1]


def test_a_statistic_that_a_resample_lacks_counts_in_the_others() -> None:
    def only_some(weights: np.ndarray) -> np.ndarray:
        first = np.where(weights[:, 0] > 0, 3.0, np.nan)
        return np.column_stack([weights.mean(1), first, np.full(len(weights), np.nan)])

    values, bounds = bootstrap(only_some, [None] * 4)
    assert values[:2].tolist() == [1.0, 3.0]
    assert bounds[:2].tolist() == [[1.0, 1.0], [3.0, 3.0]] and np.isnan(bounds[2]).all()


def test_who_has_nothing_known_is_no_unit_of_a_ratio() -> None:
    values, sizes = np.array([1.0, 2.0, 0.0, 4.0]), np.array([1.0, 1.0, 0.0, 2.0])
    found = ratio_interval(values, sizes, ["a", "b", "c", "d"])
    assert (found["num_pictures"], found["num_patients"]) == (4, 3)
    assert found == {**ratio_interval(values[[0, 1, 3]], sizes[[0, 1, 3]], [*"abd"])} | {
        "num_pictures": 4
    }
