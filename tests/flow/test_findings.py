"""Recipes on pictures with several findings each, some of them unknown."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flow.tiny import carry, losses_at, run_of, scores_at
from PIL import Image
from sklearn.metrics import roc_auc_score
from transformers import AutoImageProcessor, AutoModelForImageClassification

from evergrow.cli.look import show_scores
from evergrow.errors import InputError
from evergrow.evals.pictures import chances_of
from evergrow.models.load import load_model
from evergrow.run import Run
from evergrow.stage import checkpoints

from .tiny import assert_same, killed_at
from .tiny_pictures import PER_STEP, classifier, page_of

NAMES = ["bright", "striped", "lot"]
SPLITS = {"train": 240, "val": 40, "test": 80}


def films(num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Bright ones, striped ones, and a finding drawn by lot; a third of what is said is unknown."""
    draw = np.random.default_rng(seed)
    truth = (draw.random((num, 3)) < [0.5, 0.3, 0.5]).astype(np.int8)
    pixels = draw.integers(0, 60, (num, 16, 16))
    pixels += 80 * truth[:, 0, None, None]
    pixels[:, ::4] += 90 * truth[:, 1, None, None]
    said = np.where(draw.random((num, 3)) < 1 / 3, -1, truth)
    return pixels.astype(np.uint8), said.astype(np.int8)


def archive(folder: Path, name: str = "films.npz") -> None:
    arrays = {}
    for seed, (split, num) in enumerate(SPLITS.items()):
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = films(num, seed)
    np.savez(folder / name, **arrays)


def recipe(**changes: Any) -> Any:
    base = {
        "sources": {"all": {"images": ["films.npz"], "findings": NAMES}},
        "train__objective": {"kind": "findings"},
        "stages__0__images": 60 * PER_STEP,
        "schedule": {"kind": "cosine", "peak_lr": 1e-2},
        "evaluate": {"every": 30 * PER_STEP, "part": 20},
    }
    return classifier(**{**base, **changes})


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("findings")
    archive(folder)
    return run_of(carry(recipe(), folder, folder))


def test_each_finding_stands_beside_its_share(lived: Run) -> None:
    line = losses_at(lived, "all")["all"]
    assert (line.unit, line.part) == ("log loss a finding", "test")
    assert line.told is not None and line.told.auroc is not None
    bright, striped, lot = line.told.labels
    truth = films(80, 2)[1]
    assert [x.known for x in line.told.labels] == (truth != -1).sum(0).tolist()
    assert [x.present for x in line.told.labels] == (truth == 1).sum(0).tolist()
    assert line.counts == {"num_pictures": 80, "num_known": int((truth != -1).sum())}
    assert bright.auroc and striped.auroc and lot.auroc
    assert bright.auroc.low > 0.95 and striped.auroc.low > 0.9
    assert lot.auroc.low < 0.5 < lot.auroc.high and lot.floor is not None
    assert lot.loss == pytest.approx(lot.floor, abs=0.05)
    assert line.is_learnt and line.floor is not None and line.loss < line.floor
    weights = [x.known for x in line.told.labels]
    mean = np.average([x.loss or 0 for x in line.told.labels], weights=weights)
    assert line.loss == pytest.approx(mean)
    looks = [look for look in lived.read("evals") if look["source"] == "all"]
    assert {look["part"] for look in looks} == {"val"} and "told" not in looks[0]


