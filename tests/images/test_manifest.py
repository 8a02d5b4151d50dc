import unicodedata
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from pydantic import ValidationError

from evergrow.errors import InputError
from evergrow.images.config import ImageSourceConfig

from .make import noise, read, write_dicom, write_png


def test_columns_are_read_by_their_own_names_and_others_left_alone(tmp_path: Path) -> None:
    """As the table of the NIH's chest films has them, between semicolons."""
    for number in range(2):
        write_png(tmp_path / f"{number}.png", number)
    lines = [
        "Image Index;Finding Labels;Patient ID;View Position;label",
        "0.png;Effusion;13;PA;left alone",
        "1.png;No Finding;14;AP;left alone",
    ]
    (tmp_path / "films.csv").write_text("\n".join(lines) + "\n")
    columns = {
        "image": "Image Index",
        "label": "Finding Labels",
        "patient": "Patient ID",
        "view": "View Position",
    }
    settings = {"images": ["*.png"], "manifest": "films.csv", "delimiter": ";"}
    pictures, _ = read(tmp_path, **settings, columns=columns)
    assert [(p.label, p.view) for p in pictures] == [("Effusion", "PA"), ("No Finding", "AP")]
    assert len({p.patient for p in pictures}) == 2
    pictures, reading = read(tmp_path, **settings, columns=columns, views=["AP"])
    assert [p.label for p in pictures] == ["No Finding"]
    assert reading.num_filtered == 1
    with pytest.raises(InputError, match=r"got Image .* between ';'; name others in columns"):
        read(tmp_path, **settings, columns={**columns, "date": "Date"})
    with pytest.raises(InputError, match=r"name others in columns and delimiter"):
        read(tmp_path, images=["*.png"], manifest="films.csv", columns=columns)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"columns": {"label": "Finding"}}, "columns and delimiter are those of a manifest"),
        ({"delimiter": ";"}, "columns and delimiter are those of a manifest"),
        ({"manifest": "a.csv", "columns": {"mood": "Mood"}}, "columns: 'mood' is none of image"),
    ],
)
def test_columns_that_cannot_be_meant_are_refused(settings: dict, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        ImageSourceConfig.model_validate({"images": ["*"], **settings})


def test_folders_say_the_split_and_the_label(tmp_path: Path) -> None:
    names = ("train/sick/a.png", "train/well/b.png", "Test/sick/c.png", "val/well/d.png")
    for seed, name in enumerate(names):
        write_png(tmp_path / name, seed)
    settings = {"images": ["*/*/*.png"], "label_from": "folder", "split_from": "folder"}
    pictures, _ = read(tmp_path, **settings)
    assert [(p.split, p.label) for p in pictures] == [
        ("test", "sick"), ("train", "sick"), ("train", "well"), ("val", "well"),
    ]  # fmt: skip
    write_png(tmp_path / "more/well/e.png", 9)
    with pytest.raises(InputError, match=r"more/well/e.png is in no folder called train, val, v"):
        read(tmp_path, **settings)


def test_views_of_headers_are_kept_by_their_names(tmp_path: Path) -> None:
    for number, view in enumerate(("PA", "AP", None)):
        write_dicom(tmp_path / f"{number}.dcm", noise(number).astype(np.uint16), ViewPosition=view)
    pictures, reading = read(tmp_path, views=["PA"])
    assert [p.plain for p in pictures] == ["0.dcm"]
    assert reading.num_filtered == 2
    with pytest.raises(InputError, match="no picture is left; check images, only, views, intent"):
        read(tmp_path, views=["LATERAL"])


def test_younger_settings_change_no_key_at_their_defaults() -> None:
    plain = ImageSourceConfig(images=["a"])
    assert "white" not in plain.content_settings and "columns" not in plain.content_settings
    assert ImageSourceConfig(images=["a"], white=4095).content_settings["white"] == 4095
    asked = ImageSourceConfig(images=["a"], returning="allow")
    assert asked.content_settings == plain.content_settings


@pytest.mark.parametrize(("on_disk", "written"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_are_found_in_another_normal_form(
    tmp_path: Path, on_disk: Literal["NFC", "NFD"], written: Literal["NFC", "NFD"]
) -> None:
    write_png(tmp_path / unicodedata.normalize(on_disk, "Köln/ä.png"), 1)
    name = unicodedata.normalize(written, "Köln/ä.png")
    (tmp_path / "films.csv").write_text(f"image,label\n{name},x\n")
    glob = unicodedata.normalize(written, "Köln/*.png")
    assert [p.label for p in read(tmp_path, images=[glob], manifest="films.csv")[0]] == ["x"]
