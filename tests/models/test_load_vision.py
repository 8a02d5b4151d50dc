import json
from pathlib import Path
from typing import Any

import pytest
import torch
from models.test_resnet_keys import ResNet50
from safetensors.torch import save_file
from transformers import (
    PreTrainedModel,
    ResNetForImageClassification,
    ViTForImageClassification,
    ViTImageProcessorPil,
    ViTMAEForPreTraining,
    ViTMAEModel,
)

from evergrow.errors import InputError
from evergrow.models.config import ModelConfig
from evergrow.models.load_vision import vision_from_config
from evergrow.models.pixels import model_input, shown_pixels
from evergrow.models.resnet_keys import transformers_name
from evergrow.models.save import save_vision_release
from evergrow.models.vision import (
    PictureForm,
    TransformerSizes,
    refuse_blind_tables,
    resnet,
    sincos_table,
    vit,
    vit_mae,
)

FORM = PictureForm(8, 1)
SIZES = TransformerSizes(hidden=32, layers=2, heads=2, patch=2)
LABELS = ["well", "sick"]


def load(
    source: Path, labels: list[str] | None, form: PictureForm = FORM, seed: int = 0, **more: Any
) -> PreTrainedModel:
    config = ModelConfig.model_validate({"from": str(source), **more})
    return vision_from_config(config, form, labels, seed)


def test_a_classifiers_head_is_kept_for_its_labels_and_drawn_for_others(tmp_path: Path) -> None:
    for made in (vit(FORM, SIZES, LABELS, 1), resnet(FORM, [8, 16], [1, 1], LABELS, 1)):
        made.save_pretrained(tmp_path / "made")
        same, other = load(tmp_path / "made", LABELS), load(tmp_path / "made", ["a", "b", "c"])
        pixels = torch.rand(2, 1, 8, 8)
        made.eval()
        assert torch.equal(same(pixels).logits, made(pixels).logits)
        assert other(pixels).logits.shape == (2, 3)
        assert other.config.id2label == {0: "a", 1: "b", 2: "c"}
        own, kept = other.state_dict(), made.state_dict()
        body = [n for n in kept if not n.startswith("classifier")]
        assert body and all(torch.equal(own[n], kept[n]) for n in body)
        again = load(tmp_path / "made", ["a", "b", "c"]).state_dict()
        assert all(torch.equal(own[n], again[n]) for n in own)  # drawn from the seed
        third = load(tmp_path / "made", ["a", "b", "c"], seed=1).state_dict()
        assert any(not torch.equal(own[n], third[n]) for n in own if n.startswith("classifier"))


def test_a_classifier_takes_the_encoder_of_a_masked_autoencoder(tmp_path: Path) -> None:
    made = vit_mae(FORM, SIZES, 1)
    made.save_pretrained(tmp_path)
    loaded = load(tmp_path, LABELS)
    assert isinstance(loaded, ViTForImageClassification)
    own, kept = loaded.vit.state_dict(), made.vit.state_dict()
    assert own.keys() >= kept.keys() and all(torch.equal(own[n], kept[n]) for n in kept)
    assert dict(loaded.named_parameters())["vit.embeddings.position_embeddings"].requires_grad


@pytest.mark.parametrize("labels", [None, LABELS])
def test_an_encoder_alone_is_enough_and_its_decoder_sees_places(
    labels: list[str] | None, tmp_path: Path
) -> None:
    whole = vit_mae(FORM, SIZES, 1)
    encoder = ViTMAEModel(whole.config)
    encoder.load_state_dict(whole.vit.state_dict())
    encoder.save_pretrained(tmp_path)
    blind = ViTMAEForPreTraining.from_pretrained(tmp_path)
    assert (blind.decoder.decoder_pos_embed == 0).all()  # what transformers makes of it
    loaded: Any = load(tmp_path, labels)
    kept = loaded.vit.state_dict()
    assert all(torch.equal(kept[n], t) for n, t in whole.vit.state_dict().items())
    if labels is None:
        refuse_blind_tables(loaded)
        width = loaded.config.decoder_hidden_size
        assert torch.equal(loaded.decoder.decoder_pos_embed[0], sincos_table(width, 4))
        assert not loaded.decoder.decoder_pos_embed.requires_grad


def test_tables_of_a_folder_stay_as_they_are(tmp_path: Path) -> None:
    made: Any = vit_mae(FORM, SIZES, 1)
    with torch.no_grad():
        made.vit.embeddings.position_embeddings[0, 3] += 0.5
        made.decoder.decoder_pos_embed[0, 3] += 0.5
    made.save_pretrained(tmp_path)
    loaded = load(tmp_path, None).state_dict()
    assert all(torch.equal(loaded[n], t) for n, t in made.state_dict().items())


