from dataclasses import replace

import numpy as np
import pytest

from evergrow.errors import InputError
from evergrow.images.audit import audit, difference_hash, entry, refuse
from evergrow.images.held_out import choose_held_out
from evergrow.images.picture import Picture

from .make import noise


def picture(number: int, **known: str) -> Picture:
    return Picture(noise(number)[None], "films", f"{number}.png", f"{number}.png", **known)


def test_exact_repeats_are_counted_by_where_they_stand() -> None:
    one, twin = picture(1, label="a"), replace(picture(1, label="b"), key="twin.png")
    found = audit([entry(one, "train"), entry(twin, "held_out"), entry(picture(2), "train")])
    assert (found["exact"]["num_pairs"], found["exact"]["across"]) == (1, 1)
    assert found["exact"]["label_conflicts"] == [["1.png", "twin.png"]]
    with pytest.raises(InputError, match=r"1 pictures occur twice.*1.png and twin.png"):
        refuse(found, "films")


def test_patients_on_both_sides_are_refused() -> None:
    entries = [entry(picture(1, patient="p"), "train"), entry(picture(2, patient="p"), "held_out")]
    found = audit(entries)
    assert (found["patients_across"], found["split_by"]) == (["p"], "patient")
    with pytest.raises(InputError, match="1 patients are in training and held out"):
        refuse(found, "films")


def test_near_repeats_are_listed_with_their_distance() -> None:
    one = picture(1)
    pixels = one.pixels.copy()
    pixels[0, 0, 0] ^= 1
    close = replace(one, key="close.png", pixels=pixels)
    found = audit([entry(p, "train") for p in (one, close, picture(2))])
    assert found["near"]["num_pairs"] == 1
    assert found["near"]["listed"][0]["distance"] <= 4
    assert found["exact"]["num_pairs"] == 0


def test_the_difference_hash_compares_neighbours() -> None:
    rising = np.tile(np.arange(9, dtype=np.uint8), (8, 1))[None]
    assert difference_hash(rising) == 0
    assert difference_hash(rising[:, :, ::-1]) == 2**64 - 1


def test_patients_stay_whole_when_pictures_are_held_out() -> None:
    pictures = [picture(i, patient=f"p{i // 4}") for i in range(200)]
    out = choose_held_out(pictures, 0.2, "films")
    sides = {(p.patient, o) for p, o in zip(pictures, out, strict=True)}
    assert len(sides) == 50
    assert 40 <= sum(out) < 44
    assert out == choose_held_out(pictures[::-1], 0.2, "films")[::-1]


def test_splits_of_the_data_are_kept_and_must_be_whole() -> None:
    pictures = [picture(i, split="train" if i < 3 else "val") for i in range(4)]
    assert choose_held_out(pictures, 0.5, "films") == [False, False, False, True]
    with pytest.raises(InputError, match=r"9.png has no split, others have"):
        choose_held_out([*pictures, picture(9)], 0.5, "films")


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(InputError, match="40 pictures are too few to hold out 32"):
        choose_held_out([picture(i) for i in range(40)], 0.1, "films")
