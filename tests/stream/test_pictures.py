from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from evergrow.errors import EvergrowError
from evergrow.images.augment import augment
from evergrow.images.config import AugmentConfig
from evergrow.images.picture import Part, Picture
from evergrow.stream.order import key_of
from evergrow.stream.pictures import (
    PictureSource,
    balanced_items,
    one_hot,
    picture_batch,
    write_pictures,
)
from evergrow.stream.plan import Sample

PLAIN = AugmentConfig()


def stored(folder: Path, kind: type = np.uint8, num_val: int = 0) -> PictureSource:
    """Six pictures of 4 x 4, the n-th all of value n, of labels a and b; four of them to learn."""
    pictures = [
        Picture(np.full((1, 4, 4), n, kind), "s", "f", f"f#{n}", label="ab"[n % 2], patient="x")
        for n in range(6)
    ]
    folder.mkdir()
    parts: dict[Part, list[Picture]] = {"train": pictures[:4], "held_out": pictures[4:]}
    if num_val:
        parts = {**parts, "val": parts["train"][:num_val], "train": parts["train"][num_val:]}
    write_pictures(folder, parts, {"source": "s", "told": {"split": ["test", "train"]}})
    return PictureSource.open(folder)


def test_what_is_stored_comes_back(tmp_path: Path) -> None:
    source = stored(tmp_path / "s", np.uint16)
    assert len(source) == 4
    assert source.labels == {"train": ["a", "b", "a", "b"], "held_out": ["a", "b"]}
    values = source.tensor("held_out")[:, 0, 0, 0]
    assert torch.equal(values, torch.tensor([4.0, 5.0]) / 65_535)
    assert source.tensor("train", [2]).shape == (1, 1, 4, 4)


def test_choices_are_made_on_val_where_there_is_one(tmp_path: Path) -> None:
    source = stored(tmp_path / "s", num_val=1)
    assert source.steered_by == "val" and source.labels["val"] == ["a"]
    assert source.tensor("val").shape == (1, 1, 4, 4) and len(source) == 3
    assert [source.called(part) for part in ("held_out", "val")] == ["test", "val"]
    alone = stored(tmp_path / "alone")
    assert alone.steered_by == "held_out" and alone.rows.keys() == {"train", "held_out"}
    assert not (tmp_path / "alone" / "val").exists()


def test_the_same_pictures_are_stored_as_the_same_bytes(tmp_path: Path) -> None:
    stored(tmp_path / "one"), stored(tmp_path / "two")
    for path in (p for p in (tmp_path / "one").rglob("*") if p.is_file()):
        assert (
            path.read_bytes()
            == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()
        )


def test_a_truncated_file_is_found_when_opened(tmp_path: Path) -> None:
    stored(tmp_path / "s")
    path = tmp_path / "s/train/pixels.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(EvergrowError, match=r"pixels.bin: truncated, 63 bytes where"):
        PictureSource.open(tmp_path / "s")


def test_a_changed_file_is_found_when_opened(tmp_path: Path) -> None:
    stored(tmp_path / "s")
    path = tmp_path / "s/held_out/pixels.bin"
    path.write_bytes(path.read_bytes()[:-1] + b"\x2a")
    with pytest.raises(EvergrowError, match=r"held_out/pixels.bin: its bytes are not those"):
        PictureSource.open(tmp_path / "s")


def test_classes_are_read_equally_often_and_the_frequent_one_whole() -> None:
    labels = ["a"] * 7 + ["b"] * 3 + ["c"]
    items = balanced_items(labels)
    assert Counter(labels[i] for i in items) == {"a": 7, "b": 7, "c": 7}
    assert [labels[i] for i in items[:6]] == ["a", "b", "c"] * 2
    assert sorted(i for i in items if labels[i] == "a") == list(range(7))
    assert Counter(i for i in items if labels[i] == "b") == {7: 3, 8: 2, 9: 2}


def test_targets_are_rows_of_one() -> None:
    assert one_hot(["b", "a"], ["a", "b", "c"]).tolist() == [[0, 1, 0], [1, 0, 0]]
    with pytest.raises(EvergrowError, match="label 'd' is not among the model's"):
        one_hot(["d"], ["a", "b"])


def test_a_batch_is_drawn_by_the_number_of_its_samples(tmp_path: Path) -> None:
    sources = {"s": stored(tmp_path / "s")}
    samples = [Sample("s", item, 0) for item in (3, 0, 1)]
    rows = one_hot([*"bab"], ["a", "b"])
    pixels, targets, keys = picture_batch(samples, sources, 10, 7, PLAIN, rows)
    assert (pixels[:, 0, 0, 0] * 255).round().tolist() == [3, 0, 1]
    assert targets is rows
    assert keys == [key_of("picture", 7, n) for n in (10, 11, 12)]
    changes = AugmentConfig(crop=0.5, rotate=30, blur=1)
    changed = picture_batch(samples, sources, 10, 7, changes, None)
    assert changed[1] is None
    assert torch.equal(changed[0], augment(pixels, keys, changes))
    later = picture_batch(samples[1:], sources, 11, 7, changes, None)
    assert torch.equal(later[0], changed[0][1:])  # wherever a batch begins


def test_samples_of_several_sources_stay_in_their_order(tmp_path: Path) -> None:
    sources = {name: stored(tmp_path / name) for name in ("s", "t")}
    order = [("t", 2), ("s", 0), ("t", 1), ("s", 3)]
    samples = [Sample(name, item, 0) for name, item in order]
    pixels, *_ = picture_batch(samples, sources, 0, 0, PLAIN, None)
    assert (pixels[:, 0, 0, 0] * 255).round().tolist() == [2, 0, 1, 3]


def test_cutmix_is_one_draw_a_batch(tmp_path: Path) -> None:
    sources = {"s": stored(tmp_path / "s")}
    samples = [Sample("s", item, 0) for item in range(4)]
    mixing = AugmentConfig(cutmix=1)
    for first in range(5):
        rows = one_hot([*"abab"], ["a", "b"])
        pixels, targets, _ = picture_batch(samples, sources, first, 0, mixing, rows)
        assert targets is not None and torch.allclose(targets.sum(1), torch.ones(4))
        shares = [((pixels[n] * 255).round() % 2).mean() for n in range(4)]
        assert torch.allclose(torch.stack(shares), targets[:, 1])
