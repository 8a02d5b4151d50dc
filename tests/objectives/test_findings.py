"""Findings: each by itself, what is unknown weighs nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from evergrow.images.augment import cutmix
from evergrow.images.picture import Findings, Picture
from evergrow.models.vision import PictureForm, TransformerSizes, vit
from evergrow.objectives.config import FindingsConfig
from evergrow.objectives.findings import findings_loss, targets_of
from evergrow.objectives.picture import PictureBatch
from evergrow.stream.pictures import PictureSource, write_pictures

CPU = torch.device("cpu")
NAN = float("nan")
PIXELS = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([[1.0, NAN], [0.0, 1.0], [NAN, NAN]])


def test_the_loss_is_the_mean_cross_entropy_of_what_is_known() -> None:
    model = vit(PictureForm(8, 1), TransformerSizes(16, 1, 2, 2), ["a", "b"], 0)
    batch = PictureBatch(PIXELS, TARGETS, range(3))
    with torch.no_grad():
        found = findings_loss(model, batch, CPU)
        logits = model(PIXELS).logits
        known = torch.tensor([logits[0, 0], logits[1, 0], logits[1, 1]])
        expected = functional.binary_cross_entropy_with_logits(known, torch.tensor([1.0, 0, 1]))
    assert batch.weight == 1.5 and batch.passed == 3
    assert float(found.total) / batch.weight == pytest.approx(float(expected), rel=1e-6)
    assert sum(part.weight for part in batch.split(1)) == 1.5


def test_what_is_unknown_has_no_gradient() -> None:
    model = vit(PictureForm(8, 1), TransformerSizes(16, 1, 2, 2), ["a", "b"], 0)
    unknown = torch.tensor([[1.0, NAN]] * 3)
    findings_loss(model, PictureBatch(PIXELS, unknown, range(3)), CPU).total.backward()
    gradient = model.get_parameter("classifier.weight").grad
    assert gradient is not None and gradient[0].abs().sum() > 0 and gradient[1].abs().sum() == 0


def test_a_mixture_with_what_is_unknown_is_unknown() -> None:
    mixed = cutmix(torch.rand(3, 1, 8, 8), TARGETS, 1, 1.0)[1]
    assert mixed[2].isnan().all() and mixed.isnan().sum() >= TARGETS.isnan().sum()


def stored(folder: Path, rows: list[Findings]) -> PictureSource:
    folder.mkdir()
    pictures = [
        Picture(np.full((1, 4, 4), n, np.uint8), "s", "f", f"f#{n}", findings=row)
        for n, row in enumerate(rows)
    ]
    manifest = {"source": "s", "findings": ["a", "b"]}
    write_pictures(folder, {"train": pictures, "held_out": []}, manifest)
    return PictureSource.open(folder)


ROWS: list[Findings] = [{"a": 1, "b": 0}, {"a": -1}, {}]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [[0, 1], [NAN, NAN], [NAN, NAN]]),
        ({"uncertain": "ones"}, [[0, 1], [NAN, 1], [NAN, NAN]]),
        ({"uncertain": "zeros"}, [[0, 1], [NAN, 0], [NAN, NAN]]),
        ({"unmentioned": "zeros"}, [[0, 1], [0, NAN], [0, 0]]),
    ],
)
def test_uncertain_and_unmentioned_ones(
    settings: dict[str, str], expected: list[list[float]], tmp_path: Path
) -> None:
    """In the order b, x, a; the source has no word for x, which stays unknown."""
    source = stored(tmp_path / "s", ROWS)
    assert source.findings_of("train", 1) == {"a": -1}
    config = FindingsConfig.model_validate(settings)
    found = targets_of(source, "train", ["b", "x", "a"], config)
    assert np.array_equal(found[:, [0, 2]], np.array(expected), equal_nan=True)
    assert np.isnan(found[:, 1]).all()
    assert targets_of(source, "held_out", ["b", "a"], config).shape == (0, 2)
