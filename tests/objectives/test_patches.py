"""The loss of hidden patches is transformers' own; masks leave something to see and to tell."""

import pytest
import torch

from evergrow.errors import InputError
from evergrow.models.vision import PictureForm, TransformerSizes, vit_mae
from evergrow.objectives.config import MaskedPatchesConfig
from evergrow.objectives.patches import patches_loss, refuse_masking
from evergrow.objectives.picture import PictureBatch, mask_noise

CPU = torch.device("cpu")
SIZES = TransformerSizes(hidden=16, layers=1, heads=2, patch=2)
PIXELS = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_loss_is_that_of_transformers_and_pieces_add_up() -> None:
    model = vit_mae(PictureForm(8, 1), SIZES, 0).requires_grad_(False)
    batch = PictureBatch(PIXELS, None, range(6))
    whole = patches_loss(model, batch, CPU)
    expected = model(PIXELS, noise=mask_noise(range(6), 16)).loss
    assert float(whole.total) / batch.weight == pytest.approx(float(expected))
    assert list(whole.parts) == ["squared_error"]
    assert torch.equal(whole.parts["squared_error"], whole.total)
    pieces = [patches_loss(model, part, CPU).total for part in batch.split(2)]
    assert float(sum(pieces)) == pytest.approx(float(whole.total), rel=1e-6)


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
