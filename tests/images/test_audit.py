import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evergrow.errors import InputError
from evergrow.images.audit import (
    audit,
    difference_hash,
    entry,
    fault,
)
from evergrow.images.held_out import choose_parts, on_other_side
from evergrow.images.picture import Picture
from evergrow.images.pseudonyms import Pseudonyms
from evergrow.stream.pictures import COLUMNS, PictureSource, write_pictures

from .make import noise


def picture(number: int, **known: str) -> Picture:
    return Picture(noise(number)[None], "films", f"{number}.png", f"{number}.png", **known)


def test_exact_repeats_are_counted_by_where_they_stand() -> None:
    one, twin = picture(1, label="a"), replace(picture(1, label="b"), key="twin.png")
    entries = [entry(one, "train"), entry(twin, "held_out"), entry(picture(2), "train")]
    found = audit(entries)
    assert (found.exact.num_pairs, found.exact.across) == (1, 1)
    (conflict,) = found.exact.label_conflicts
    assert (conflict.first, conflict.second) == ("1.png", "twin.png")
    assert conflict.labels == ("a", "b")
    assert re.search(
        r"equal .* first 1.png of label 'a' and twin.png of label 'b'", str(fault(entries, "films"))
    )
    alike = [entries[0], replace(entries[1], label="a"), entries[2]]
    assert re.search(r"1 pictures occur twice.*1.png and twin.png", str(fault(alike, "films")))


def test_a_repeat_of_another_source_names_it() -> None:
    one = entry(picture(1, label="a"), "train")
    other = replace(one, source="more", key="2.png", label=None)
    said = fault([one, other], "more")
    assert said and re.search(
        r"sources.more: 1 pictures occur twice.*1.png of films and 2.png", said
    )
    assert re.search("of another label", str(fault([one, replace(other, label="b")], "more")))


def test_patients_on_both_sides_are_refused() -> None:
    pair = [replace(picture(n, patient="p"), plain=f"in/{n}.dcm") for n in (1, 2)]
    entries = [entry(pair[0], "train"), entry(pair[1], "held_out")]
    found = audit(entries)
    assert (found.patients_across, found.split_by) == (["p"], "patient")
    said = str(fault(entries, "films"))
    assert re.search(r"1 patients are .* in/1.dcm \(train\) and in/2.dcm \(held out\); corr", said)
    assert "in/1.dcm" not in str(found)


def test_near_repeats_are_listed_with_their_distance() -> None:
    one = picture(1)
    pixels = one.pixels.copy()
    pixels[0, 0, 0] ^= 1
    close = replace(one, key="close.png", pixels=pixels)
    found = audit([entry(p, "train") for p in (one, close, picture(2))])
    assert found.near.num_pairs == 1
    distance = found.near.listed[0].distance
    assert distance is not None and distance <= 4
    assert found.exact.num_pairs == 0


def test_the_difference_hash_compares_neighbours() -> None:
    rising = np.tile(np.arange(9, dtype=np.uint8), (8, 1))[None]
    assert difference_hash(rising) == 0
    assert difference_hash(rising[:, :, ::-1]) == 2**64 - 1


def owned(name: str, number: int, patient: str) -> Picture:
    """As a source hands it over: under its own pseudonym."""
    names = Pseudonyms(name.encode())
    return names.hide(replace(picture(number), source=name, patient=patient))


def test_a_patient_in_val_and_test_is_on_two_sides() -> None:
    splits = [*["train"] * 2, *["val", "test"] * 2, "validation"]
    owners = ["a", "b", "p", "p", "c", "d", "p"]
    pictures = [picture(n, patient=p, split=s) for n, (p, s) in enumerate(zip(owners, splits))]  # noqa: B905
    parts = choose_parts(pictures, 0.5, "films")
    assert parts == ["train", "train", "val", "held_out", "val", "held_out", "val"]
    entries = [entry(p, part) for p, part in zip(pictures, parts, strict=True)]
    assert "1 patients are in several parts" in str(fault(entries, "films"))
    assert audit(entries).patients_across == ["p"]
    assert audit(entries).by_source["films"].val == 3
    assert fault([entries[2], entries[6]], "films") is None


