import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models.test_resnet_keys import ResNet50
from PIL import Image
from safetensors.torch import save_file
from tiny_models import assert_rows_differ
from transformers import (
    AutoImageProcessor,
    PreTrainedModel,
    ResNetForImageClassification,
    ViTForImageClassification,
    ViTImageProcessorPil,
    ViTMAEForPreTraining,
    ViTMAEModel,
)

from evergrow.errors import InputError
from evergrow.evals.pictures import reconstruct, reconstruction_errors
from evergrow.images.shape import to_channels, to_square
from evergrow.models.config import ModelConfig
from evergrow.models.load_vision import Labels, vision_from_config
from evergrow.models.pixels import model_input, shown_pixels
from evergrow.models.resnet_keys import transformers_name
from evergrow.models.save import save_vision_release
from evergrow.models.vision import (
    PictureForm,
    TransformerSizes,
    resnet,
    sincos_table,
    vit,
    vit_mae,
)

FORM = PictureForm(8, 1)
SIZES = TransformerSizes(hidden=32, layers=2, heads=2, patch=2)
LABELS = ["well", "sick"]


def load(
    source: Path,
    labels: list[str] | None,
    form: PictureForm = FORM,
    seed: int = 0,
    named: bool = False,
    said: list[str] | None = None,
    **more: Any,
) -> PreTrainedModel:
    config = ModelConfig.model_validate({"from": str(source), **more})
    told = None if labels is None else Labels(labels, named)
    return vision_from_config(config, form, told, seed, [].append if said is None else said.append)


def test_a_head_for_the_same_labels_in_another_order_is_put_in_theirs(tmp_path: Path) -> None:
    labels = ["well", "sick", "worse"]
    pixels, said = torch.rand(4, 1, 8, 8), []
    for made in (vit(FORM, SIZES, labels, 1), resnet(FORM, [8, 16], [1, 1], labels, 1)):
        with torch.no_grad():
            dict(made.named_parameters())[
                "classifier.bias" if made.config.model_type == "vit" else "classifier.1.bias"
            ].copy_(torch.tensor([1.0, 2.0, 3.0]))
        made.save_pretrained(tmp_path / "made")
        turned = load(tmp_path / "made", ["sick", "worse", "well"], said=said)
        expected = made.eval()(pixels).logits[:, [1, 2, 0]]
        assert torch.allclose(turned(pixels).logits, expected, atol=1e-6)
        assert turned.config.id2label == {0: "sick", 1: "worse", 2: "well"}
    assert all("outputs put in the order sick, worse, well" in s for s in said) and len(said) == 2


def test_a_head_for_as_many_other_labels_is_drawn_anew(tmp_path: Path) -> None:
    said: list[str] = []
    for made in (vit(FORM, SIZES, LABELS, 1), resnet(FORM, [8, 16], [1, 1], LABELS, 1)):
        made.save_pretrained(tmp_path)
        name = next(n for n in made.state_dict() if n.startswith("classifier") and "weight" in n)
        other = load(tmp_path, ["cat", "dog"], said=said).state_dict()
        again = load(tmp_path, ["cat", "dog"], said=said).state_dict()
        assert not torch.equal(other[name], made.state_dict()[name])
        assert torch.equal(other[name], again[name])
    assert "drawn anew for cat, dog, the loaded one tells well, sick" in said[0]


def test_a_head_without_names_is_kept_only_for_labels_that_the_recipe_lists(tmp_path: Path) -> None:
    made = vit(FORM, SIZES, ["LABEL_0", "LABEL_1"], 1)
    made.save_pretrained(tmp_path)
    said: list[str] = []
    for named in (True, False):
        weight = load(tmp_path, LABELS, named=named, said=said).state_dict()["classifier.weight"]
        assert torch.equal(weight, made.state_dict()["classifier.weight"]) == named
    assert "the head is kept for well, sick" in said[0]
    assert "the loaded one tells no names" in said[1]


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
        assert_rows_differ(loaded)
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


@pytest.mark.parametrize(("own", "given"), [(1, 3), (3, 1)])
def test_channels_are_the_models_own(tmp_path: Path, own: int, given: int) -> None:
    made = vit(PictureForm(8, own), SIZES, LABELS, 0)
    made.save_pretrained(tmp_path)
    said: list[str] = []
    loaded = load(tmp_path, LABELS, PictureForm(8, given), said=said)
    pixels = torch.rand(2, given, 8, 8)
    weighed = torch.einsum("nchw,c->nhw", pixels, torch.tensor([0.299, 0.587, 0.114][:given]))
    expected = weighed[:, None] if own == 1 else torch.cat([pixels] * 3, dim=1)
    assert torch.allclose(model_input(loaded, pixels), expected, atol=1e-6)
    assert torch.allclose(loaded(model_input(loaded, pixels)).logits, made(expected).logits)
    how = "colours become grey" if own == 1 else "grey is repeated"
    assert f"reads {own} channels, so {how} for it" in said[1]


