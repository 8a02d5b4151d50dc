"""``evergrow soup``: releases of a run, folders of anywhere, what is written and what refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from flow.tiny import carry, losses_at, sky, tiny
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from evergrow.errors import InputError
from evergrow.flow import souping
from evergrow.flow.look import evaluate
from evergrow.flow.souping import soup
from evergrow.lineage import FILE, Soup, read_node, refuse_changed
from evergrow.listener import Listener
from evergrow.run import Run


@pytest.fixture(scope="module")
def seeds(base: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Two seeds of one recipe whose model has the same beginning: a release of another."""
    carried = carry(tiny(seeds=[0, 1]), tmp_path_factory.mktemp("seeds"), base)
    return [Run(carried.folder / "main" / f"seed-{seed}") for seed in (0, 1)]


def release(run: Run, name: str = "two") -> str:
    return str(run.folder / "releases" / name)


def weights(folder: Path | str) -> dict[str, torch.Tensor]:
    return load_file(Path(folder) / "model.safetensors")


def equally_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """All losses are held to be 1: the average is taken."""
    whole = souping._losses

    def flat(*given: Any) -> tuple[dict[str, float], list[str], str]:
        losses, judged, unit = whole(*given)
        return dict.fromkeys(losses, 1.0), judged, unit

    monkeypatch.setattr(souping, "_losses", flat)


def test_releases_of_a_run_are_measured_on_its_streams(whole: Path, tmp_path: Path) -> None:
    """Far from each other, one of them is better than their average: it is the release."""
    run = Run(whole)
    made = soup([release(run, "one"), release(run, "two")], tmp_path / "out", [], Listener())
    assert [one.name for one in made.soup.candidates] == ["one", "two", "average"]
    assert (made.soup.measured_on, made.soup.unit) == (["land", "sea"], "bits per byte")
    found = {name: line.loss for name, line in losses_at(run, "two").items()}
    assert made.soup.candidates[1].loss == pytest.approx((found["land"] + found["sea"]) / 2)
    assert made.soup.chosen == min(made.soup.candidates, key=lambda one: one.loss).name
    node = read_node(tmp_path / "out")
    assert node is not None
    assert (node.kind, node.parents) == ("soup", [s.key for s in run.manifest.stages])
    assert Soup.model_validate(node.details["soup"]) == made.soup
    assert node.scores == made.scores[made.soup.chosen]
    assert not [path for path in tmp_path.iterdir() if path.name != "out"]


def test_the_average_of_two_seeds_is_a_whole_release(
    seeds: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    equally_good(monkeypatch)
    models = [release(run) for run in seeds]
    made = soup(models, tmp_path / "out", [], Listener())
    assert made.soup.chosen == "average"
    names = [one.name for one in made.soup.candidates]
    assert names == ["seed-0/releases/two", "seed-1/releases/two", "average"]
    one, two = (weights(model) for model in models)
    for name, tensor in weights(tmp_path / "out").items():
        assert torch.equal(tensor, ((one[name].double() + two[name].double()) / 2).float())
    AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    AutoTokenizer.from_pretrained(tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "2 models and the average of their weights (1.0000); this is the best, average" in card
    assert str(tmp_path) not in card and str(seeds[0].folder) not in card
    assert evaluate(tmp_path / "out", sky_of(seeds[0]), None)[0].loss > 0


def sky_of(run: Run) -> list[str]:
    """Files of the third stream, beside those that the run read."""
    return sky(Path((run.folder.parent.parent / ".base").read_text().strip()))


def test_a_soup_is_sealed_and_a_damaged_model_is_none(whole: Path, tmp_path: Path) -> None:
    run = Run(whole)
    models = [release(run, "one"), str(shutil.copytree(release(run, "two"), tmp_path / "two"))]
    made = soup([*models[:1], release(run, "two")], tmp_path / "out", [], Listener())
    refuse_changed(made.folder)
    node = read_node(made.folder)
    assert node is not None and {"model.safetensors", "config.json"} <= node.files.keys()
    file = tmp_path / "two" / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(InputError, match="damaged or changed"):
        soup(models, tmp_path / "again", ["x"], Listener())


def test_folders_of_anywhere_are_measured_on_files(
    seeds: list[Run], base: Path, tmp_path: Path
) -> None:
    models = [shutil.copytree(release(run), tmp_path / f"m{n}") for n, run in enumerate(seeds)]
    made = soup([str(m) for m in models], tmp_path / "out", sky(base), Listener())
    assert made.soup.measured_on == sky(base)
    expected = evaluate(models[0], sky(base), None)[0].loss
    assert made.soup.candidates[0].loss == pytest.approx(expected)


@pytest.fixture
def two(seeds: list[Run], tmp_path: Path) -> list[Path]:
    return [Path(shutil.copytree(release(run), tmp_path / f"m{n}")) for n, run in enumerate(seeds)]


def refused(models: list[Any], tmp_path: Path, files: list[str] | None = None) -> str:
    with pytest.raises(InputError) as caught:
        soup([str(model) for model in models], tmp_path / "out", files or [], Listener())
    assert not (tmp_path / "out").exists()
    return str(caught.value)


def test_one_model_or_the_same_twice_is_no_soup(two: list[Path], tmp_path: Path) -> None:
    assert refused(two[:1], tmp_path).startswith("soup: expected two models or more, got 1; name")
    again = refused([two[0], f"{two[0]}/../m0"], tmp_path)
    assert again.startswith(f"soup: {two[0]}/../m0 is given twice")


def test_a_model_of_another_tokenizer_is_refused_by_its_first_id(
    two: list[Path], tmp_path: Path
) -> None:
    (two[1] / FILE).unlink()  # its record would tell of the change
    path = two[1] / "tokenizer.json"
    data = json.loads(path.read_text())
    vocabulary = data["model"]["vocab"]
    by_id = {number: piece for piece, number in vocabulary.items()}
    merged = sorted(by_id)[-1]
    vocabulary[by_id[100]], vocabulary[by_id[merged]] = merged, 100
    path.write_text(json.dumps(data))
    Tokenizer.from_file(str(path))
    said = refused(two, tmp_path, ["x"])
    assert said.startswith(
        f"{two[1]}: its tokenizer has {by_id[merged]!r} at id 100, where that of"
    )
    assert f"has {by_id[100]!r}" in said


def test_equal_ids_by_other_rules_are_refused(two: list[Path], tmp_path: Path) -> None:
    (two[1] / FILE).unlink()  # its record would tell of the change
    path = two[1] / "tokenizer.json"
    data = json.loads(path.read_text())
    data["model"]["merges"].reverse()
    path.write_text(json.dumps(data))
    assert "has the ids of that of" in refused(two, tmp_path, ["x"])


def test_models_without_a_text_in_common_ask_for_one(
    two: list[Path], seeds: list[Run], whole: Path, tmp_path: Path
) -> None:
    said = f"{two[0].name}: belongs to no run here; say with --evaluate on which files to measure"
    assert refused(two, tmp_path) == said
    other = [release(seeds[0]), release(Run(whole))]
    assert "belongs to another run than" in refused(other, tmp_path)


def test_a_folder_that_is_there_is_not_replaced(two: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is there already; name a new folder"):
        soup([str(m) for m in two], two[0], [], Listener())
