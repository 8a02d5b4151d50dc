from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import ValidationError

from evergrow.errors import InputError
from evergrow.images.audit import entry, fault
from evergrow.images.config import ImageSourceConfig
from evergrow.images.picture import Shows
from evergrow.images.source import ImageReading, source_pictures

from .make import encoded, noise, read, write_png


def films(folder: Path, text: str) -> None:
    for number in range(4):
        write_png(folder / f"{number}.png", number)
    (folder / "films.csv").write_text(text)


LISTED = {"images": ["*.png"], "manifest": "films.csv"}


def test_a_column_of_ones_zeros_and_unknowns(tmp_path: Path) -> None:
    """As the labels of CheXpert are."""
    rows = ["Path,Edema,Mass", "0.png,1.0,", "1.png,0.0,1.0", "2.png,-1.0,", "3.png,,0.0"]
    films(tmp_path, "\n".join(rows) + "\n")
    settings = {**LISTED, "columns": {"image": "Path"}, "findings": ["Edema"]}
    assert [p.label for p in read(tmp_path, **settings)[0]] == ["present", "absent", None, None]
    known = read(tmp_path, **settings, only=["present", "absent"])[0]
    assert [p.key for p in known] == ["0.png", "1.png"]
    films(tmp_path, "image,Edema\n0.png,1\n1.png,0\n2.png,maybe\n3.png,1\n")
    with pytest.raises(InputError, match=r"line 4: Edema is 'maybe'; a finding is 1, 0, -1 where"):
        read(tmp_path, **LISTED, findings=["Edema"])


def test_a_name_among_several_labels(tmp_path: Path) -> None:
    """As the table of the NIH's chest films has them."""
    films(tmp_path, "image,label\n0.png,Mass|Edema\n1.png,No Finding\n2.png,Edematous\n3.png,\n")
    found = read(tmp_path, **LISTED, findings=["Edema"])[0]
    assert [p.label for p in found] == ["present", "absent", "absent", None]
    with pytest.raises(InputError, match="no picture has the finding 'Oedema'; check its name"):
        read(tmp_path, **LISTED, findings=["Oedema"])


def test_a_column_of_an_archives_labels(tmp_path: Path) -> None:
    """As ChestMNIST has them."""
    labels = np.array([[0, 1], [1, 0], [0, -1]], np.int8)
    np.savez(tmp_path / "set.npz", images=np.stack([noise(n) for n in range(3)]), labels=labels)
    assert [p.label for p in read(tmp_path, findings=["1"])[0]] == ["present", "absent", None]
    for findings in (["2"], ["Edema"]):
        with pytest.raises(
            InputError, match=r"labels is \[3, 2\] of int8 .* or numbers of columns"
        ):
            read(tmp_path, findings=findings)
    found = read(tmp_path, findings=["Mass", "Edema"])[0]
    assert [p.label for p in found] == [None] * 3
    assert [p.findings for p in found] == [
        {"Mass": 0, "Edema": 1},
        {"Mass": 1, "Edema": 0},
        {"Mass": 0, "Edema": -1},
    ]


def test_a_column_of_a_table(tmp_path: Path) -> None:
    png = encoded(Image.fromarray(noise(1)), "PNG").read()
    rows = [{"image": png, "Edema": value} for value in (1.0, 0.0, -1.0, None)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "set.parquet")
    found = read(tmp_path, findings=["Edema"])[0]
    assert [p.label for p in found] == ["present", "absent", None, None]


def test_several_findings_keep_what_is_uncertain_apart_from_what_nobody_mentions(
    tmp_path: Path,
) -> None:
    rows = ["Path,Edema,Mass", "0.png,1.0,", "1.png,0.0,1.0", "2.png,-1.0,", "3.png,,0.0"]
    films(tmp_path, "\n".join(rows) + "\n")
    settings = {**LISTED, "columns": {"image": "Path"}, "findings": ["Edema", "Mass"]}
    pictures, reading = read(tmp_path, **settings)
    assert [p.findings for p in pictures] == [
        {"Edema": 1},
        {"Edema": 0, "Mass": 1},
        {"Edema": -1},
        {"Mass": 0},
    ]
    assert {name: counts.model_dump() for name, counts in reading.findings.items()} == {
        "Edema": {"present": 1, "absent": 1, "uncertain": 1, "unmentioned": 1},
        "Mass": {"present": 1, "absent": 1, "uncertain": 0, "unmentioned": 2},
    }


def test_equal_pictures_of_other_findings_are_refused_and_lesser_ones_dropped(
    tmp_path: Path,
) -> None:
    films(tmp_path, "image,a,b\n0.png,1,\n1.png,,0\n2.png,1,1\n3.png,1,1\n")
    write_png(tmp_path / "1.png", 0)
    settings = {**LISTED, "findings": ["a", "b"], "duplicates": "drop"}
    assert read(tmp_path, **settings)[1].num_dropped == 1
    films(tmp_path, "image,a,b\n0.png,1,0\n1.png,0,\n2.png,1,1\n3.png,1,1\n")
    write_png(tmp_path / "1.png", 0)
    entries = [entry(p, "train") for p in read(tmp_path, **settings)[0]]
    assert "of findings {'a': 1, 'b': 0} and 1.png of findings {'a': 0}" in str(
        fault(entries, "films")
    )


