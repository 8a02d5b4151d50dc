import copy
from functools import partial

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel, ViTModel

from evergrow.errors import InputError
from evergrow.evals.pictures import (
    chances_of,
    features,
    grad_cam,
    linear_probe,
    masked_patches,
    mean_patch_errors,
    nearest_neighbours,
    reconstruct,
    reconstruction_errors,
)
from evergrow.models.vision import PictureForm, TransformerSizes, patches, resnet, vit, vit_mae
from evergrow.objectives.picture import mask_noise

SIZES = TransformerSizes(hidden=16, layers=2, heads=2, patch=2)
PIXELS = torch.rand(10, 1, 8, 8, generator=torch.Generator().manual_seed(0))
NOISE = mask_noise(range(10), 16)


def test_errors_average_to_the_models_own_loss_and_repeat() -> None:
    model = vit_mae(PictureForm(8, 1), SIZES, 0)
    errors = reconstruction_errors(model, PIXELS, NOISE)
    with torch.no_grad():
        assert errors.mean() == pytest.approx(float(model(PIXELS, noise=NOISE).loss), rel=1e-5)
    assert np.array_equal(errors, reconstruction_errors(model, PIXELS, NOISE))
    assert np.allclose(
        errors[3:5], reconstruction_errors(model, PIXELS[3:5], NOISE[3:5]), rtol=1e-5
    )


def test_the_floor_is_the_mean_of_training_in_the_models_own_target() -> None:
    flat = PIXELS[:1].expand(5, -1, -1, -1)
    assert mean_patch_errors([flat], [(flat, NOISE[:5])], 2, 0.75, True).max() < 1e-10
    whole = mean_patch_errors([PIXELS], [(PIXELS, NOISE)], 2, 0.75, True)
    assert whole.mean() > 0.3
    cut = [(PIXELS[:4], NOISE[:4]), (PIXELS[4:], NOISE[4:])]
    parts = mean_patch_errors([p for p, _ in cut], cut, 2, 0.75, True)
    assert np.allclose(parts, whole, rtol=1e-5)


def test_a_reconstruction_keeps_what_was_seen() -> None:
    model = vit_mae(PictureForm(8, 1), SIZES, 0)
    seen, made = reconstruct(model, PIXELS, NOISE)
    masked = masked_patches(NOISE, 0.75)
    assert (patches(seen, 2)[masked] == 0).all()
    assert torch.allclose(patches(made, 2)[~masked], patches(PIXELS, 2)[~masked], atol=1e-6)


def test_features_of_a_masked_autoencoder_are_those_of_a_plain_transformer() -> None:
    model = vit_mae(PictureForm(8, 1), SIZES, 0)
    plain = ViTModel(vit(PictureForm(8, 1), SIZES, ["a", "b"], 0).config, add_pooling_layer=False)
    plain.load_state_dict(model.vit.state_dict())
    with torch.no_grad():
        expected = plain.eval()(PIXELS).last_hidden_state[:, 1:].mean(1)
    assert np.abs(features(model, PIXELS) - expected.double().numpy()).max() < 1e-5
    assert model.config.mask_ratio == 0.75


def test_probes_find_what_is_separable() -> None:
    draw = np.random.default_rng(0)
    train, test = draw.normal(size=(80, 3)), draw.normal(size=(40, 3))
    labels = ["b" if x[0] > 0 else "a" for x in train]
    truth = np.array(["b" if x[0] > 0 else "a" for x in test])
    predicted, probabilities, classes = linear_probe(train, labels, test)
    assert classes == ["a", "b"] and np.allclose(probabilities.sum(1), 1)
    assert (predicted == truth).mean() > 0.9
    assert (nearest_neighbours(train, labels, test) == truth).mean() > 0.8


def test_cached_features_probe_like_fresh_ones() -> None:
    model = resnet(PictureForm(8, 1), [8, 16], [1, 1], ["a", "b"], 0)
    labels = ["a", "b"] * 5
    cached = features(model, PIXELS)
    one = linear_probe(cached, labels, cached)[1]
    fresh = np.concatenate([features(model, PIXELS[i : i + 1]) for i in range(10)])
    two = linear_probe(fresh, labels, fresh)[1]
    assert np.abs(one - two).max() < 1e-5