def test_an_encoder_that_was_trained_blind_is_refused(tmp_path: Path) -> None:
    blind = ViTMAEForPreTraining(vit_mae(FORM, SIZES, 0).config)
    blind.save_pretrained(tmp_path)
    for labels in (None, LABELS):
        with pytest.raises(
            InputError, match=r"was trained without positions, the rows of vit\.emb"
        ):
            load(tmp_path, labels)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda w: w.pop("vit.embeddings.position_embeddings"), "position_embeddings is missing"),
        (lambda w: w.pop("vit.layernorm.weight"), "vit.layernorm.weight is missing or of another"),
        (lambda w: w.update(strange=torch.zeros(1)), "strange has no place in the model"),
    ],
)
def test_weights_that_do_not_belong_to_the_body_are_refused(
    change: Any, sentence: str, tmp_path: Path
) -> None:
    made = vit(FORM, SIZES, LABELS, 0)
    made.save_pretrained(tmp_path)
    weights = {n: t.clone() for n, t in made.state_dict().items()}
    change(weights)
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=sentence):
        load(tmp_path, LABELS)


def test_another_size_and_another_kind_are_refused(tmp_path: Path) -> None:
    vit(FORM, SIZES, LABELS, 0).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="reads pictures of 8 pixels and 1 channels, the sources"):
        load(tmp_path, LABELS, PictureForm(16, 1))
    with pytest.raises(InputError, match="is a vit, which masked_patches cannot train"):
        load(tmp_path, None)


def torchvision_file(folder: Path, channels: int) -> Path:
    """A random ResNet-50 under the names that torchvision gives its weights."""
    names = list(ResNet50().state_dict())
    made = resnet(
        PictureForm(32, channels), [256, 512, 1024, 2048], [3, 4, 6, 3], ["a", "b", "c"], 0
    )
    own = made.state_dict()
    weights = {name: own[transformers_name(name)].clone() for name in names}
    save_file(weights, folder / "resnet50.safetensors")
    return folder / "resnet50.safetensors"


def test_a_file_of_torchvision_weights_is_taken_with_its_pixels(tmp_path: Path) -> None:
    path = torchvision_file(tmp_path, 1)
    scale = {"pixel_mean": [0.5], "pixel_deviation": [1 / 2048]}  # torchxrayvision's -1024 to 1024
    model = load(path, LABELS, PictureForm(32, 1), **scale)
    assert isinstance(model, ResNetForImageClassification)
    made = resnet(PictureForm(32, 1), [256, 512, 1024, 2048], [3, 4, 6, 3], ["a", "b", "c"], 0)
    own, kept = model.state_dict(), made.state_dict()
    assert all(torch.equal(own[n], kept[n]) for n in kept if not n.startswith("classifier"))
    assert model.classifier[1].out_features == 2
    white = model_input(model, torch.ones(1, 1, 2, 2))
    assert white.unique().tolist() == [1024.0]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"from": "r.safetensors"}, "does not say on which pixels it was trained; set pixel_mean"),
        ({"from": "folder", "pixel_mean": [0.5]}, "are for a .safetensors file; remove them"),
    ],
)
def test_a_scale_of_pixels_is_asked_for_where_nothing_says_it(
    settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        ModelConfig.model_validate(settings)


def test_three_channels_need_three_numbers(tmp_path: Path) -> None:
    path = torchvision_file(tmp_path, 3)
    with pytest.raises(InputError, match=r"mean \[0.5\] and deviation \[0.2\]; give 3 of each"):
        load(path, LABELS, PictureForm(32, 3), pixel_mean=[0.5], pixel_deviation=[0.2])


def test_a_folder_is_fed_as_its_processor_says_and_says_it_on(tmp_path: Path) -> None:
    form = PictureForm(8, 3)
    vit(form, SIZES, LABELS, 0).save_pretrained(tmp_path / "made")
    processor = ViTImageProcessorPil(
        size={"height": 8, "width": 8}, image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.3, 0.5]
    )
    processor.save_pretrained(tmp_path / "made")
    model = load(tmp_path / "made", LABELS, form)
    bytes_CHW = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)
    expected = processor(bytes_CHW.permute(1, 2, 0).numpy(), return_tensors="pt")["pixel_values"]
    own = model_input(model, bytes_CHW[None].float() / 255)
    assert torch.allclose(own, expected, atol=1e-5)
    assert torch.allclose(shown_pixels(model, own), bytes_CHW[None] / 255, atol=1e-6)
    save_vision_release(tmp_path / "again", model, "", {})
    again = load(tmp_path / "again", LABELS, form)
    assert torch.equal(
        model_input(again, bytes_CHW[None] / 255), model_input(model, bytes_CHW[None] / 255)
    )
    released = ViTImageProcessorPil.from_pretrained(tmp_path / "again")
    assert torch.allclose(
        released(bytes_CHW.permute(1, 2, 0).numpy(), return_tensors="pt")["pixel_values"],
        expected,
        atol=1e-5,
    )


def test_pixels_of_another_range_are_refused(tmp_path: Path) -> None:
    vit(FORM, SIZES, LABELS, 0).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"rescale_factor": 1 / 127.5}))
    with pytest.raises(InputError, match=r"pixels times 0.00784314; only pictures from 0 to 1"):
        load(tmp_path, LABELS)


def test_a_resnet_folder_without_a_size_takes_that_of_the_pictures(tmp_path: Path) -> None:
    made = resnet(FORM, [8, 16], [1, 1], LABELS, 0)
    del made.config.image_size
    made.save_pretrained(tmp_path)
    assert load(tmp_path, LABELS, PictureForm(16, 1)).config.image_size == 16
