from pathlib import Path

import pytest
import torch
from models.test_load_vision import FORM, LABELS, SIZES, load
from tiny_models import assert_rows_differ

from evergrow.errors import InputError
from evergrow.models.positions import resized_table
from evergrow.models.vision import (
    PictureForm,
    resnet,
    sincos_table,
    vit,
    vit_mae,
)

LARGER = PictureForm(16, 1)


def test_positions_are_interpolated_as_transformers_does_it(tmp_path: Path) -> None:
    made = vit(FORM, SIZES, LABELS, 1).eval()
    made.save_pretrained(tmp_path)
    said: list[str] = []
    for size in (4, 6, 16):
        loaded = load(tmp_path, LABELS, PictureForm(size, 1), said=said)
        pixels = torch.rand(2, 1, size, size)
        expected = made(pixels, interpolate_pos_encoding=True).logits
        assert torch.allclose(loaded(pixels).logits, expected, atol=1e-5)
        assert loaded.config.image_size == size
        own, kept = loaded.state_dict(), made.state_dict()
        assert [n for n in own if own[n].shape != kept[n].shape] == [
            "vit.embeddings.position_embeddings"
        ]
    assert "positions for 8 pixels interpolated to 4" in said[1]


def test_a_masked_autoencoder_goes_on_at_another_size(tmp_path: Path) -> None:
    vit_mae(FORM, SIZES, 1).save_pretrained(tmp_path)
    loaded = load(tmp_path, None, LARGER)
    assert_rows_differ(loaded)
    tables = {n: p for n, p in loaded.named_parameters() if n.endswith(("embeddings", "pos_embed"))}
    assert [tuple(t.shape) for t in tables.values()] == [(1, 65, 32), (1, 65, 16)]
    assert not any(table.requires_grad for table in tables.values())
    noise = torch.rand(2, 64)
    assert loaded(torch.rand(2, 1, 16, 16), noise=noise).logits.shape == (2, 64, 4)
    loaded.save_pretrained(tmp_path / "again")
    again = load(tmp_path / "again", None, LARGER).state_dict()
    assert all(torch.equal(again[n], t) for n, t in loaded.state_dict().items())


def test_the_class_token_and_an_equal_grid_stay_as_they_are() -> None:
    table = sincos_table(16, 4)[None]
    table[0, 0] = 7.0
    assert torch.allclose(resized_table(table, 4), table, atol=1e-6)
    assert torch.equal(resized_table(table, 9)[0, 0], table[0, 0])


def test_patches_must_fill_the_picture_and_a_resnet_takes_any(tmp_path: Path) -> None:
    vit(FORM, SIZES, LABELS, 1).save_pretrained(tmp_path / "vit")
    with pytest.raises(InputError, match="has patches of 2 pixels, which do not fill pict"):
        load(tmp_path / "vit", LABELS, PictureForm(9, 1))
    made = resnet(FORM, [8, 16], [1, 1], LABELS, 1)
    made.save_pretrained(tmp_path / "resnet")
    loaded = load(tmp_path / "resnet", LABELS, LARGER)
    assert loaded.config.image_size == 16
    assert all(torch.equal(made.state_dict()[n], t) for n, t in loaded.state_dict().items())