def test_sources_of_other_findings_contradict_only_where_both_speak() -> None:
    one, other = Shows(None, {"a": 1, "b": 0}), Shows(None, {"b": 0, "c": 1})
    assert not one.contradicts(other) and one.contradicts(Shows(None, {"b": 1}))
    assert not one.contradicts(Shows(None, {"a": -1})) and not one.contradicts(Shows("a", None))
    assert Shows("a").contradicts(Shows("b")) and not Shows("a").contradicts(Shows())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"findings": ["a", "a"]}, "findings: 'a' is there twice"),
        ({"findings": ["a", "b"], "only": ["a"]}, "only and labels are for pictures of one label"),
        ({"findings": ["patient"]}, "findings: 'patient' is a column of another meaning"),
    ],
)
def test_settings_that_do_not_fit_findings(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        ImageSourceConfig.model_validate({"images": ["*"], **settings})


def test_folders_are_no_findings() -> None:
    with pytest.raises(ValidationError, match="label_from: folder and findings both give labels"):
        ImageSourceConfig.model_validate(
            {"images": ["*"], "findings": ["Edema"], "label_from": "folder"}
        )


ROWS = {"a": 1, "b": 1, "c": 1, "d": 2, "e": 2}


def equal_films(folder: Path, lines: str) -> None:
    """Three pictures of the same pixels, then two of others."""
    for name, seed in ROWS.items():
        write_png(folder / f"{name}.png", seed)
    (folder / "films.csv").write_text(lines)


def test_of_equal_pictures_all_that_is_known_stays(tmp_path: Path) -> None:
    equal_films(
        tmp_path, "image,Edema,Mass\na.png,-1,\nb.png,1,\nc.png,,0\nd.png,,1\ne.png,-1,-1\n"
    )
    settings = {**LISTED, "findings": ["Edema", "Mass"], "duplicates": "drop"}
    pictures, reading = read(tmp_path, **settings)
    assert {p.key: p.findings for p in pictures} == {
        "a.png": {"Edema": 1, "Mass": 0},
        "d.png": {"Edema": -1, "Mass": 1},
    }
    assert (reading.num_dropped, reading.findings["Edema"].present) == (3, 1)
    assert [s for s in reading.sentences if "knew more" in s] == [
        "films: of 2 pictures equal ones knew more findings, which are theirs now"
    ]
    equal_films(tmp_path, "image,Edema\na.png,-1\nb.png,1\nc.png,\nd.png,\ne.png,0\n")
    found = read(tmp_path, **{**settings, "findings": ["Edema"]})[0]
    assert [(p.label, p.findings) for p in found] == [
        ("present", {"Edema": 1}),
        ("absent", {"Edema": 0}),
    ]


def test_equal_pictures_that_contradict_each_other_stay_to_be_refused(tmp_path: Path) -> None:
    equal_films(tmp_path, "image,Edema\na.png,\nb.png,1\nc.png,0\nd.png,1\ne.png,\n")
    settings = {**LISTED, "findings": ["Edema"], "duplicates": "drop"}
    pictures, reading = read(tmp_path, **settings)
    assert ([p.key for p in pictures], reading.num_dropped) == (["a.png", "c.png", "d.png"], 2)
    said = fault([entry(p, "train") for p in pictures], "films")
    assert said is not None and "1 pictures are equal pixel by pixel to another of another" in said


def test_a_finding_that_an_equal_picture_does_not_mention_is_no_other_label(tmp_path: Path) -> None:
    equal_films(tmp_path, "image,Edema\na.png,\nb.png,1\nc.png,\nd.png,1\ne.png,\n")
    pictures, _ = read(tmp_path, **LISTED, findings=["Edema"])
    said = fault([entry(p, "train") for p in pictures], "films")
    assert said is not None and "3 pictures occur twice" in said and "set duplicates: drop" in said


def test_what_repeats_of_an_earlier_source_say_more_is_told(tmp_path: Path) -> None:
    equal_films(tmp_path, "image,Edema\na.png,1\nb.png,1\nc.png,\nd.png,1\ne.png,\n")
    settings = {**LISTED, "findings": ["Edema"], "duplicates": "drop"}
    config = ImageSourceConfig.model_validate(settings)
    first, _ = read(tmp_path, **LISTED, findings=["Edema"])
    unknown = {first[0].content_hash: Shows(None, {})}
    reading = ImageReading()
    found = source_pictures(config, tmp_path, "films", reading, unknown)
    assert ([p.key for p in found], reading.num_lost) == (["d.png"], 1)
    assert any("1 pictures went that are in an earlier source" in s for s in reading.sentences)
