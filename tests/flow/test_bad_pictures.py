"""What is wrong with pictures: one sentence and exit code 2; and no name of a person is kept."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from flow.tiny import carry, run_of
from flow.tiny_pictures import PER_STEP, digits
from images.make import noise, write_dicom, write_png
from PIL import Image

from evergrow.cli import main
from evergrow.config import override
from evergrow.data.pictures import prepare_pictures
from evergrow.data.prepared import Asked
from evergrow.disk import checksum
from evergrow.errors import InputError
from evergrow.listener import Listener
from evergrow.recipe import decode_recipe, load_recipe

Film = Callable[[Path], None]
NUM = 70  # pictures; 32 are held out


def films(folder: Path) -> None:
    """Pictures of 8 x 8 of two labels."""
    for number in range(NUM):
        write_png(
            folder / ("sick", "well")[number % 2] / f"{number}.png", number, height=8, width=8
        )


def recipe(folder: Path, **source: Any) -> Path:
    """A classifier of the films in ``folder``, as a file beside them."""
    changes = {"images": ["films/*/*.png"], "label_from": "folder", **source}
    written = {
        "name": "films",
        "sources": {"films": {k: v for k, v in changes.items() if v is not None}},
        "model": {"preset": "resnet", "hidden": 8, "layers": 2},
        "train": {"batch_size": PER_STEP, "threads": 1},
        "schedule": {"kind": "constant", "peak_lr": 1e-3},
        "stages": [{"name": "films", "data": "films", "images": 2 * PER_STEP}],
    }
    path = folder / "films.yaml"
    path.write_text(yaml.safe_dump(written, sort_keys=False))
    return path


def told(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> str:
    """The one line that ``evergrow run`` refuses a recipe with."""
    monkeypatch.chdir(path.parent)
    monkeypatch.setattr(sys, "argv", ["evergrow", "run", path.name, *words])
    with pytest.raises(SystemExit) as ended:
        main()
    error = capsys.readouterr().err
    assert (ended.value.code, error.count("\n")) == (2, 1)
    assert not (path.parent / "runs/films/main").exists()
    return error


def replace_by(name: str, make: Film) -> Film:
    def change(folder: Path) -> None:
        make(folder / name)

    return change


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def csv(folder: Path, text: Callable[[int], str], header: str) -> None:
    lines = [f"films/{('sick', 'well')[n % 2]}/{n}.png,{text(n)}" for n in range(NUM)]
    (folder / "films.csv").write_text("\n".join([f"image,{header}", *lines]) + "\n")


LISTED = {"label_from": None, "manifest": "films.csv"}


@pytest.mark.parametrize(
    ("damage", "source", "sentence"),
    [
        (
            replace_by("films/sick/0.png", cut),
            {},
            r"1 of 70 .* \(once, first films/sick/0.png\) because of a truncated or damaged pic",
        ),
        (
            replace_by("films/well/1.png", lambda p: p.write_text("no picture")),
            {},
            r"first films/well/1.png\) because of bytes that are no picture; leave the file out",
        ),
        (
            replace_by("films/sick/2.png", lambda p: Image.fromarray(noise(2, 9, 8)).save(p)),
            {},
            "films/sick/2.png is 9 x 8 pixels, others 8 x 8; set size",
        ),
        (
            replace_by(
                "films/sick/2.png",
                lambda p: Image.fromarray(noise(2, 8, 8).astype(np.uint16) * 256).save(p),
            ),
            {},
            "films/sick/2.png has 16 bits a pixel, others 8; set bits to bring",
        ),
        (
            lambda folder: write_png(folder / "films/ill/99.png", 99, height=8, width=8),
            {"labels": ["sick", "well"]},
            r"films/ill/99.png has the label 'ill', which is not among labels \['sick', 'well'\]",
        ),
        (lambda folder: None, {"only": ["sick", "ill"]}, "no picture has the label 'ill'; remove"),
        (
            lambda folder: csv(
                folder,
                lambda n: f"p{n % 9},{'test' if n < 40 else 'train'},a",
                "patient,split,label",
            ),
            LISTED,
            r"9 patients are in several parts .* that of films/\w+/\d+.png \(held out\) and films/",
        ),
        (
            lambda folder: csv(folder, lambda n: f"{'dev' if n == 7 else 'train'}", "split"),
            LISTED,
            "films/well/7.png has the split 'dev'; write train, val, validation, test",
        ),
        (
            lambda folder: csv(folder, lambda n: "a,b" if n == 7 else "a", "label"),
            LISTED,
            r"films.csv, line 9: more cells than the 2 columns; put cells with ',' into quotes",
        ),
        (
            lambda folder: (folder / "films.csv").write_bytes(b"image,label\nfilms/a\xff,b\n"),
            LISTED,
            "films.csv: no CSV in UTF-8",
        ),
        (
            lambda folder: write_dicom(folder / "films/sick/0.dcm", noise(0), PixelData=None),
            {"images": ["films/sick/0.dcm"]},
            r"1 of 1 .* first films/sick/0.dcm\) because of DICOM without pixels; leave reports",
        ),
        (
            lambda folder: Image.fromarray(noise(1, 8, 8).astype(np.float32)).save(
                folder / "films/sick/f.tif"
            ),
            {"images": ["films/sick/f.tif"]},
            r"because of a picture of floating point numbers; save it with 8 or 16 bits",
        ),
    ],
)
def test_bad_input_ends_with_one_sentence_that_names_the_file(
    damage: Film,
    source: dict[str, Any],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    films(tmp_path / "films")
    damage(tmp_path)
    found = told(recipe(tmp_path, **source), monkeypatch, capsys)
    assert re.search(rf"^error: .*{sentence}", found)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (["sick", "well", "ill"], "no training picture has the label 'ill'; remove it or add pic"),
        (["sick", "ill"], "films: has the label 'well', which is not among sick, ill; add it or"),
    ],
)
def test_classes_must_be_those_of_the_pictures(
    labels: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    films(tmp_path / "films")
    asked = f"train.objective={{kind: classification, labels: [{', '.join(labels)}]}}"
    assert sentence in told(recipe(tmp_path), monkeypatch, capsys, asked)


def test_a_picture_without_a_label_cannot_be_classified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    films(tmp_path / "films")
    csv(tmp_path, lambda n: "" if n == 3 else "ab"[n % 2], "label")
    found = told(recipe(tmp_path, **LISTED), monkeypatch, capsys)
    assert "films: has 1 pictures without a label; give them one, or train a masked" in found


def test_below_the_bound_they_are_left_out_named_and_kept_as_records(tmp_path: Path) -> None:
    films(tmp_path / "films")
    cut(tmp_path / "films/sick/0.png")
    said: list[str] = []
    path = recipe(tmp_path, max_bad=0.1)
    run = run_of(carry(load_recipe(path), tmp_path / "runs", tmp_path, Listener(say=said.append)))
    assert said[0] == (
        "films: left out films/sick/0.png: a truncated or damaged picture; copy the file again"
    )
    manifest = json.loads(
        (run.folder.parent / run.manifest.data["films"] / "manifest.json").read_text()
    )
    assert manifest["quarantine"] == [
        {
            "path": "films/sick/0.png",
            "row": 0,
            "reason": "a truncated or damaged picture",
            "way_out": "copy the file again",
        }
    ]
    assert manifest["train"]["num_pictures"] + manifest["held_out"]["num_pictures"] == NUM - 1


SECRET = ("SECRET77", "Qxsite", "Qxroe", "QXJANE", "19700101", "20200131", "QX4711")


def test_no_name_of_a_person_reaches_any_file_of_a_run(tmp_path: Path, with_pages: None) -> None:
    """In headers, folders, names of files, of broken ones too: searched in every byte written."""
    header = {
        "PatientName": "Qxroe^QXJANE",
        "PatientBirthDate": "19700101",
        "InstitutionName": "Qxsite",
        "AccessionNumber": "QX4711",
        "Rows": 8,
        "Columns": 8,
    }
    folder = tmp_path / "in"
    for number in range(80):
        patient = f"SECRET77{number // 4:02d}"
        name = f"{patient.lower()}-Qxroe_QxJane_19700101_20200131_qx4711_{number}.dcm"
        pixels = noise(number, 8, 8).astype(np.uint16)
        given = {**header, "PatientID": patient, "StudyInstanceUID": f"1.2.77.{number}"}
        if number == 7:
            given["PixelData"] = None
        path = write_dicom(folder / patient / name, pixels, **given)
        if number == 3:
            cut(path)
    other = {"PatientID": "SECRET7799", "Modality": "SR"}
    write_dicom(folder / "SECRET7799/SECRET7799.dcm", noise(99, 8, 8), **header, **other)
    broken = folder / "SECRET7798/broken-SECRET7798.dcm"
    broken.parent.mkdir()
    broken.write_text("not DICOM")
    films = {"images": ["in/*/*.dcm"], "max_bad": 0.2}
    changes = {"sources": {"films": films}, "replay": {"fraction": 0}, "evaluate__every": 0}
    stage = {"name": "one", "data": "films", "images": 2 * PER_STEP}
    said: list[str] = []
    run = run_of(
        carry(
            digits(**changes, stages=[stage]),
            tmp_path / "runs",
            tmp_path,
            Listener(say=said.append),
        )
    )
    # The screen, which may become a log, tells where a broken file stands among all by its name.
    assert any("dcm (file 81 by name): a header that is not DICOM" in line for line in said)
    assert not [name for name in SECRET if any(name.lower() in line.lower() for line in said)]
    written = [p for p in (tmp_path / "runs").rglob("*") if p.is_file()]
    names = {p.name for p in written}
    assert names >= {"pictures.parquet", "report.html", "audit.json", "summary.json", "evals.jsonl"}
    for path in written:
        content = path.read_bytes().lower() + str(path.relative_to(tmp_path)).lower().encode()
        found = [name for name in SECRET if name.lower().encode() in content]
        assert not found, (path, found)
    audit = json.loads((run.folder.parent / "data" / "audit.json").read_text())
    assert audit["by_source"]["films"]["patients"] == 20
    assert audit["split_by"] == "patient"


def test_finished_pictures_are_used_when_the_files_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films(tmp_path / "films")
    loaded = load_recipe(recipe(tmp_path))
    first = run_of(carry(loaded, tmp_path / "runs", tmp_path))
    audit = (first.folder.parent / "data/audit.json").read_bytes()
    monkeypatch.setattr("evergrow.data.pictures.source_pictures", None)  # not read again
    carry(loaded, tmp_path / "runs", tmp_path)
    assert (first.folder.parent / "data/audit.json").read_bytes() == audit
    for path in (tmp_path / "films").rglob("*.png"):
        path.unlink()
    said: list[str] = []
    carry(loaded, tmp_path / "runs", tmp_path, Listener(say=said.append))
    assert said[0] == "films: its files are gone; its finished data is used"


def test_what_an_earlier_source_has_is_dropped_from_a_later_one_when_asked(tmp_path: Path) -> None:
    pictures = np.stack([noise(n, 8, 8) for n in range(160)])
    np.savez(tmp_path / "one.npz", images=pictures[:80])
    np.savez(tmp_path / "two.npz", images=pictures[70:])
    sources = {name: {"images": [f"{name}.npz"]} for name in ("one", "two")}
    stages = [{"name": n, "data": n, "images": 2 * PER_STEP} for n in sources]
    with pytest.raises(
        InputError, match=r"two: 10 pictures occur twice.* first one.npz#70 of one and two.npz#0"
    ):
        carry(digits(sources=sources, stages=stages), tmp_path / "a", tmp_path)
    sources["two"]["duplicates"] = "drop"
    run = run_of(carry(digits(sources=sources, stages=stages), tmp_path / "b", tmp_path))
    data = run.folder.parent / run.manifest.data["two"]
    assert json.loads((data / "manifest.json").read_text())["num_dropped"] == 10


def two_labels(folder: Path) -> dict[str, Any]:
    """80 films of which three repeat others; one of them has another label than its twin."""
    pictures = np.stack([noise(n, 8, 8) for n in range(80)])
    pictures[77:] = pictures[:3]
    np.savez(folder / "films.npz", images=pictures, labels=np.arange(80) % 2)
    stage = {"name": "films", "data": "films", "images": 2 * PER_STEP}
    return {"sources": {"films": {"images": ["films.npz"]}}, "stages": [stage]}


@pytest.mark.parametrize("duplicates", ["refuse", "drop"])
def test_equal_pixels_of_two_labels_are_refused_with_a_list(
    duplicates: str, tmp_path: Path
) -> None:
    recipe = two_labels(tmp_path)
    recipe["sources"]["films"]["duplicates"] = duplicates
    said: list[str] = []
    with pytest.raises(
        InputError, match=r"label '0' and films.npz#77 of label '1'.*; the audit in"
    ):
        carry(digits(**recipe), tmp_path, tmp_path, Listener(say=said.append))
    assert "films: equal: films.npz#0, films.npz#77" in said
    data = tmp_path / "digits/data"
    assert [path.name for path in data.iterdir()] == ["refused.json"]
    exact = json.loads((data / "refused.json").read_text())["exact"]
    assert [pair["second"] for pair in exact["listed"]] == [f"films.npz#{n}" for n in (77, 78, 79)]
    assert exact["label_conflicts"][0]["labels"] == ["0", "1"]


def test_a_corrected_recipe_is_prepared_again_until_a_run_has_begun(tmp_path: Path) -> None:
    films(tmp_path / "films")
    loaded = load_recipe(recipe(tmp_path, images=["films/sick/*.png", "films/well/*.png"]))
    wrong = override(loaded.to_data(), "model.patch", 3)  # noticed after the pictures are stored
    wrong = override(wrong, "model", {"preset": "vit_mae", "hidden": 8, "layers": 1, "patch": 3})
    with pytest.raises(InputError, match="does not divide"):
        carry(decode_recipe(wrong), tmp_path / "runs", tmp_path)
    (data,) = (tmp_path / "runs/films/data").glob("films-*")
    loaded = load_recipe(recipe(tmp_path, only=["sick", "well"]))
    carry(loaded, tmp_path / "runs", tmp_path)
    assert not data.exists()
    loaded = load_recipe(recipe(tmp_path))
    with pytest.raises(
        InputError,
        match=r"only was \['sick', 'well'\], and is its default now, but a stage has read",
    ):
        carry(loaded, tmp_path / "runs", tmp_path)


def test_finished_data_is_not_audited_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = digits(stages__1__images=2 * PER_STEP, stages__0__images=2 * PER_STEP)
    carry(recipe, tmp_path, tmp_path)
    called: list[str] = []
    for name in ("audit", "stored_entries", "difference_hash"):
        place = f"evergrow.data.pictures.{name}"
        monkeypatch.setattr(place, lambda *given, name=name: called.append(name))
    carry(recipe, tmp_path, tmp_path)
    assert called == []


def test_the_digits_of_the_study_are_those_that_were_measured(tmp_path: Path) -> None:
    """Their split decides the numbers in docs/log.md."""
    study = load_recipe(Path(__file__).parents[2] / "recipes" / "images.yaml")
    asked = Asked(tmp_path, tmp_path, lambda said: None)
    made = prepare_pictures(asked, study.sources, study.held_out)  # pyright: ignore
    files = [made.data["zero-one"] / p / "pixels.bin" for p in ("train", "held_out")]
    files += [made.data["eight-nine"] / "held_out" / "pixels.bin"]
    sums = [checksum(path)[:16] for path in files]
    assert sums == ["ff7a62cff1dfd821", "65cdb99a7a44c759", "0d0367ffa833031a"]
    assert made.manifests["zero-one"]["made"]["version"] == 3
