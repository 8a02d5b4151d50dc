"""The interval of a mean over pictures, of which one patient may have several."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from evergrow.statistics import bootstrap_ratio


def mean_interval(values_N: np.ndarray, patients_N: Sequence[str | None]) -> dict[str, Any]:
    """``low`` and ``high`` (95 %) of the mean, and over how many pictures and patients.

    Patients are resampled whole, because their pictures are alike and stand on one side of the
    split; a picture without a patient is its own. Where no patient, or a single one, is known,
    pictures are resampled, and ``num_patients`` is not said.
    """
    owners = [f"picture {n}" if p is None else f"of {p}" for n, p in enumerate(patients_N)]
    _, places = np.unique(owners, return_inverse=True)
    sums, sizes = values_N, np.ones_like(values_N)
    is_known = any(p is not None for p in patients_N) and places.max() > 0
    if is_known:
        sums, sizes = np.bincount(places, values_N), np.bincount(places).astype(float)
    interval = bootstrap_ratio(sums, sizes)
    found = {"low": interval.low, "high": interval.high, "num_pictures": len(values_N)}
    return {**found, "num_patients": len(sums)} if is_known else found
