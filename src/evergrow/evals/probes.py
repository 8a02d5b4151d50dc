"""Probes: what a simple rule can tell from a model's features, or from the pixels themselves."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from evergrow.evals.intervals import mean_interval
from evergrow.evals.pictures import features, linear_probe, nearest_neighbours
from evergrow.images.picture import Part
from evergrow.stream.order import key_of

# More training pictures than these change an accuracy less than its interval is wide, and cost
# memory: 4,096 raw pictures of 32 x 32 pixels are 34 MB, all of a 3 GB source would be 70 GB.
MOST_TRAINED = 4_096
LARGEST_SIDE = 32  # of raw pixels; a larger picture is averaged down to it
AT_ONCE = 1_024  # pictures read at once


class Labelled(Protocol):
    """A source of pictures with labels, in parts: what is trained on, and what steers."""

    @property
    def rows(self) -> Mapping[Part, Mapping[str, list[Any]]]: ...

    @property
    def steered_by(self) -> Part: ...

    def tensor(self, part: Part, items: Sequence[int] | None = None) -> Tensor: ...


def probe_lines(model: nn.Module | None, source: Labelled) -> list[dict[str, Any]]:
    """Accuracy of a linear and a nearest-neighbour probe with 95 % intervals.

    Without a ``model`` the features are the raw pixels. Pictures without a label are left out, and
    counted. A source that cannot be probed gives no line (see ``why_not``).
    """
    if why_not(source) is not None:
        return []
    told_of = source.steered_by
    fitted, tested = trained_items(source), labelled(source, told_of)
    train, truth = _labels(source, "train", fitted), _labels(source, told_of, tested)
    train_ND = _features(model, source, "train", fitted)
    test_ND = _features(model, source, told_of, tested)
    told = {
        "linear": linear_probe(train_ND, train, test_ND)[0],
        "nearest": nearest_neighbours(train_ND, train, test_ND),
    }
    patients = [source.rows[told_of]["patient"][i] for i in tested]
    lines = []
    for probe, labels in told.items():
        right = (labels == np.array(truth)).astype(float)
        line = {"probe": probe, "accuracy": float(right.mean()), "num_trained": len(fitted)}
        unlabelled = len(source.rows[told_of]["label"]) - len(tested)
        lines.append(line | {"num_unlabelled": unlabelled} | mean_interval(right, patients))
    return lines


def why_not(source: Labelled) -> str | None:
    """Why the labels of a source cannot be probed; None when they can, or there are none at all."""
    counts = Counter(_labels(source, "train", labelled(source, "train")))
    if not counts:
        return "no training picture has a label"
    if len(counts) < 2:
        return f"all its training pictures are labelled {next(iter(counts))}"
    if max(counts.values()) < 2:
        return "no label has two training pictures"
    if len(labelled(source, source.steered_by)) < 2:
        return "fewer than two held-out pictures have a label"
    return None


def labelled(source: Labelled, part: Part) -> list[int]:
    """The pictures of a part that have a label."""
    return [i for i, label in enumerate(source.rows[part]["label"]) if label is not None]


def trained_items(source: Labelled) -> list[int]:
    """The training pictures that a probe is fitted to: all with a label, or a fixed draw of them.

    The draw is by a hash of the pictures' keys, so it is the same for every model.
    """
    items = labelled(source, "train")
    if len(items) <= MOST_TRAINED:
        return items
    keys = source.rows["train"]["key"]
    drawn = sorted(items, key=lambda i: (key_of("probe", keys[i]), i))
    return sorted(drawn[:MOST_TRAINED])


def _labels(source: Labelled, part: Part, items: Sequence[int]) -> list[str]:
    return [str(source.rows[part]["label"][i]) for i in items]


def _features(
    model: nn.Module | None, source: Labelled, part: Part, items: Sequence[int]
) -> np.ndarray:
    """[N, D] of a model, or of the raw pixels."""
    found = [
        raw_pixels(pixels) if model is None else features(model, pixels)
        for pixels in in_parts(source, part, items)
    ]
    return np.concatenate(found)


def raw_pixels(pixels_NCHW: Tensor) -> np.ndarray:
    """[N, D] pixels as they are, of pictures of more than 32 x 32 pixels the means over areas."""
    if pixels_NCHW.shape[-1] > LARGEST_SIDE:
        pixels_NCHW = functional.adaptive_avg_pool2d(pixels_NCHW, LARGEST_SIDE)
    return pixels_NCHW.flatten(1).double().numpy()


def in_parts(source: Labelled, part: Part, items: Sequence[int]) -> Iterator[Tensor]:
    """Pixels [n, C, H, W] of the items, 1,024 pictures at a time."""
    for start in range(0, len(items), AT_ONCE):
        yield source.tensor(part, items[start : start + AT_ONCE])
