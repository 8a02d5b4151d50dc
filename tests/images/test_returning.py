from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evergrow.errors import InputError
from evergrow.images.audit import Entry, entry
from evergrow.images.config import ImageSourceConfig
from evergrow.images.held_out import choose_parts
from evergrow.images.picture import Picture
from evergrow.images.records import Returned
from evergrow.images.returning import counted_returning, recognised, sides
from evergrow.images.shape import refuse_other_depth
from evergrow.images.source import ImageReading, source_pictures

from .make import noise, write_png


def films(folder: Path, name: str, patients: list[str], seed: int) -> ImageSourceConfig:
    lines = ["image,patient"]
    for number, patient in enumerate(patients):
        write_png(folder / name / f"{number}.png", seed + number)
        lines.append(f"{name}/{number}.png,{patient}")
    (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return ImageSourceConfig(images=[f"{name}/*.png"], manifest=f"{name}.csv")


def pictures_of(config: ImageSourceConfig, folder: Path, name: str) -> list[Picture]:
    return source_pictures(config, folder, name, ImageReading())


def test_patients_of_a_finished_source_are_recognised_by_who_has_its_files(tmp_path: Path) -> None:
    sources = {
        "old": films(tmp_path, "old", ["A1", "B2", "C3"], 0),
        "new": films(tmp_path, "new", ["b2 ", "D4"], 10),
    }
    old, new = (pictures_of(config, tmp_path, name) for name, config in sources.items())
    stored = [replace(entry(p, "train"), person="") for p in old]  # as they come from a folder
    assert not {p.patient for p in old} & {p.patient for p in new}
    found, gone = recognised({"old": stored}, sources, tmp_path, new)
    assert [bool(e.person) for e in found["old"]] == [False, True, False] and gone == []
    entries = [*found["old"], *(entry(p, "held_out") for p in new)]
    with pytest.raises(
        InputError, match=r"1 of 2 held-out pictures show patients trained on in old, first new/0.p"
    ):
        counted_returning(entries, "new", sources["new"])
    allowed = sources["new"].model_copy(update={"returning": "allow"})
    counts = {"old": Returned(patients=1, held_out=1, train=0)}
    assert counted_returning(entries, "new", allowed) == counts
    (tmp_path / "old.csv").unlink()
    for path in (tmp_path / "old").iterdir():
        path.unlink()
    assert recognised({"old": stored}, sources, tmp_path, new) == ({"old": stored}, ["old"])


def test_training_on_those_who_are_held_out_before_is_refused_too() -> None:
    def one(source: str, part: str) -> Entry:
        known = Picture(noise(1)[None], source, "1", "1.png", patient="p", plain=f"{source}/1.png")
        return entry(known, part)

    entries = [one("old", "held_out"), one("new", "train")]
    config = ImageSourceConfig(images=["*"])
    with pytest.raises(InputError, match="1 pictures to train on show patients held out in old"):
        counted_returning(entries, "new", config)
    assert counted_returning([one("old", "train"), one("new", "train")], "new", config) == {}


def patient_pictures(patients: list[str]) -> list[Picture]:
    return [
        Picture(np.full((1, 2, 2), n, np.uint8), "new", f"{n}", f"{n}", patient=patient)
        for n, patient in enumerate(patients)
    ]


def test_who_returns_stays_on_the_side_where_he_was() -> None:
    pictures = patient_pictures([f"p{n % 100}" for n in range(200)])
    alone = choose_parts(pictures, 0.3, "new")
    turned = {p.drawn.hex(): part == "train" for p, part in zip(pictures, alone, strict=True)}
    few = {person: turned[person] for person in sorted(turned)[:40]}
    parts = choose_parts(pictures, 0.3, "new", few)
    for picture, part, before in zip(pictures, parts, alone, strict=True):
        assert (part != "train") == few.get(picture.drawn.hex(), before != "train")
    entries = [entry(p, part) for p, part in zip(pictures, parts, strict=True)]
    assert {k: v for k, v in sides({"new": entries}).items() if k in few} == few
    with pytest.raises(InputError, match=r"because \d+ show patients trained on in an earlier sou"):
        choose_parts(pictures, 0.3, "new", dict.fromkeys(turned, False))


def test_sources_of_two_depths_are_refused() -> None:
    refuse_other_depth("b", "|u1", {"a": "|u1"})
    with pytest.raises(InputError, match=r"b: has 16 bits a pixel, a 8, and .* set bits: 8, or"):
        refuse_other_depth("b", "<u2", {"a": "|u1"})
