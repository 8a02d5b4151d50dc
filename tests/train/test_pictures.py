import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from evergrow.errors import InputError
from evergrow.evals.pictures import masked_patches
from evergrow.models.vision import PictureForm, TransformerSizes, vit, vit_mae
from evergrow.train.config import ClassificationConfig, MaskedPatchesConfig
from evergrow.train.pictures import (
    Classification,
    MaskedPatches,
    PictureBatch,
    balanced_weights,
    mask_noise,
    refuse_masking,
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
        each = functional.cross_entropy(model(PIXELS).logits, targets, weights, reduction="none")
    assert loss == pytest.approx(float(each.mean()), rel=1e-6)
    assert np.isclose(sum(objective.weight(p) for p in objective.split(batch, 4)), 6.0)


def test_balanced_weights_are_scikit_learns_and_give_each_class_its_share() -> None:
    """At 1 to 10 in batches of 8, with a model that says nothing, half of the loss each."""
    labels = np.array(["rare", *["often"] * 10] * 80)
    np.random.default_rng(0).shuffle(labels)
    weights = balanced_weights({"often": 800, "rare": 80}, ["often", "rare"])
    expected = compute_class_weight("balanced", classes=np.array(["often", "rare"]), y=labels)
    assert weights.tolist() == pytest.approx(expected.tolist())
    objective = Classification(weights)
    share = torch.zeros(2)
    for start in range(0, len(labels), 8):
        targets = torch.tensor([[x == "often", x == "rare"] for x in labels[start : start + 8]])
        batch = PictureBatch(torch.zeros(8, 1, 8, 8), targets.float(), range(8))
        share += (targets * weights).sum(0) / objective.weight(batch)
    assert share.tolist() == pytest.approx([55.0, 55.0])
    with pytest.raises(InputError, match="needs a training picture of every label, 'none' has"):
        balanced_weights({"often": 8, "none": 0}, ["often", "none"])


def test_classes_are_balanced_once() -> None:
    with pytest.raises(ValueError, match="weights and order are both balanced"):
        ClassificationConfig(weights="balanced", order="balanced")


@pytest.mark.parametrize(
    ("settings", "patch", "sentence"),
    [
        ({"fraction": 0.95}, 2, "0.95 of 16 patches leaves 0 in sight"),
        ({"fraction": 0.01}, 8, "0.01 of 1 patches leaves 0 in sight"),
        ({}, 1, "a patch of 1 pixel has no deviation"),
    ],
)
def test_masks_that_leave_nothing_to_see_or_to_tell_are_refused(
    settings: dict, patch: int, sentence: str
) -> None:
    form = PictureForm(8, 1)
    with pytest.raises(InputError, match=sentence):
        refuse_masking(MaskedPatchesConfig(**settings), form, patch)
    refuse_masking(MaskedPatchesConfig(fraction=0.9), form, 2)
    refuse_masking(MaskedPatchesConfig(normalised=False), form, 1)
    refuse_masking(MaskedPatchesConfig(), PictureForm(8, 3), 1)