def test_a_patient_is_on_one_side_in_every_source() -> None:
    sides: dict[str, set[bool]] = {}
    for name, patients in (("one", range(80)), ("two", range(40, 130))):
        ids = [f"patient {n}" for n in patients for _ in range(4)]
        pictures = [owned(name, number, patient) for number, patient in enumerate(ids)]
        parts = choose_parts(pictures, 0.3, name)
        assert on_other_side(pictures, parts, 0.3) == 0
        out = [part == "held_out" for part in parts]
        assert 0.2 < sum(out) / len(out) < 0.4
        for patient, is_out in zip(ids, out, strict=True):
            sides.setdefault(patient, set()).add(is_out)
        assert len({p.patient for p in pictures}) == len(patients)
    assert len(sides) == 130 and all(len(found) == 1 for found in sides.values())


def test_where_too_few_are_held_out_the_next_patients_follow_and_are_counted() -> None:
    pictures = [owned("films", n, f"p{n // 4}") for n in range(200)]
    parts = choose_parts(pictures, 0.01, "films")
    out = [part == "held_out" for part in parts]
    assert 32 <= sum(out) < 36
    ranks = sorted({p.drawn for p in pictures})
    assert {p.drawn for p, is_out in zip(pictures, out, strict=True) if is_out} == set(ranks[:8])
    below = sum(int.from_bytes(rank, "big") < 0.01 * 2**256 for rank in ranks)
    assert on_other_side(pictures, parts, 0.01) == 8 - below
    assert parts == choose_parts(pictures[::-1], 0.01, "films")[::-1]


def test_the_place_of_a_patient_is_never_written() -> None:
    assert "place" not in COLUMNS and "drawn" not in COLUMNS
    assert owned("one", 1, "p").drawn == owned("two", 2, "p").drawn


@pytest.mark.parametrize(
    ("patients", "sentence"),
    [
        (["a"] * 100, r"(0|100) of 100 pictures would be held out, .* largest has 100"),
        (["a"] * 90 + ["b"] * 10, r"(10|0|90|100) of 100 .*, because a patient .* has 90 \(first"),
    ],
)
def test_a_patient_too_large_to_hold_out_is_named(patients: list[str], sentence: str) -> None:
    pictures = [picture(n, patient=p) for n, p in enumerate(patients)]
    with pytest.raises(InputError, match=sentence):
        choose_parts(pictures, 0.1, "films")


def test_splits_of_the_data_are_kept_and_must_be_whole() -> None:
    pictures = [picture(i, split="train" if i < 3 else "val") for i in range(5)]
    assert choose_parts(pictures, 0.5, "films") == ["train"] * 3 + ["held_out"] * 2
    with pytest.raises(InputError, match=r"9.png has no split, others have"):
        choose_parts([*pictures, picture(9)], 0.5, "films")
    for num in (3, 4):
        with pytest.raises(
            InputError, match=rf"holds out {num - 3} of {num} pictures, fewer than 2"
        ):
            choose_parts(pictures[:num], 0.5, "films")
    with pytest.raises(InputError, match="the split has one picture in test, and 2 are the least"):
        choose_parts([*pictures, picture(9, split="test")], 0.5, "films")


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(InputError, match="40 pictures are too few to hold out 32"):
        choose_parts([picture(i) for i in range(40)], 0.1, "films")


def test_a_source_that_is_only_measured_is_stored(tmp_path: Path) -> None:
    pictures = {"train": [], "held_out": [picture(1), picture(2)]}
    made = write_pictures(tmp_path, pictures, {"source": "films"})
    assert made["shape"] == [1, 12, 12]
    assert PictureSource.open(tmp_path).tensor("held_out").shape == (2, 1, 12, 12)
