import io
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import ValidationError

from evergrow.errors import InputError
from evergrow.images.audit import entry, fault
from evergrow.images.config import ImageSourceConfig
from evergrow.images.files import file_sums
from evergrow.images.shape import to_channels, to_square
from evergrow.objectives.config import ClassificationConfig

from .make import noise, read, write_dicom, write_png


def test_folders_give_labels(tmp_path: Path) -> None:
    for seed, name in enumerate(("sick/a.png", "sick/b.png", "well/c.png")):
        write_png(tmp_path / name, seed)
    pictures, reading = read(tmp_path, images=["*/*.png"], label_from="folder")
    assert [p.label for p in pictures] == ["sick", "sick", "well"]
    assert [p.key for p in pictures] == ["sick/a.png", "sick/b.png", "well/c.png"]
    assert np.array_equal(pictures[0].pixels, noise(0)[None])
    assert [f.path for f in reading.files] == ["sick/a.png", "sick/b.png", "well/c.png"]


def test_npz_gives_splits_and_labels(tmp_path: Path) -> None:
    images = np.stack([noise(i) for i in range(4)])
    np.savez(
        tmp_path / "set.npz", train_images=images[:3], train_labels=np.array([[0], [1], [0]]),
        test_images=images[3:], test_labels=np.array([[1]]),
    )  # fmt: skip
    pictures, _ = read(tmp_path)
    found = [(p.key, p.split, p.label) for p in pictures]
    assert found[0] == ("set.npz#train_0", "train", "0")
    assert found[3] == ("set.npz#test_0", "test", "1")


def test_pickled_arrays_are_never_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="images is pickled, which is never read; write plain"):
        read(tmp_path)


def test_parquet_gives_what_its_columns_say(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(noise(1)).save(file, "PNG")
    row = {"image": {"bytes": file.getvalue(), "path": None}, "label": 3, "patient": "p1"}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "set.parquet")
    pictures, _ = read(tmp_path)
    assert (pictures[0].label, pictures[0].key) == ("3", "set.parquet#0")
    assert np.array_equal(pictures[0].pixels[0], noise(1))
    assert pictures[0].patient not in (None, "p1")