def test_chances_sum_to_one_unless_outputs_are_findings() -> None:
    model = resnet(PictureForm(8, 1), [8, 16], [1, 1], ["a", "b"], 0)
    assert np.allclose(chances_of(model, PIXELS).sum(1), 1)
    model.config.problem_type = "multi_label_classification"
    with torch.no_grad():
        logits = model(PIXELS).logits
    assert np.allclose(chances_of(model, PIXELS), logits.sigmoid().numpy(), atol=1e-6)


def test_the_map_of_a_resnet_is_its_last_stage_weighed_by_the_head() -> None:
    """Behind global pooling the averaged gradient of a class is its row of the head."""
    model = resnet(PictureForm(32, 1), [8, 16], [1, 1], ["a", "b"], 0)
    pixels = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = model.resnet(pixels).last_hidden_state
        row = model.classifier[1].weight[[1, 0, 1]][:, :, None, None]
        heat = torch.relu((row * maps).sum(1, keepdim=True))
        large = torch.nn.functional.interpolate(heat, size=(32, 32), mode="bilinear")[:, 0]
        expected = large / large.amax((1, 2), keepdim=True).clamp(min=1e-12)
    assert torch.allclose(grad_cam(model, pixels, [1, 0, 1]), expected, atol=1e-5)


def test_the_map_of_a_transformer_finds_the_spot_that_decides() -> None:
    sizes = TransformerSizes(hidden=32, layers=2, heads=2, patch=4)
    model = vit(PictureForm(16, 1), sizes, ["none", "spot"], 0)
    draw = torch.Generator().manual_seed(0)
    pixels = 0.3 * torch.rand(128, 1, 16, 16, generator=draw)
    places = torch.randint(4, (64, 2), generator=draw) * 4
    for n, (y, x) in enumerate(places.tolist()):
        pixels[n, 0, y : y + 4, x : x + 4] += 0.7
    targets = torch.cat([torch.ones(64), torch.zeros(64)]).long()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    model.train()
    for _ in range(150):
        torch.nn.functional.cross_entropy(model(pixels).logits, targets).backward()
        optimizer.step()
        optimizer.zero_grad()
    heat = grad_cam(model, pixels[:32], [1] * 32)
    assert heat.shape == (32, 16, 16)
    top = heat.flatten(1).argmax(1).tolist()
    spots = places.tolist()[:32]
    found = [
        y <= i // 16 < y + 4 and x <= i % 16 < x + 4 for i, (y, x) in zip(top, spots, strict=True)
    ]
    assert sum(found) >= 8  # of 32; by chance two, and 8 once in 2,000


def scaled(model: PreTrainedModel) -> PreTrainedModel:
    """A copy that was trained on pixels less .4, over .2."""
    other = copy.deepcopy(model)
    other.config.pixel_mean, other.config.pixel_deviation = [0.4], [0.2]
    return other


def test_every_measure_feeds_a_model_the_pixels_that_it_was_trained_on() -> None:
    by_hand = (PIXELS - 0.4) / 0.2
    classifier = resnet(PictureForm(8, 1), [8, 16], [1, 1], ["a", "b"], 0)
    autoencoder = vit_mae(PictureForm(8, 1), SIZES, 0)
    same = partial(np.allclose, rtol=1e-4, atol=1e-5)
    for measure in (features, chances_of):
        assert same(measure(scaled(classifier), PIXELS), measure(classifier, by_hand))
    assert same(features(scaled(autoencoder), PIXELS), features(autoencoder, by_hand))
    errors = [reconstruction_errors(m, p, NOISE) for m, p in
              ((scaled(autoencoder), PIXELS), (autoencoder, by_hand))]  # fmt: skip
    assert same(*errors)
    maps = [grad_cam(m, p, [0] * 10) for m, p in
            ((scaled(classifier), PIXELS), (classifier, by_hand))]  # fmt: skip
    assert torch.allclose(*maps, atol=1e-4)
    seen, made = reconstruct(scaled(autoencoder), PIXELS, NOISE)
    masked = masked_patches(NOISE, 0.75)
    for shown in (seen, made):
        assert torch.allclose(patches(shown, 2)[~masked], patches(PIXELS, 2)[~masked], atol=1e-5)
    assert float(made.min()) >= 0 and float(made.max()) <= 1


def test_a_masked_autoencoder_has_no_classes_to_show() -> None:
    with pytest.raises(InputError, match="no class activation map of a vit_mae"):
        grad_cam(vit_mae(PictureForm(8, 1), SIZES, 0), PIXELS, [0] * 10)
