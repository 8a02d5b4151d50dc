import numpy as np
import pytest
import torch
from tiny_models import assert_rows_differ
from transformers import ViTMAEForPreTraining, ViTMAEModel

from evergrow.errors import InputError
from evergrow.models.vision import (
    PictureForm,
    TransformerSizes,
    patches,
    resnet,
    set_position_tables,
    sincos_table,
    unpatched,
    vit,
    vit_mae,
)

FORM = PictureForm(8, 1)
SIZES = TransformerSizes(hidden=32, layers=2, heads=2, patch=2)


def test_every_place_of_a_masked_autoencoder_has_its_own_row() -> None:
    model = vit_mae(FORM, SIZES, seed=0)
    assert_rows_differ(model)
    tables = [p for n, p in model.named_parameters() if not p.requires_grad]
    assert [t.shape[1] for t in tables] == [17, 17]


def test_transformers_alone_leaves_the_tables_blind_and_the_repair_mends_them() -> None:
    model = ViTMAEForPreTraining(vit_mae(FORM, SIZES, seed=0).config)
    with pytest.raises(AssertionError, match="1 of 17 rows differ"):
        assert_rows_differ(model)
    set_position_tables(model)
    assert_rows_differ(model)


def test_an_encoder_alone_gets_its_decoder_table_back(tmp_path) -> None:
    whole = vit_mae(FORM, SIZES, seed=0)
    encoder = ViTMAEModel(whole.config)
    encoder.load_state_dict(whole.vit.state_dict())
    encoder.save_pretrained(tmp_path)
    loaded = ViTMAEForPreTraining.from_pretrained(tmp_path)
    set_position_tables(loaded)
    assert_rows_differ(loaded)
    kept = loaded.vit.embeddings.patch_embeddings.projection.weight
    assert torch.equal(kept, whole.vit.embeddings.patch_embeddings.projection.weight)


def test_the_table_codes_the_column_in_its_first_half() -> None:
    table = sincos_table(8, 3)
    assert (table[0] == 0).all()
    row, column = table[1 + 3 * 1 + 2, 4:], table[1 + 3 * 1 + 2, :4]  # row 1, column 2
    frequencies = np.array([1.0, 0.01])
    assert np.allclose(column, [*np.sin(2 * frequencies), *np.cos(2 * frequencies)], atol=1e-6)
    assert np.allclose(row, [*np.sin(frequencies), *np.cos(frequencies)], atol=1e-6)


def test_the_seed_decides_the_weights_and_nothing_else() -> None:
    torch.manual_seed(1)
    one = vit_mae(FORM, SIZES, seed=3).state_dict()
    torch.manual_seed(2)
    two = vit_mae(FORM, SIZES, seed=3).state_dict()
    other = vit_mae(FORM, SIZES, seed=4).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["decoder.decoder_pred.weight"], other["decoder.decoder_pred.weight"])


def test_classifiers_know_their_labels() -> None:
    pixels = torch.rand(2, 1, 8, 8)
    for model in (
        vit(FORM, SIZES, ["well", "sick"], seed=0),
        resnet(FORM, [8, 16], [1, 1], ["well", "sick"], seed=0),
    ):
        assert model(pixels).logits.shape == (2, 2)
        assert model.config.id2label == {0: "well", 1: "sick"}


def test_a_patch_must_divide_the_picture() -> None:
    with pytest.raises(InputError, match="3 does not divide pictures of 8 pixels"):
        vit_mae(FORM, TransformerSizes(32, 1, 1, 3), seed=0)


def test_patches_are_cut_as_transformers_cuts_them_and_put_back() -> None:
    model = vit_mae(PictureForm(8, 3), SIZES, seed=0)
    pixels = torch.rand(2, 3, 8, 8)
    assert torch.equal(patches(pixels, 2), model.patchify(pixels))
    assert torch.equal(unpatched(patches(pixels, 2), 2, 3), pixels)
