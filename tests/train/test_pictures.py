import numpy as np
import pytest
import torch
from torch.nn import functional

from evergrow.evals.pictures import masked_patches
from evergrow.models.vision import PictureForm, TransformerSizes, vit, vit_mae
from evergrow.train.pictures import (
    Classification,
    MaskedPatches,
    PictureBatch,
    balanced_weights,
    mask_noise,
)

CPU = torch.device("cpu")
SIZES = TransformerSizes(hidden=16, layers=1, heads=2, patch=2)
PIXELS = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_masks_are_drawn_from_the_keys_alone() -> None:
    noise = mask_noise([5, 6], 16)
    assert torch.equal(noise[1:], mask_noise([6], 16))
    assert masked_patches(noise, 0.75).sum(1).tolist() == [12, 12]


def test_the_loss_is_that_of_transformers_and_pieces_add_up() -> None:
    model = vit_mae(PictureForm(8, 1), SIZES, 0).requires_grad_(False)
    batch = PictureBatch(PIXELS, None, range(6))
    objective = MaskedPatches()
    whole = objective.loss(model, batch, CPU)
    expected = model(PIXELS, noise=mask_noise(range(6), 16)).loss
    assert float(whole.total) / objective.weight(batch) == pytest.approx(float(expected))
    pieces = [objective.loss(model, part, CPU).total for part in objective.split(batch, 2)]
    assert float(sum(pieces)) == pytest.approx(float(whole.total), rel=1e-6)


def test_both_objectives_feed_a_model_the_pixels_that_it_was_trained_on() -> None:
    targets = functional.one_hot(torch.tensor([0, 1, 0, 0, 1, 0]), 2).float()
    cases = (
        (MaskedPatches(), vit_mae(PictureForm(8, 1), SIZES, 0)),
        (Classification(), vit(PictureForm(8, 1), SIZES, ["a", "b"], 0)),
    )
    for objective, model in cases:
        with torch.no_grad():
            by_hand = PictureBatch((PIXELS - 0.4) / 0.2, targets, range(6))
            expected = float(objective.loss(model, by_hand, CPU).total)
            model.config.pixel_mean, model.config.pixel_deviation = [0.4], [0.2]
            batch = PictureBatch(PIXELS, targets, range(6))
            assert float(objective.loss(model, batch, CPU).total) == pytest.approx(
                expected, rel=1e-5
            )


def test_classification_is_weighted_cross_entropy() -> None:
    model = vit(PictureForm(8, 1), SIZES, ["a", "b"], 0)
    targets = torch.tensor([0, 1, 0, 0, 1, 0])
    weights = balanced_weights({"a": 4, "b": 2}, ["a", "b"])
    assert weights.tolist() == [0.75, 1.5]
    objective = Classification(weights)
    batch = PictureBatch(PIXELS, functional.one_hot(targets, 2).float(), range(6))
    with torch.no_grad():
        loss = float(objective.loss(model, batch, CPU).total) / objective.weight(batch)
        expected = functional.cross_entropy(model(PIXELS).logits, targets, weights)
    assert loss == pytest.approx(float(expected), rel=1e-6)
    assert np.isclose(sum(objective.weight(p) for p in objective.split(batch, 4)), 6.0)
