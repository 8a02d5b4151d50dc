from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from evergrow.evals import probes
from evergrow.evals.intervals import mean_interval
from evergrow.evals.pictures import linear_probe
from evergrow.evals.probes import in_parts, probe_lines, raw_pixels, trained_items, why_not
from evergrow.images.picture import Part
from evergrow.statistics import bootstrap_ratio


class Source:
    """Pictures of which the first pixel tells the class."""

    def __init__(self, labels: Mapping[Part, list[str | None]], size: int = 4) -> None:
        draw = torch.Generator().manual_seed(0)
        self.pixels = {
            p: torch.rand(len(x), 1, size, size, generator=draw) for p, x in labels.items()
        }
        for part, own in labels.items():
            self.pixels[part][:, 0, 0, 0] += torch.tensor([float(x == "b") for x in own])
        self.rows = {
            part: {
                "label": own,
                "key": [f"{part}{n}" for n in range(len(own))],
                "patient": [None] * len(own),
            }
            for part, own in labels.items()
        }

    @property
    def steered_by(self) -> Part:
        return "val" if "val" in self.rows else "held_out"

    def tensor(self, part: Part, items: list[int] | None = None) -> Tensor:
        return self.pixels[part] if items is None else self.pixels[part][list(items)]


def test_few_pictures_are_probed_as_they_lie() -> None:
    """Below the limits: the same fit as on all of the pixels at once."""
    source = Source({"train": [*"ab"] * 60, "held_out": [*"ab"] * 20})
    flat = {p: x.flatten(1).double().numpy() for p, x in source.pixels.items()}
    told, _, _ = linear_probe(flat["train"], source.rows["train"]["label"], flat["held_out"])
    right = (told == np.array([*"ab"] * 20)).astype(float)
    linear = probe_lines(None, source)[0]
    interval = bootstrap_ratio(right, np.ones_like(right))
    assert (linear["accuracy"], linear["low"], linear["high"]) == (
        right.mean(), interval.low, interval.high,
    )  # fmt: skip
    assert (linear["num_trained"], linear["num_pictures"], linear["num_unlabelled"]) == (120, 40, 0)


def test_many_training_pictures_are_a_fixed_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "MOST_TRAINED", 50)
    monkeypatch.setattr(probes, "AT_ONCE", 16)
    source = Source({"train": [*["a"] * 100, None, *["b"] * 100], "held_out": [*"ab"] * 20})
    items = trained_items(source)
    assert len(items) == 50 and items == sorted(items) and 100 not in items
    assert 10 < sum(i < 100 for i in items) < 40  # not the first ones
    assert items == trained_items(source)
    assert {line["num_trained"] for line in probe_lines(None, source)} == {50}
    read = [len(part) for part in in_parts(source, "train", items)]
    assert read == [16, 16, 16, 2]


def test_what_the_limits_leave_alone_covers_the_measured_sets() -> None:
    assert probes.MOST_TRAINED >= 2_428 and probes.LARGEST_SIDE >= 28


def test_large_pictures_are_averaged_down() -> None:
    pixels = torch.rand(2, 1, 64, 64)
    means = pixels.reshape(2, 32, 2, 32, 2).mean((2, 4)).flatten(1)
    assert np.allclose(raw_pixels(pixels), means.numpy(), atol=1e-6)
    small = torch.rand(2, 1, 28, 28)
    assert np.array_equal(raw_pixels(small), small.flatten(1).double().numpy())


@pytest.mark.parametrize(
    ("train", "held_out", "reason"),
    [
        ([None] * 4, [*"ab"], "no training picture has a label"),
        ([*"aaa", None], [*"ab"], "all its training pictures are labelled a"),
        ([*"abc"], [*"abc"], "no label has two training pictures"),
        ([*"aabb"], ["a", None], "fewer than two held-out pictures have a label"),
    ],
)
def test_what_cannot_be_probed_gives_a_reason(
    train: list[str | None], held_out: list[str | None], reason: str
) -> None:
    source = Source({"train": train, "held_out": held_out})
    assert why_not(source) == reason
    assert probe_lines(None, source) == []


def test_patients_are_resampled_whole() -> None:
    """Ten pictures each, all right or all wrong: as uncertain as ten patients, not a hundred."""
    values = np.repeat([1.0, 0.0] * 5, 10)
    patients = [f"p{n // 10}" for n in range(100)]
    whole = bootstrap_ratio(values[::10] * 10, np.full(10, 10.0))
    found = mean_interval(values, patients)
    assert found == {
        "low": whole.low, "high": whole.high, "num_pictures": 100, "num_patients": 10,
    }  # fmt: skip
    single = mean_interval(values, [None] * 100)
    assert single["high"] - single["low"] < 0.5 * (found["high"] - found["low"])
    assert mean_interval(values, ["one"] * 100) == single
    assert mean_interval(values, [None, None, *patients[2:]])["num_patients"] == 12
