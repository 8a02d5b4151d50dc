import numpy as np
import torch

from evergrow.images.augment import augment, blurred, cutmix
from evergrow.images.config import AugmentConfig

PICTURES = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
KEYS = [1, 2, 3, 4]


def test_nothing_asked_changes_nothing() -> None:
    assert torch.equal(augment(PICTURES, KEYS, AugmentConfig()), PICTURES)


def test_a_key_gives_the_same_change_whatever_stands_beside_it() -> None:
    config = AugmentConfig(crop=0.5, flip=True, rotate=20, blur=1, blank=0.3, blank_pictures=1)
    whole = augment(PICTURES, KEYS, config)
    assert torch.equal(whole[2:3], augment(PICTURES[2:3], KEYS[2:3], config))
    assert not torch.equal(whole, augment(PICTURES, [5, 6, 7, 8], config))


def test_a_mirror_is_exact_and_hits_about_half() -> None:
    keys = list(range(400))
    pictures = PICTURES[:1].expand(400, -1, -1, -1)
    changed = augment(pictures, keys, AugmentConfig(flip=True))
    mirrored = (changed - PICTURES[0].flip(-1)).abs().amax((1, 2, 3)) < 1e-5
    same = (changed - PICTURES[0]).abs().amax((1, 2, 3)) < 1e-5
    assert (mirrored | same).all()
    assert 160 < int(mirrored.sum()) < 240


def test_a_crop_keeps_values_of_the_inside() -> None:
    flat = torch.full((8, 1, 16, 16), 0.5)
    assert torch.allclose(augment(flat, list(range(8)), AugmentConfig(crop=0.3)), flat)


def test_a_blur_keeps_the_mean_and_lowers_the_contrast() -> None:
    soft = blurred(PICTURES[0], 1.0)
    assert abs(float(soft.mean() - PICTURES[0].mean())) < 0.02
    assert float(soft.std()) < 0.6 * float(PICTURES[0].std())


def test_blanking_takes_the_share_asked_for() -> None:
    ones = torch.ones(50, 1, 32, 32)
    config = AugmentConfig(blank=0.25, blank_pictures=1)
    assert abs(float(augment(ones, list(range(50)), config).mean()) - 0.75) < 0.01


def test_cutmix_mixes_targets_by_the_exact_area() -> None:
    pictures = torch.arange(6.0)[:, None, None, None].expand(6, 1, 10, 10)
    targets = torch.eye(6)
    for key in range(40):
        mixed, labels = cutmix(pictures, targets, key, 1.0)
        assert torch.allclose(labels.sum(1), torch.ones(6))
        for n in range(6):
            shares = torch.tensor([float((mixed[n] == k).float().mean()) for k in range(6)])
            assert torch.allclose(shares, labels[n], atol=1e-6)


def test_cutmix_hits_the_share_of_batches_asked_for() -> None:
    targets = torch.eye(4)
    hit = [not torch.equal(cutmix(PICTURES, targets, k, 0.3)[0], PICTURES) for k in range(500)]
    assert 0.2 < np.mean(hit) < 0.36
