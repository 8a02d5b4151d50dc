"""What objectives on pictures share: masks drawn from keys, and pixels in the model's own range."""

import pytest
import torch
from torch.nn import functional

from evergrow.evals.pictures import masked_patches
from evergrow.models.vision import PictureForm, TransformerSizes, vit, vit_mae
from evergrow.objectives.classes import ClassLoss
from evergrow.objectives.patches import patches_loss
from evergrow.objectives.picture import PictureBatch, in_turn, mask_noise

CPU = torch.device("cpu")
SIZES = TransformerSizes(hidden=16, layers=1, heads=2, patch=2)
PIXELS = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
TARGETS = functional.one_hot(torch.tensor([0, 1, 0, 0, 1, 0]), 2).float()


def test_masks_are_drawn_from_the_keys_alone() -> None:
    noise = mask_noise([5, 6], 16)
    assert torch.equal(noise[1:], mask_noise([6], 16))
    assert masked_patches(noise, 0.75).sum(1).tolist() == [12, 12]


def test_both_objectives_feed_a_model_the_pixels_that_it_was_trained_on() -> None:
    cases = (
        (patches_loss, vit_mae(PictureForm(8, 1), SIZES, 0)),
        (ClassLoss(), vit(PictureForm(8, 1), SIZES, ["a", "b"], 0)),
    )
    for learn, model in cases:
        with torch.no_grad():
            by_hand = PictureBatch((PIXELS - 0.4) / 0.2, TARGETS, range(6))
            expected = float(learn(model, by_hand, CPU).total)
            model.config.pixel_mean, model.config.pixel_deviation = [0.4], [0.2]
            batch = PictureBatch(PIXELS, TARGETS, range(6))
            assert float(learn(model, batch, CPU).total) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("targets", [TARGETS, None], ids=["classified", "drawn"])
def test_micro_batches_of_pictures_keep_targets_and_keys(targets: torch.Tensor | None) -> None:
    batch = PictureBatch(PIXELS, targets, range(10, 16))
    parts = batch.split(4)
    assert [(part.weight, part.passed) for part in parts] == [(4.0, 4), (2.0, 2)]
    assert (batch.weight, batch.passed) == (6.0, 6)
    assert torch.equal(torch.cat([part.pixels_NCHW for part in parts]), PIXELS)
    assert [key for part in parts for key in part.keys_N] == list(range(10, 16))
    found = [part.targets_NK for part in parts if part.targets_NK is not None]
    assert found == [] if targets is None else torch.equal(torch.cat(found), targets)


def test_pictures_are_shown_class_by_class_in_turn() -> None:
    labels = ["a", "a", "b", "a", "c", "b"]
    assert in_turn(range(6), labels) == [0, 2, 4, 1, 5, 3]
    assert in_turn([3, 1, 5], labels) == [3, 5, 1]
