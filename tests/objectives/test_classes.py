"""Classification is weighted cross-entropy, and balanced weights give each class its share."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from evergrow.errors import InputError
from evergrow.models.vision import PictureForm, TransformerSizes, vit
from evergrow.objectives.classes import ClassLoss, balanced_weights
from evergrow.objectives.picture import PictureBatch

CPU = torch.device("cpu")
SIZES = TransformerSizes(hidden=16, layers=1, heads=2, patch=2)
PIXELS = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_classification_is_weighted_cross_entropy() -> None:
    model = vit(PictureForm(8, 1), SIZES, ["a", "b"], 0)
    targets = torch.tensor([0, 1, 0, 0, 1, 0])
    weights = balanced_weights({"a": 4, "b": 2}, ["a", "b"])
    assert weights.tolist() == [0.75, 1.5]
    batch = PictureBatch(PIXELS, functional.one_hot(targets, 2).float(), range(6))
    with torch.no_grad():
        found = ClassLoss(weights)(model, batch, CPU)
        each = functional.cross_entropy(model(PIXELS).logits, targets, weights, reduction="none")
    assert float(found.total) / batch.weight == pytest.approx(float(each.mean()), rel=1e-6)
    assert list(found.parts) == ["log_loss"]
    assert torch.equal(found.parts["log_loss"], found.total)
    assert np.isclose(sum(part.weight for part in batch.split(4)), 6.0)


def test_balanced_weights_are_scikit_learns_and_give_each_class_its_share() -> None:
    """At 1 to 10 in batches of 8, with a model that says nothing, half of the loss each."""
    labels = np.array(["rare", *["often"] * 10] * 80)
    np.random.default_rng(0).shuffle(labels)
    weights = balanced_weights({"often": 800, "rare": 80}, ["often", "rare"])
    expected = compute_class_weight("balanced", classes=np.array(["often", "rare"]), y=labels)
    assert weights.tolist() == pytest.approx(expected.tolist())
    share = torch.zeros(2)
    for start in range(0, len(labels), 8):
        targets = torch.tensor([[x == "often", x == "rare"] for x in labels[start : start + 8]])
        batch = PictureBatch(torch.zeros(8, 1, 8, 8), targets.float(), range(8))
        share += (targets * weights).sum(0) / batch.weight
    assert share.tolist() == pytest.approx([55.0, 55.0])
    with pytest.raises(InputError, match="needs a training picture of every label, 'none' has"):
        balanced_weights({"often": 8, "none": 0}, ["often", "none"])