def test_a_masked_autoencoder_of_colours_completes_grey_pictures(tmp_path: Path) -> None:
    vit_mae(PictureForm(8, 3), SIZES, 0).save_pretrained(tmp_path)
    loaded, pixels = load(tmp_path, None), torch.rand(2, 1, 8, 8)
    seen, made = reconstruct(loaded, pixels, torch.rand(2, 16))
    assert seen.shape == made.shape == (2, 3, 8, 8)
    assert reconstruction_errors(loaded, pixels, torch.rand(2, 16)).shape == (2,)


def test_channels_that_no_picture_has_and_another_kind_are_refused(tmp_path: Path) -> None:
    vit(PictureForm(8, 4), SIZES, LABELS, 0).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="reads pictures of 4 channels; only models of 1 and of 3"):
        load(tmp_path, LABELS)
    vit(FORM, SIZES, LABELS, 0).save_pretrained(tmp_path)
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


def test_a_file_keeps_its_head_only_for_labels_that_the_recipe_lists(tmp_path: Path) -> None:
    """As torchxrayvision's: thresholds beside the weights, no count of batches, 18 labels."""
    labels = [f"finding {n}" for n in range(18)]
    made = resnet(PictureForm(32, 1), [256, 512, 1024, 2048], [3, 4, 6, 3], labels, 0)
    names = [n for n in ResNet50().state_dict() if not n.endswith("num_batches_tracked")]
    weights = {f"model.{n}": made.state_dict()[transformers_name(n)].clone() for n in names}
    save_file({**weights, "op_threshs": torch.zeros(18)}, tmp_path / "xrv.safetensors")
    scale = {"pixel_mean": [0.5], "pixel_deviation": [1 / 2048]}
    for named in (True, False):
        form = PictureForm(32, 1)
        model = load(tmp_path / "xrv.safetensors", labels, form, seed=1, named=named, **scale)
        own, kept = model.state_dict(), made.state_dict()
        head = "classifier.1.weight"
        assert torch.equal(own[head], kept[head]) == named
        assert all(torch.equal(own[n], kept[n]) for n in kept if not n.startswith("classifier"))
        assert int(own["resnet.embedder.embedder.normalization.num_batches_tracked"]) == 0


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
    save_vision_release(tmp_path / "again", model, "", {}, 255)
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


@pytest.mark.parametrize(
    ("kind", "height", "width"),
    [(np.uint8, 8, 8), (np.uint8, 8, 13), (np.uint8, 17, 8), (np.uint16, 8, 13)],
)
def test_the_processor_of_a_release_makes_the_pixels_of_training(
    kind: Any, height: int, width: int, tmp_path: Path
) -> None:
    """Of pictures whose shorter side is the model's; larger ones it resamples before it crops."""
    white = int(np.iinfo(kind).max)
    model = vit(FORM, SIZES, LABELS, 0)
    model.config.pixel_mean, model.config.pixel_deviation = [0.4], [0.2]
    save_vision_release(tmp_path / "release", model, "", {}, white)
    pixels = np.random.default_rng(0).integers(0, white + 1, (height, width), dtype=kind)
    square = to_channels(to_square(pixels, 8), 1)
    own = model_input(model, torch.from_numpy(square.astype(np.float32) / white)[None])
    processor: Any = AutoImageProcessor.from_pretrained(tmp_path / "release")
    made = processor(Image.fromarray(pixels), return_tensors="pt")["pixel_values"]
    assert torch.allclose(made, own, atol=1e-5)
    again = load(tmp_path / "release", LABELS)
    assert torch.equal(model_input(again, torch.ones(1, 1, 1, 1)), torch.full((1, 1, 1, 1), 3.0))


def test_a_release_of_colour_takes_grey_pictures_and_shrinks_about_the_same(tmp_path: Path) -> None:
    model = vit(PictureForm(8, 3), SIZES, LABELS, 0)
    save_vision_release(tmp_path, model, "", {}, 255)
    rows = np.add.outer(np.arange(24), 2 * np.arange(37)).astype(np.uint8)  # smooth
    own = to_channels(to_square(rows, 8), 3).astype(np.float32) / 255
    processor: Any = AutoImageProcessor.from_pretrained(tmp_path)
    made = processor(Image.fromarray(rows), return_tensors="pt")["pixel_values"][0].numpy()
    assert made.shape == (3, 8, 8)
    assert np.abs(made - own)[..., 1:-1].max() < 0.03  # the border sees beyond the crop


def test_a_resnet_folder_without_a_size_takes_that_of_the_pictures(tmp_path: Path) -> None:
    made = resnet(FORM, [8, 16], [1, 1], LABELS, 0)
    del made.config.image_size
    made.save_pretrained(tmp_path)
    assert load(tmp_path, LABELS, PictureForm(16, 1)).config.image_size == 16
