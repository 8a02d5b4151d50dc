"""Sources ranked by short anneals off one trunk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flow.tiny import tiny, write_texts

from evergrow.errors import InputError
from evergrow.flow.recipes import carry_out
from evergrow.listener import Listener
from evergrow.recipe import Recipe
from evergrow.run import Run
from evergrow.schedules import Segment
from evergrow.studies import find_study, microanneal
from evergrow.studies.harness import carry_out_study, study_recipe
from evergrow.studies.microanneal import gains

SIZES = {
    "held_out.tokens": 300,
    "held_out.fraction": 0.1,
    "tokenizer.vocab_size": 300,
    "model.hidden": 16,
    "model.heads": 2,
    "train.sequence_length": 32,
    "train.threads": 1,
    "workers": 1,
}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("texts"))


def asked(texts: Path, **more: Any) -> dict[str, Any]:
    named = {"data.web": "land", "data.sea": "sea", "data.sky": "sky", "target.waves": "sea"}
    files = {key: f"{texts}/{folder}/1*.txt" for key, folder in named.items()}
    files["target.waves"] = f"{texts}/sea/0*.txt"
    return {**files, **SIZES, "stages.0.tokens": 2560, "stages.1.tokens": 10_240, **more}


@pytest.mark.slow
def test_a_trunk_is_trained_once_a_seed_and_every_arm_goes_straight_to_zero(
    texts: Path, tmp_path: Path
) -> None:
    settings = asked(texts)
    study = find_study("microanneal", "text", settings)
    recipe = study_recipe(study, 2, settings)
    assert list(recipe.arms) == ["web", "sea", "sky"]
    findings = carry_out_study(study, recipe, tmp_path, Listener())
    runs = {arm: Run(tmp_path / "microanneal" / arm / "seed-1") for arm in recipe.arms}
    trunks = {run.manifest.stages[0].key for run in runs.values()}
    assert len(trunks) == 1
    lent = {arm: run.manifest.stages[0].shared_with for arm, run in runs.items()}
    assert lent["web"] is None
    assert lent["sea"]
    assert lent["sky"]
    last = runs["sea"].manifest.stages[1]
    assert last.mixture == {"sea": 0.5, "web": 0.5}
    (line,) = [Segment.model_validate(s) for s in last.schedule]
    assert (line.from_lr, line.to_lr, line.shape) == (3e-3, 0.0, "linear")  # no warm-up
    found = gains(findings.numbers, ["sea", "sky"], "target")
    assert min(found["sea"].values()) > max(found["sky"].values())
    ranked = [note for note in findings.notes if note.startswith(("1.", "2."))]
    assert [note.split()[1] for note in ranked] == ["sea", "sky"]
    assert any(note.startswith("sea read sea ") for note in findings.notes)  # and how often


def test_a_candidate_smaller_than_its_half_is_refused_in_one_sentence(
    texts: Path, tmp_path: Path
) -> None:
    settings = asked(texts, **{"stages.1.tokens": 60_000})
    study = find_study("microanneal", "text", settings)
    with pytest.raises(
        InputError, match=r"would read \w+-\w+ .* times .*more than its max_epochs 4"
    ):
        carry_out_study(study, study_recipe(study, 2, settings), tmp_path, Listener())


def test_own_candidates_need_a_target_and_names_of_their_own() -> None:
    with pytest.raises(InputError, match=r"target.NAME=GLOB: missing; say which text"):
        find_study("microanneal", "text", {"data.mail": "mail/*.txt"})
    for taken in ("data.target", "target.web", "target.mail"):
        with pytest.raises(InputError, match="is taken; give the source another name"):
            find_study("microanneal", "text", {"data.mail": "a", "target.x": "b", taken: "c"})


def test_own_files_start_at_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {"data.mail": "mail/*.txt", "target.notes": "notes", "train.batch_size": 8}
    study = find_study("microanneal", "text", settings)
    assert settings == {"train.batch_size": 8}
    recipe = study_recipe(study, 2, settings)
    assert list(recipe.arms) == ["web", "mail"]
    assert recipe.sources["mail"].model_dump()["files"] == [str(tmp_path / "mail/*.txt")]
    assert recipe.evaluate.sources == ["web", "mail", "notes"]


def test_a_branch_off_a_finished_model_goes_down_from_where_its_rate_stopped(
    texts: Path, tmp_path: Path
) -> None:
    made = carry_out(tiny(), tmp_path, texts, Listener()).folder
    recipe = recipe_from(str(made / "main"))
    assert recipe.model.from_ == str(made / "main")
    assert recipe.schedule.kind == "linear"
    assert recipe.schedule.peak_lr == pytest.approx(3e-4)  # a tenth of 3e-3
    assert [stage.name for stage in recipe.stages] == ["anneal"]
    assert recipe.arms["cpp"] == {
        "stages.0.data": None,
        "stages.0.mixture": {"cpp": 0.5, "web": 0.5},
    }
    given = recipe_from(str(made / "main"), **{"schedule.peak_lr": 1e-4})
    assert given.schedule.peak_lr == 1e-4


def recipe_from(model: str, **more: Any) -> Recipe:
    settings = {"from": model, **more}
    return study_recipe(find_study("microanneal", "text", settings), 2, settings)


def test_a_model_that_says_no_rate_is_asked_for_one(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"does not say its rate; give schedule\.peak_lr"):
        recipe_from(str(tmp_path))


def test_sources_are_ranked_by_the_target_with_their_own_part_and_web_beside(
    write_run: Callable[..., Run],
) -> None:
    numbers = {
        "web": {"target": {0: 3.0, 1: 3.1}, "a": {0: 4.0, 1: 4.0}, "web": {0: 2.0, 1: 2.0}},
        "a": {"target": {0: 2.9, 1: 3.0}, "a": {0: 1.0, 1: 1.0}, "web": {0: 2.5, 1: 2.5}},
    }
    (line,) = microanneal._ranked(numbers, ["a"], "")
    assert line == (
        "1. a helps the target by 0.100 bits per byte (0.100 to 0.100) over web alone; its own "
        "held-out part +3.000, web -0.500"
    )
