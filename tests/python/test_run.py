"""Verbs that train, from Python: strings or paths in, results that go on."""

import re
from pathlib import Path
from typing import Any

import pytest
from flow.tiny import PER_STEP, RECIPE

import evergrow
from evergrow.errors import InputError
from evergrow.python.results import Record, Release, Result
from evergrow.python.run import globs_of
from evergrow.recipe import load_recipe

SILENT = evergrow.Listener()


def test_a_recipe_is_a_file_or_plain_data(base: Path, lived: Path, tmp_path: Path,
                                          monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.chdir(base)
    made = evergrow.run(RECIPE, {"stages.1.tokens": "1024"}, runs=tmp_path, listener=SILENT)
    assert made.folder == tmp_path / "tiny"
    first = evergrow.load(lived).arm().loss_matrix[0]
    assert made.arm().loss_matrix[0] == first
    assert made.arm().num_tokens == 12 * PER_STEP + 1024


def test_a_result_has_the_numbers_the_page_and_the_releases(lived: Path) -> None:
    result = evergrow.load(str(lived))
    arm = result.arm("main")
    assert result.summary.streams == ["one", "two"]
    assert result.report == lived / "report.html"
    assert result.report.exists()
    assert result.release().folder == lived / "main/releases/two"
    assert result.release("one").folder == lived / "main/releases/one"
    assert result.release("one").node.fed == {"land": 12 * PER_STEP}
    (row,) = result.rows()
    assert row == {
        "arm": "main", "seed": "0", "average": arm.average, "forgetting": arm.forgetting,
        "backward_transfer": arm.backward_transfer, "forward_transfer": arm.forward_transfer,
        "transient_peak": arm.transient_peak, "one": arm.loss_matrix[1][0],
        "two": arm.loss_matrix[1][1],
    }  # fmt: skip


def test_what_a_result_does_not_have_is_said(lived: Path) -> None:
    result = evergrow.load(lived)
    with pytest.raises(InputError, match="has main, got 'cosine'; name one"):
        result.arm("cosine")
    with pytest.raises(InputError, match="has one, two, got three"):
        result.release("three")
    with pytest.raises(InputError, match="neither a recipe's folder nor a run in one"):
        evergrow.load(lived.parent)


def test_a_life_goes_on_from_results(base: Path, tmp_path: Path) -> None:
    result = evergrow.run(base / "tiny.yaml", runs=tmp_path, listener=SILENT)
    longer = evergrow.extend(result, 4 * PER_STEP, listener=SILENT)
    assert longer.arm().num_tokens == 28 * PER_STEP
    later = evergrow.continue_(
        longer, base / "sky/*.txt", tokens="512", replay=0.5, listener=SILENT
    )
    assert later.summary.streams == ["one", "two", "sky"]
    fed = later.release().node.fed
    assert fed["sky"] == 256
    assert fed["land"] + fed["sea"] == 28 * PER_STEP + 256
    release = evergrow.anneal(later, 256, shape="linear", listener=SILENT)
    assert isinstance(release, Release)
    assert release.node.kind == "branch"
    assert release.folder == later.folder / "main/releases/sky-anneal-256"
    names, num_bytes = evergrow.prune(later, dry=True)
    assert names
    assert num_bytes > 0


def test_a_model_without_a_run_begins_one(base: Path, lived: Path, tmp_path: Path) -> None:
    model = evergrow.load(lived).release("one")
    settings: dict[str, Any] = {
        "held_out": RECIPE["held_out"], "train": RECIPE["train"], "evaluate.part": 500
    }  # fmt: skip
    result = evergrow.continue_(
        model, [base / "sky/0*.txt", base / "sky/1*.txt"], tokens=4 * PER_STEP, peak_lr=1e-3,
        evaluate=base / "sea/*.txt", settings=settings, runs=tmp_path, listener=SILENT,
    )  # fmt: skip
    assert result.folder == tmp_path / "sky"
    assert result.summary.streams == ["sky"]
    assert list(result.arm().extra) == ["old"]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"tokens": "two"}, "tokens: expected a count such as 20B, 500M or 4k, got 'two'"),
        ({"tokens": 0}, "tokens: expected at least one, got 0"),
        ({"peak_lr": 1e-3}, "peak_lr: .* is a run, whose schedule goes on; leave it out"),
        ({"evaluate": "old"}, "is a run; measure it with eval_"),
        ({"data": "*.txt"}, r"name: \['\*.txt'\] name no folder; give the new stage a name"),
        ({"data": ()}, "name no folder; give the new stage a name"),
    ],
)
def test_what_a_run_cannot_take_is_one_sentence(
    lived: Path, wrong: dict[str, Any], sentence: str
) -> None:
    said: dict[str, Any] = {"data": "sky/*.txt", "tokens": 512, **wrong}
    with pytest.raises(InputError, match=sentence):
        evergrow.continue_(lived, **said, listener=SILENT)


def test_what_a_model_cannot_take_is_one_sentence(lived: Path) -> None:
    model = lived / "main/releases/one"
    with pytest.raises(InputError, match="has no run, so there is no old data; leave it out"):
        evergrow.continue_(model, "sky", tokens=512, replay=0.5, listener=SILENT)
    with pytest.raises(InputError, match="has no run and has read no files; name some"):
        evergrow.continue_(model, tokens=512, name="sky", listener=SILENT)


@pytest.mark.parametrize(
    ("files", "name"),
    [("my/notes/**/*.md", "notes"), ("a b.txt", "a-b"), (Path("/data/mail.jsonl"), "mail")],
)
def test_a_stage_is_named_after_its_files(files: Any, name: str) -> None:
    from evergrow.python.run import named

    assert named(globs_of(files)) == name


def test_a_plan_shows_what_would_be_done_and_keeps_nothing(base: Path, tmp_path: Path) -> None:
    plan = evergrow.plan(base / "tiny.yaml", runs=tmp_path, listener=SILENT)
    assert isinstance(plan, Record)
    assert [stage["num_steps"] for stage in plan["arms"][0]["stages"]] == [12, 12]
    assert "nothing was written" in str(plan)
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_that_comes_along_is_named_and_one_for_a_folder_written(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = evergrow.init(base / "land", name="begun")
    assert recipe == Path("begun.yaml")
    assert load_recipe(recipe).streams == ["begun"]
    with pytest.raises(InputError, match=r"quickstar: no such file; did you mean 'quickstart'\?"):
        evergrow.run("quickstar", listener=SILENT)


def test_the_listener_hears_every_stage(base: Path, tmp_path: Path) -> None:
    heard: list[tuple[str, int]] = []
    said: list[str] = []
    listener = evergrow.Listener(lambda p: heard.append((p.stage, p.total)), said.append)
    result = evergrow.run(base / "tiny.yaml", runs=tmp_path, listener=listener)
    assert {("one", 12 + 3), ("two", 12 + 3)} <= set(heard)
    assert any(re.search("main, one", sentence) for sentence in said)
    assert isinstance(result, Result)
