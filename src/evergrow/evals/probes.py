"""Probes: what a simple rule can tell from a model's features, or from the pixels themselves."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from evergrow.evals.pictures import features, linear_probe, nearest_neighbours
from evergrow.statistics import bootstrap_ratio


class Labelled(Protocol):
    """A source of pictures with labels, in two parts: train and held_out."""

    labels: Mapping[str, list[str | None]]

    def tensor(self, part: str) -> Tensor: ...


def probe_lines(model: nn.Module | None, source: Any) -> list[dict[str, Any]]:
    """Accuracy of a linear and a nearest-neighbour probe with 95 % intervals over pictures.

    Without a ``model`` the features are the raw pixels. A source without labels, or of one class,
    gives none.
    """
    train, truth = source.labels["train"], np.array([str(x) for x in source.labels["held_out"]])
    if len(set(train)) < 2 or None in train or not len(truth):
        return []
    fitted, tested = (_features(model, source.tensor(part)) for part in ("train", "held_out"))
    told = {
        "linear": linear_probe(fitted, train, tested)[0],
        "nearest": nearest_neighbours(fitted, train, tested),
    }
    lines = []
    for probe, labels in told.items():
        right = (labels == truth).astype(float)
        interval = bootstrap_ratio(right, np.ones_like(right))
        lines.append(
            {
                "probe": probe,
                "accuracy": float(right.mean()),
                "low": interval.low,
                "high": interval.high,
                "num_pictures": len(right),
            }
        )
    return lines


def _features(model: nn.Module | None, pixels_NCHW: Tensor) -> np.ndarray:
    if model is None:
        return pixels_NCHW.flatten(1).double().numpy()
    return features(model, pixels_NCHW)