def test_the_manifest_says_what_is_known(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", 1)
    write_dicom(tmp_path / "b.dcm", noise(2).astype(np.uint16), BitsStored=8, HighBit=7)
    text = "image,patient,label,split,site\na.png,p1,well,train,A\nb.dcm,p2,sick,test,B\n"
    (tmp_path / "films.csv").write_text(text)
    pictures, reading = read(tmp_path, images=["*.png", "*.dcm"], manifest="films.csv")
    assert [(p.label, p.split) for p in pictures] == [("well", "train"), ("sick", "test")]
    assert len({p.patient for p in pictures}) == 2
    written = json.dumps(
        [[f.path for f in reading.files], [[p.patient, p.study, p.site] for p in pictures]]
    )
    assert not any(name in written for name in ("p1", "p2", "DOE1234", "Elsewhere", "1.2.3.4"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("image,label\n", "a.png is not in films.csv; add a line for it"),
        (
            "image,label\na.png,x\nb.png,y\nc.png,y\n",
            r"line 3: there is no file 'b.png' \(and 1 others\); correct the path",
        ),
        (
            "image,label\na.png,x\nsub\\b.png,y\n",
            r"line 3: there is no file .*; it is written with backslashes; write / between",
        ),
        ("picture,label\n", "the columns are image and any of patient"),
        ("image,mood\n", "not 'mood'; got image, mood"),
        ("image,label\na.png,x\na.png,y\n", "'a.png' is listed twice"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    write_png(tmp_path / "a.png", 1)
    write_png(tmp_path / "sub/b.png", 2)
    (tmp_path / "films.csv").write_text(text)
    with pytest.raises(InputError, match=sentence):
        read(tmp_path, images=["*.png"], manifest="films.csv")


def test_bad_files_are_kept_as_records_below_the_bound(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", 1)
    (tmp_path / "b.png").write_text("no picture")
    whole = write_png(tmp_path / "c.png", 2).read_bytes()
    (tmp_path / "c.png").write_bytes(whole[: len(whole) // 2])
    pictures, reading = read(tmp_path, max_bad=0.7)
    assert [p.key for p in pictures] == ["a.png"]
    assert [(u.path, u.reason) for u in reading.unreadable] == [
        ("b.png", "bytes that are no picture"),
        ("c.png", "a truncated or damaged picture"),
    ]
    with pytest.raises(InputError, match=r"2 of 3 pictures cannot be read, more than 0.1%"):
        read(tmp_path)


def test_mixed_sizes_and_depths_are_refused_with_the_file(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", 1)
    write_png(tmp_path / "b.png", 2, height=10)
    with pytest.raises(InputError, match=r"b.png is 10 x 12 pixels, others 12 x 12; set size"):
        read(tmp_path)
    assert {p.pixels.shape for p in read(tmp_path, size=8)[0]} == {(1, 8, 8)}
    Image.fromarray(noise(3).astype(np.uint16) * 256).save(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"b.png has 16 bits a pixel, others 8"):
        read(tmp_path)


def test_labels_outside_the_set_and_classes_without_a_picture(tmp_path: Path) -> None:
    write_png(tmp_path / "sick/a.png", 1)
    settings = {"images": ["*/*.png"], "label_from": "folder"}
    with pytest.raises(InputError, match=r"sick/a.png has the label 'sick', which is not among"):
        read(tmp_path, labels=["well", "ill"], **settings)
    with pytest.raises(InputError, match="no picture has the label 'well'"):
        read(tmp_path, only=["sick", "well"], **settings)


def test_repeats_are_dropped_when_asked(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", 1)
    write_png(tmp_path / "b.png", 1)
    assert len(read(tmp_path)[0]) == 2
    pictures, reading = read(tmp_path, duplicates="drop")
    assert ([p.key for p in pictures], reading.num_dropped) == (["a.png"], 1)


def test_digits_come_with_the_package(tmp_path: Path) -> None:
    pictures, _ = read(tmp_path, images=[], pictures="digits", only=["3"])
    assert len(pictures) == 183
    assert max(int(p.pixels.max()) for p in pictures) == 255
    assert pictures[0].pixels.shape == (1, 8, 8)


def test_the_centre_square_is_resampled() -> None:
    pixels = np.zeros((4, 8), np.uint8)
    pixels[:, 2:6] = 200
    assert (to_square(pixels, 4) == 200).all()
    assert to_square(pixels, 2).tolist() == [[200, 200], [200, 200]]


def test_grey_and_colour_become_the_channels_asked_for() -> None:
    colour = np.zeros((1, 1, 3), np.uint8)
    colour[0, 0] = (255, 0, 0)
    assert to_channels(colour, 1).tolist() == [[[76]]]
    assert to_channels(colour, 3)[:, 0, 0].tolist() == [255, 0, 0]
    assert to_channels(np.full((1, 1), 7, np.uint8), 3)[:, 0, 0].tolist() == [7, 7, 7]


def test_classes_are_named_as_people_name_them() -> None:
    asked = {"kind": "classification", "labels": ["Pleural Thickening", "No finding"]}
    assert ClassificationConfig.model_validate(asked).labels == asked["labels"]
    with pytest.raises(ValidationError):
        ClassificationConfig.model_validate({**asked, "labels": ["Pleural Thickening", " "]})


def test_a_manifest_may_have_blanks_a_hash_and_its_own_glob(tmp_path: Path) -> None:
    for seed, name in enumerate(("a.png", "b#1.png")):
        write_png(tmp_path / "in" / name, seed)
    (tmp_path / "in/films.csv").write_text("image , label\n a.png ,x\nb#1.png,y\n")
    settings = {"images": [f"{tmp_path}/in/../in/*"], "manifest": "in/films.csv"}
    pictures, reading = read(tmp_path, **settings)
    assert [p.label for p in pictures] == ["x", "y"]
    sums = file_sums(ImageSourceConfig.model_validate(settings), tmp_path, "films")
    assert sums == sorted(file.blake3 for file in reading.files)


def test_a_line_for_a_row_that_is_not_there_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=np.stack([noise(i) for i in range(2)]))
    lines = "".join(f"set.npz#{row},x\n" for row in range(3))
    (tmp_path / "films.csv").write_text(f"image,label\n{lines}")
    with pytest.raises(InputError, match=r"films.csv lists set.npz#2, which gave no picture"):
        read(tmp_path, images=["set.npz"], manifest="films.csv")


def test_equal_pixels_of_another_label_are_not_dropped(tmp_path: Path) -> None:
    for name in ("sick/a.png", "sick/b.png", "well/c.png"):
        write_png(tmp_path / name, 1)
    settings = {"images": ["*/*.png"], "label_from": "folder", "duplicates": "drop"}
    pictures, reading = read(tmp_path, **settings)
    assert [p.key for p in pictures] == ["sick/a.png", "well/c.png"]
    assert reading.num_dropped == 1
    assert "equal pixel by pixel" in str(fault([entry(p, "train") for p in pictures], "films"))


@pytest.mark.parametrize(
    ("folder", "header"),
    [
        ("DOE1234", {}),
        ("ward_doe-1234", {}),
        ("Roe", {"PatientID": "Roe"}),
        ("20200131", {}),
    ],
)
def test_a_label_that_says_whose_a_picture_is_is_refused(
    tmp_path: Path, folder: str, header: dict
) -> None:
    write_dicom(tmp_path / folder / "a.dcm", noise(1).astype(np.uint16), **header)
    with pytest.raises(InputError, match="labels are written out, so give it another one"):
        read(tmp_path, images=["*/*.dcm"], label_from="folder")


def test_a_class_may_be_a_number_that_the_study_has_too(tmp_path: Path) -> None:
    write_dicom(tmp_path / "1/a.dcm", noise(1).astype(np.uint16), StudyID="1")
    assert read(tmp_path, images=["*/*.dcm"], label_from="folder")[0][0].label == "1"
    (tmp_path / "films.csv").write_text("image,patient,label\n1/a.dcm,1,1\n")
    assert read(tmp_path, images=["*/*.dcm"], manifest="films.csv")[0][0].label == "1"


def test_of_a_dicom_file_no_part_of_the_path_is_kept(tmp_path: Path) -> None:
    """The folder spells the name in another way than the header."""
    path = tmp_path / "Mueller_H/film.dcm"
    write_dicom(path, noise(1).astype(np.uint16), PatientName="M\u00fcller^Hanna")
    (picture,), reading = read(tmp_path, images=["*/*.dcm"])
    assert len(picture.key) == len("0123456789ab.dcm") and picture.path == picture.key
    assert re.fullmatch(r"[0-9a-f]{12}_H/film.dcm \(file 1 by name\)", picture.plain)
    assert [file.path for file in reading.files] == [picture.key]
