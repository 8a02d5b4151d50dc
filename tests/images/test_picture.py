import numpy as np

from evergrow.images.picture import Picture

PIXELS = np.zeros((2, 2), np.uint8)


def test_the_content_hash_knows_shape_and_type() -> None:
    flat = Picture(np.zeros((1, 4), np.uint8), "s", "a", "a")
    assert flat.content_hash != Picture(np.zeros((2, 2), np.uint8), "s", "a", "a").content_hash
    assert flat.content_hash != Picture(np.zeros((1, 2), np.uint16), "s", "a", "a").content_hash
    assert flat.content_hash == Picture(np.zeros((1, 4), np.uint8), "t", "b", "b").content_hash


def test_the_owner_is_the_patient_or_the_picture_itself() -> None:
    picture = Picture(PIXELS, "s", "a", "a")
    assert picture.owner == picture.content_hash
    assert Picture(PIXELS, "s", "a", "a", patient="p").owner == "p"
