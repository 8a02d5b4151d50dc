"""What identifies a person is in no file of a run, in whatever script, form or source it stands."""

import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from flow.tiny import carry, run_of
from flow.tiny_pictures import PER_STEP, digits
from images.make import noise, write_dicom, write_png

from evergrow.errors import InputError
from evergrow.listener import Listener

PEOPLE = (
    ("Иванов^Пётр", "ИВ-20481"),
    ("Müller^Jürgen", "MU-59377"),
    ("Yamada^Tarou=山田^太郎", "YA-71102"),
    ("Ιωάννου^Γιώργος", "IO-33195"),
    ("Nguyễn^Thịnh", "NG-84420"),
)
UTF8 = "ISO_IR 192"


def films(folder: Path) -> None:
    """DICOM in folders of names in NFD, and PNGs whose folders alone say whose they are."""
    for number in range(80):
        name, patient = PEOPLE[number % 5]
        spelt = unicodedata.normalize("NFD", name.split("=")[-1].replace("^", " "))
        header = {"SpecificCharacterSet": UTF8, "PatientName": name, "Rows": 8, "Columns": 8}
        header |= {"PatientID": f"{patient}-{number}", "StudyInstanceUID": f"1.2.77.{number}"}
        pixels = noise(number, 8, 8).astype(np.uint16)
        write_dicom(folder / "in" / spelt / f"{number}.dcm", pixels, **header)
        png = folder / "png" / spelt / f"{patient.lower()}-{number}.png"
        write_png(png, 200 + number, height=8, width=8)
    broken = next((folder / "in").iterdir()) / "broken ИВ-20481.dcm"
    broken.write_text("no DICOM")


def secrets() -> Iterator[str]:
    """Parts of names and numbers, in every normal form and case."""
    for name, patient in PEOPLE:
        for part in (*name.replace("=", "^").split("^"), patient):
            for form in ("NFC", "NFD", "NFKC", "NFKD"):
                yield unicodedata.normalize(form, part)
                yield unicodedata.normalize(form, part).lower()


def written(path: Path) -> Iterator[bytes]:
    """A file's bytes, as they are, with escapes read, and unpacked where it is a table."""
    content = path.read_bytes()
    yield content
    if path.suffix in (".json", ".jsonl", ".html", ".yaml"):
        yield re.sub(
            rb"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)).encode(errors="replace"), content
        )
    if path.suffix == ".parquet":
        from pyarrow import parquet

        table: pa.Table = parquet.read_table(path)
        yield str(table.to_pydict()).encode()


def test_nothing_that_identifies_anybody_is_in_any_file(tmp_path: Path, with_pages: None) -> None:
    films(tmp_path)
    sources = {
        "png": {"images": ["png/*/*.png"]},  # before the source that knows whose names they are
        "dicom": {"images": ["in/*/*.dcm"], "max_bad": 0.1, "bits": 8},
    }
    stages = [{"name": n, "data": n, "images": 2 * PER_STEP} for n in sources]
    changes = {"sources": sources, "replay": {"fraction": 0}, "evaluate__every": 0}
    said: list[str] = []
    recipe = digits(**changes, stages=stages)
    run = run_of(carry(recipe, tmp_path / "runs", tmp_path, Listener(say=said.append)))
    files = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert {p.name for p in files} >= {"audit.json", "report.html", "pictures.parquet"}
    hidden = [secret.encode() for secret in set(secrets())]
    for path in files:
        for content in (*written(path), str(path.relative_to(tmp_path)).encode()):
            found = [secret.decode() for secret in hidden if secret in content]
            assert not found, (path, found)
    assert run.manifest.data.keys() == sources.keys()
    assert not [secret for secret in secrets() if any(secret in line for line in said)]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_folder_that_is_somebodys_name_is_no_label(tmp_path: Path, form: str) -> None:
    """Also where only another source knows that it is one."""
    films(tmp_path)
    for folder in list((tmp_path / "png").iterdir()):
        name = unicodedata.normalize(form, folder.name.split(" ")[0])
        folder.rename(folder.with_name(name))
    source = {"images": ["png/*/*.png"], "label_from": "folder"}
    sources = {"png": source, "dicom": {"images": ["in/*/*.dcm"], "max_bad": 0.1, "bits": 8}}
    stages = [{"name": n, "data": n, "images": PER_STEP} for n in sources]
    recipe = digits(sources=sources, stages=stages)
    said: list[str] = []
    with pytest.raises(InputError, match="which is somebody's name or number in the data") as told:
        carry(recipe, tmp_path / "runs", tmp_path, Listener(say=said.append))
    said.append(str(told.value))
    assert not [secret for secret in secrets() if any(secret in line for line in said)]


def test_patients_on_both_sides_of_two_sources_are_refused_unless_asked(tmp_path: Path) -> None:
    for name, first in (("one", 0), ("two", 500)):
        lines = ["image,patient,split"]
        for number in range(80):
            write_png(tmp_path / name / f"{number}.png", first + number, height=8, width=8)
            split = "train" if (number < 40) == (name == "one") else "test"
            lines.append(f"{name}/{number}.png,P{number:03d},{split}")
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    sources = {n: {"images": [f"{n}/*.png"], "manifest": f"{n}.csv"} for n in ("one", "two")}
    stages = [{"name": n, "data": n, "images": 2 * PER_STEP} for n in sources]
    sentence = r"two: 40 of 40 held-out pictures show patients trained on in one, first two/0.png"
    with pytest.raises(InputError, match=sentence):
        carry(digits(sources=sources, stages=stages), tmp_path / "runs", tmp_path)
    with pytest.raises(InputError, match=sentence):  # the first source is a finished folder now
        carry(digits(sources=sources, stages=stages), tmp_path / "runs", tmp_path)
    sources["two"]["returning"] = "allow"
    run = run_of(carry(digits(sources=sources, stages=stages), tmp_path / "runs", tmp_path))
    audit = (run.folder.parent / "data/audit.json").read_text()
    returned = json.loads(audit)["by_source"]["two"]["told"]["returning"]
    assert returned == {"one": {"patients": 80, "held_out": 40, "train": 40}}


def test_sources_of_two_depths_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    pictures = np.stack([noise(n, 8, 8) for n in range(160)])
    np.savez(tmp_path / "one.npz", images=pictures[:80])
    np.savez(tmp_path / "two.npz", images=pictures[80:].astype(np.uint16) * 257)
    sources = {name: {"images": [f"{name}.npz"]} for name in ("one", "two")}
    stages = [{"name": n, "data": n, "images": 2 * PER_STEP} for n in sources]
    with pytest.raises(InputError, match=r"two: has 16 bits a pixel, one 8, .*; set bits: 8, or"):
        carry(digits(sources=sources, stages=stages), tmp_path / "runs", tmp_path)
    assert not (tmp_path / "runs/digits/main").exists()
    sources["two"]["bits"] = 8
    carry(digits(sources=sources, stages=stages), tmp_path / "runs", tmp_path)
