from dataclasses import replace

import numpy as np
import pytest

from evergrow.errors import InputError
from evergrow.images.audit import (
    NEAR_BITS,
    audit,
    difference_hash,
    entry,
    near_pairs,
    refuse,
)
from evergrow.images.held_out import choose_held_out
from evergrow.images.picture import Picture

from .make import noise


def picture(number: int, **known: str) -> Picture:
    return Picture(noise(number)[None], "films", f"{number}.png", f"{number}.png", **known)


def test_exact_repeats_are_counted_by_where_they_stand() -> None:
    one, twin = picture(1, label="a"), replace(picture(1, label="b"), key="twin.png")
    entries = [entry(one, "train"), entry(twin, "held_out"), entry(picture(2), "train")]
    found = audit(entries)
    assert (found["exact"]["num_pairs"], found["exact"]["across"]) == (1, 1)
    assert found["exact"]["label_conflicts"] == [["1.png", "twin.png"]]
    with pytest.raises(InputError, match=r"1 pictures occur twice.*1.png and twin.png"):
        refuse(entries, "films")


def test_patients_on_both_sides_are_refused() -> None:
    pair = [replace(picture(n, patient="p"), plain=f"in/{n}.dcm") for n in (1, 2)]
    entries = [entry(pair[0], "train"), entry(pair[1], "held_out")]
    found = audit(entries)
    assert (found["patients_across"], found["split_by"]) == (["p"], "patient")
    with pytest.raises(InputError, match=r"1 patients are .* that of in/1.dcm and in/2.dcm; corr"):
        refuse(entries, "films")
    assert "in/1.dcm" not in str(found)


def test_near_repeats_are_listed_with_their_distance() -> None:
    one = picture(1)
    pixels = one.pixels.copy()
    pixels[0, 0, 0] ^= 1
    close = replace(one, key="close.png", pixels=pixels)
    found = audit([entry(p, "train") for p in (one, close, picture(2))])
    assert found["near"]["num_pairs"] == 1
    assert found["near"]["listed"][0]["distance"] <= 4
    assert found["exact"]["num_pairs"] == 0


def test_of_many_near_pairs_all_are_counted_and_the_nearest_kept() -> None:
    base = noise(1) // 2
    alike = [replace(picture(1), key=f"{n:02d}", pixels=(base + n)[None]) for n in range(30)]
    entries = [entry(p, "train" if n % 2 else "held_out") for n, p in enumerate(alike)]
    pairs = [
        (bin(a.looks ^ b.looks).count("1"), a, b)
        for i, a in enumerate(entries)
        for b in entries[i + 1 :]
    ]
    close = [pair for pair in pairs if pair[0] <= NEAR_BITS]
    found = near_pairs(entries)
    assert (found.num_pairs, found.across) == (
        len(close),
        sum(a.part != b.part for _, a, b in close),
    )
    assert len(close) > 200 and len(found.nearest) == 200
    assert [d for *_, d in found.nearest] == sorted(d for d, *_ in close)[:200]


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