def test_a_release_is_a_folder_of_transformers_that_predicts(lived: Run) -> None:
    folder = lived.folder / "releases" / "all"
    model: Any = AutoModelForImageClassification.from_pretrained(folder)
    assert model.config.problem_type == "multi_label_classification"
    assert model.config.id2label == dict(enumerate(NAMES))
    assert model.config.num_labels == 3
    pixels = films(80, 2)[0]
    processor: Any = AutoImageProcessor.from_pretrained(folder)
    read = processor([Image.fromarray(x) for x in pixels], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        chances = model(read).logits.sigmoid().numpy()
    assert np.allclose(read[:, 0].numpy(), pixels / 255, atol=1e-6)
    assert np.allclose(
        chances,
        chances_of(load_model(folder), torch.from_numpy(pixels / 255).float()[:, None]),
        atol=1e-5,
    )
    truth = films(80, 2)[1][:, 0]
    told = losses_at(lived, "all")["all"].told
    area = roc_auc_score(truth[truth != -1], chances[truth != -1, 0])
    assert told and told.labels[0].auroc and told.labels[0].auroc.value == pytest.approx(area)


def test_the_screen_shows_every_finding(lived: Run, capsys: pytest.CaptureFixture[str]) -> None:
    line = losses_at(lived, "all")["all"]
    show_scores([line])
    table = capsys.readouterr().out
    assert line.told is not None
    for label in line.told.labels:
        assert label.auroc is not None
        assert label.label in table and f"{label.auroc.value:.3f}" in table
        assert f"{label.prevalence:.3f}" in table


def test_the_page_shows_every_finding_and_the_sheet_of_val(lived: Run) -> None:
    page = page_of(lived)
    line = losses_at(lived, "all")["all"]
    assert line.told is not None and line.told.labels[0].auroc is not None
    assert f'<data value="{line.told.labels[0].auroc.value}">' in page
    (sheet,) = (line for score in scores_at(lived, "all") for line in score.shown)
    assert sheet.num_right > 0
    assert all(case.told in case.is_ for case in sheet.cases[: sheet.num_right])
    assert not any(case.told in case.is_ for case in sheet.cases[sheet.num_right :])


def test_killed_it_goes_on_to_the_same_bytes(
    lived: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(tmp_path)
    with killed_at(monkeypatch, checkpoints, "save_checkpoint", 3, True):
        carry(recipe(), tmp_path, tmp_path)
    assert_same(run_of(carry(recipe(), tmp_path, tmp_path)).folder, lived.folder)


def chexpert(folder: Path, num: int = 120) -> None:
    """A table as CheXpert has it, some films of each patient, blanks where nobody speaks."""
    pixels, said = films(num, 0)
    rows = ["Path,Patient,bright,striped,lot"]
    for n, (picture, values) in enumerate(zip(pixels, said, strict=True)):
        path = folder / f"p{n // 3}" / f"view{n % 3}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(path)
        cells = ",".join(
            "-1.0" if v == -1 and n % 2 else "" if v == -1 else f"{v}.0" for v in values
        )
        rows.append(f"{path.parent.name}/{path.name},case {n // 3:05},{cells}")
    (folder / "table.csv").write_text("\n".join(rows) + "\n")


def test_a_table_with_patients_and_unknowns(tmp_path: Path) -> None:
    chexpert(tmp_path)
    source = {
        "images": ["p*/*.png"],
        "manifest": "table.csv",
        "columns": {"image": "Path", "patient": "Patient"},
    }
    named = {**source, "findings": NAMES}
    short = {"stages__0__images": 4 * PER_STEP, "evaluate": {"every": 0}}
    run = run_of(carry(recipe(sources={"all": named}, **short), tmp_path, tmp_path))
    line = losses_at(run, "all")["all"]
    assert line.counts["num_patients"] < line.counts["num_pictures"] < line.counts["num_known"]
    audit = json.loads((run.folder.parent / "data" / "audit.json").read_text())
    own = audit["by_source"]["all"]
    bright = own["told"]["findings"]["bright"]
    assert bright["uncertain"] > 0 < bright["unmentioned"]
    assert own["labels"] == {}
    single = {**source, "findings": ["striped"], "only": ["present", "absent"]}
    alone = recipe(sources={"all": single}, name="alone", **short)
    run = run_of(carry(alone, tmp_path, tmp_path))
    line = losses_at(run, "all")["all"]
    assert line.told is not None and [x.label for x in line.told.labels] == ["striped"]
    plain = recipe(
        sources={"all": single},
        name="plain",
        train__objective={"kind": "classification"},
        **short,
    )
    told = losses_at(run_of(carry(plain, tmp_path, tmp_path)), "all")["all"].told
    assert told is not None and [x.label for x in told.labels] == ["absent", "present"]
    assert told.confusion != [] and told.labels[1].present == line.told.labels[0].present


def test_sources_of_other_findings_train_one_head(tmp_path: Path) -> None:
    archive(tmp_path)
    pixels, said = films(120, 9)
    np.savez(tmp_path / "more.npz", images=pixels, labels=said[:, [1]])
    sources = {
        "all": {"images": ["films.npz"], "findings": ["0", "1", "2"]},
        "more": {"images": ["more.npz"], "findings": ["1"]},
    }
    np.savez(tmp_path / "more.npz", images=pixels, labels=said[:, [0, 1]])
    stages = [
        {"name": "all", "data": "all", "images": 3 * PER_STEP},
        {"name": "more", "data": "more", "images": 3 * PER_STEP},
    ]
    run = run_of(carry(recipe(sources=sources, stages=stages), tmp_path, tmp_path))
    line = losses_at(run, "more")["more"]
    assert line.told is not None
    assert [x.label for x in line.told.labels] == ["0", "1", "2"]
    assert [x.known > 0 for x in line.told.labels] == [False, True, False]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train__objective": {"kind": "classification"}}, r"without a label; .* {kind: findings}"),
        ({"sources": {"all": {"pictures": "digits"}}}, "sources.all: has no findings; name them"),
        (
            {"train__objective": {"kind": "findings", "labels": ["bright"]}},
            "has the finding 'striped', which is not among",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    changes: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    archive(tmp_path)
    with pytest.raises(InputError, match=sentence):
        carry(recipe(**changes), tmp_path, tmp_path)


def test_a_finding_that_is_known_only_where_it_is_there_tells_nothing(tmp_path: Path) -> None:
    pixels, said = films(120, 0)
    np.savez(tmp_path / "films.npz", images=pixels, labels=np.where(said == 0, np.nan, said))
    with pytest.raises(InputError, match=r"of which 'bright' is known \d+ show it, so nothing"):
        carry(recipe(), tmp_path, tmp_path)
    zeros = {"kind": "findings", "unmentioned": "zeros"}
    short = {"stages__0__images": 2 * PER_STEP, "evaluate": {"every": 0}}
    line = losses_at(
        run_of(carry(recipe(train__objective=zeros, **short), tmp_path, tmp_path)), "all"
    )["all"]
    assert line.told is not None and 0 < line.told.labels[0].prevalence < 1
