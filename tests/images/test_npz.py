from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evergrow.errors import InputError
from evergrow.images import npz

from .make import noise, read

FILMS = np.stack([noise(i) for i in range(4)])


def saved(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "set.npz", **arrays)
    return folder


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.array([0, 1, 2, 3], np.int8), "0123"),
        (np.array([[0], [1], [2], [3]], np.uint64), "0123"),
        (np.array([b"a", b"b", b"c", b"d"]), "abcd"),
        (np.array(["a", "b", "c", "d"]), "abcd"),
    ],
)
def test_labels_are_whole_numbers_of_any_width_or_text(
    tmp_path: Path, labels: np.ndarray, expected: str
) -> None:
    pictures, _ = read(saved(tmp_path, images=FILMS, labels=labels))
    assert [p.label for p in pictures] == list(expected)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.eye(4, dtype=np.int64), r"labels is \[4, 4\] for 4 images; expected one label for"),
        (np.zeros((4, 0), np.int64), r"labels is \[4, 0\] for 4 images"),
        (np.zeros(3, np.int64), r"labels is \[3\] for 4 images"),
        (np.zeros(4), "labels is float64; expected whole numbers or text"),
        (np.array([b"a", b"\xff", b"c", b"d"]), "labels: no UTF-8 text"),
    ],
)
def test_other_labels_are_refused(tmp_path: Path, labels: np.ndarray, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read(saved(tmp_path, images=FILMS, labels=labels))


def test_a_last_axis_of_one_is_grey(tmp_path: Path) -> None:
    pictures, _ = read(saved(tmp_path, images=FILMS[..., None]))
    assert np.array_equal(pictures[2].pixels, FILMS[2][None])


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((4, 3, 12, 12), np.uint8), r"images is \[4, 3, 12, 12\]; expected .*last"),
        (np.zeros((4, 12, 12, 4), np.uint8), r"images is \[4, 12, 12, 4\]; .*without transparency"),
        (np.zeros((4, 0, 12), np.uint8), r"images is \[4, 0, 12\]; pictures have a pixel at least"),
        (np.zeros((12, 12), np.uint8), r"images is \[12, 12\]; expected"),
        (FILMS.astype(np.float32), "images is float32; expected uint8"),
    ],
)
def test_images_of_another_form_are_refused_with_their_shape(
    tmp_path: Path, images: np.ndarray, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        read(saved(tmp_path, images=images))


def test_an_archive_without_arrays_and_a_single_array_say_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it has no array at all; write"):
        read(saved(tmp_path))
    with (tmp_path / "set.npz").open("wb") as file:
        np.save(file, FILMS)
    with pytest.raises(InputError, match=r"set.npz: not a whole .npz \(File is not a zip"):
        read(tmp_path)


def test_a_large_archive_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "_PART", 3 * 144)  # bytes: three pictures
    films = np.stack([noise(i) for i in range(10)])
    plain, turned = saved(tmp_path, images=films), np.asfortranarray(films)
    assert np.array_equal(np.concatenate([p.pixels for p in read(plain)[0]]), films)
    assert np.array_equal(
        np.concatenate([p.pixels for p in read(saved(tmp_path, images=turned))[0]]), films
    )
    np.savez_compressed(tmp_path / "set.npz", images=films)
    assert np.array_equal(np.concatenate([p.pixels for p in read(tmp_path)[0]]), films)


@pytest.mark.parametrize("packed", [np.savez, np.savez_compressed])
def test_a_damaged_archive_is_refused_and_never_counted_as_one_picture(
    tmp_path: Path, packed: Callable
) -> None:
    path = tmp_path / "set.npz"
    packed(path, images=np.stack([noise(i) for i in range(100)]))
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:5000] + b"\0\xff" + whole[5002:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"set.npz: not a whole .npz \("):
            read(tmp_path, max_bad=1.0)
