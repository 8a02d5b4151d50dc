import json
import math
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evergrow.cli import app
from evergrow.errors import InputError, Stopped
from evergrow.listener import Listener
from evergrow.recipe import Recipe
from evergrow.run import Run
from evergrow.studies import STUDIES
from evergrow.studies.dial import SEED, Dial
from evergrow.studies.findings import Arms, Findings
from evergrow.studies.harness import (
    Claim,
    Study,
    carry_out_study,
    judge,
    study_recipe,
    write_findings,
)
from evergrow.studies.readings import released
from evergrow.studies.table import claims_table, numbers_table, what_is_missing

BELOW = Claim("low learns more", ("low", "new"), "below", ("high", "new"))
ABOVE = Claim("low learns less", ("low", "new"), "above", ("high", "new"))
EQUAL = Claim("no matter", ("low", "new"), "equal", ("high", "new"), margin=0.75)


def values(low: list[float], high: list[float]) -> dict[str, dict[str, dict[int, float]]]:
    return {"low": {"new": dict(enumerate(low))}, "high": {"new": dict(enumerate(high))}}


def verdicts(claim: Claim, differences: list[float]) -> str:
    found = values([2.0 + d for d in differences], [2.0] * len(differences))
    return judge([claim], found)[0].verdict


def test_a_claim_is_judged_by_the_paired_interval() -> None:
    # differences -0.5, -0.6, -0.4: mean -0.5, sd 0.1, t = 4.3027 at two degrees of freedom
    found = judge([BELOW], values([1.0, 1.1, 1.2], [1.5, 1.7, 1.6]))[0]
    assert found.difference is not None
    assert found.difference.mean == pytest.approx(-0.5)
    assert found.difference.interval == pytest.approx((-0.74841, -0.25159), abs=1e-5)
    assert found.seeds == [0, 1, 2]
    assert found.verdict == "suggested"
    assert "suggests low, new below high, new" in found.difference.comparison


def test_pairs_are_the_seeds_that_both_sides_have_whatever_their_order() -> None:
    numbers = {
        "low": {"new": {7: 1.2, 0: 1.0, 3: 1.1}},
        "high": {"new": {0: 1.5, 3: 1.7, 7: 1.6, 9: 99.0}},
    }
    found = judge([BELOW], numbers)[0]
    assert found.seeds == [0, 3, 7]
    assert found.difference is not None
    assert found.difference.mean == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("claim", "differences", "expected"),
    [
        (BELOW, [-0.5, -0.6], "too few seeds"),
        (BELOW, [-0.5], "too few seeds"),
        (BELOW, [], "too few seeds"),
        (BELOW, [-0.5, -0.6, 0.4], "not shown"),
        (ABOVE, [-0.5, -0.6, -0.4], "opposite suggested"),
        (BELOW, [-0.5, -0.6, -0.4, -0.5, -0.6, -0.4], "reproduced"),
        (ABOVE, [-0.5, -0.6, -0.4, -0.5, -0.6, -0.4], "contradicted"),
        (EQUAL, [-0.5, -0.6, -0.4], "suggested"),  # -0.748 lies inside -0.75
        (EQUAL, [-0.51, -0.61, -0.41], "not shown"),  # -0.758 does not
        (EQUAL, [-1.5, -1.6, -1.4], "opposite suggested"),
        (EQUAL, [1.5, 1.6, 1.4], "opposite suggested"),
        (EQUAL, [0.0, 0.1, -0.1, 0.0, 0.1, -0.1], "reproduced"),
        (EQUAL, [1.5, 1.6, 1.4, 1.5, 1.6, 1.4], "contradicted"),
    ],
)
def test_the_words_of_a_verdict(claim: Claim, differences: list[float], expected: str) -> None:
    assert verdicts(claim, differences) == expected


def test_p_values_are_corrected_for_the_claims_of_a_difference() -> None:
    numbers = values([1.0, 1.1, 1.2], [1.5, 1.7, 1.6])
    below, equal = (found.difference for found in judge([BELOW, EQUAL], numbers))
    assert below is not None and equal is not None
    assert below.p_holm == below.p_value == pytest.approx(0.013072, abs=1e-6)
    assert equal.p_holm is None
    two = [found.difference for found in judge([BELOW, ABOVE], numbers)]
    assert [found and found.p_holm for found in two] == pytest.approx([0.026144] * 2, abs=1e-6)


# a study small enough to be carried out here

TINY: dict[str, Any] = {
    "name": "tiny",
    "sources": {
        "old": {"installed": "english", "max_bytes": 20_000},
        "new": {"installed": "python", "max_bytes": 20_000},
    },
    "held_out": {"fraction": 0.1, "tokens": 200},
    "tokenizer": {"vocab_size": 270},
    "model": {"preset": "olmo2", "hidden": 16, "layers": 1, "heads": 2, "ffn": 32},
    "train": {"sequence_length": 16, "batch_size": 2},
    "schedule": {"kind": "cosine", "peak_lr": 1e-2},
    "stages": [
        {"name": "old", "data": "old", "tokens": 320},
        {"name": "new", "data": "new", "tokens": 320},
    ],
    "evaluate": {"sample_tokens": 0},
}


def tiny_arms(recipe: Recipe) -> Arms:
    peak = recipe.schedule.peak_lr
    assert peak is not None
    low = {**recipe.schedule.model_dump(), "peak_lr": peak / 100}
    return {"high": {}, "low": {"stages.1.schedule": low}}


STUDY = Study(
    question="Does a rate near zero learn less?",
    paper="none",
    recipe=TINY,
    arms=tiny_arms,
    measures={"new": released("new"), "old": released("old")},
    claims=[Claim("a low rate learns less", ("low", "new"), "above", ("high", "new"))],
)


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Overrides that read generated files, named relative to the current folder."""
    choose = random.Random(0)
    words = {"old": ["tree ", "root ", "leaf "], "new": ["if ", "else:\n", "x = 1\n"]}
    for source, choices in words.items():
        (tmp_path / source).mkdir()
        for i in range(20):
            text = "".join(choose.choice(choices) for _ in range(100))
            (tmp_path / source / f"{i}.txt").write_text(text)
    monkeypatch.chdir(tmp_path)
    return {"data.old": "old/*.txt", "data.new": "new/*.txt"}


def test_seeds_can_be_added_and_a_stop_keeps_what_is_done(
    tmp_path: Path, texts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, said = tmp_path / "runs", []
    listener = Listener(say=said.append)

    two = carry_out_study(STUDY, study_recipe(STUDY, 2, texts), runs, listener)
    assert said[0] == "tiny: 0 of 4 runs done, 4 to go"
    assert two.seeds == [0, 1]
    assert two.claims[0].verdict == "too few seeds"

    said.clear()
    three = carry_out_study(STUDY, study_recipe(STUDY, 3, texts), runs, listener)
    assert said[0] == "tiny: 4 of 6 runs done, 2 to go"
    assert three.seeds == [0, 1, 2]
    for arm in ("high", "low"):
        before, after = two.numbers[arm]["new"], three.numbers[arm]["new"]
        assert before == {seed: after[seed] for seed in (0, 1)}
    found = three.claims[0]
    differences = [
        three.numbers["low"]["new"][s] - three.numbers["high"]["new"][s] for s in range(3)
    ]
    assert min(differences) > 0.1  # bits per byte: ten steps at a hundredth of the rate
    assert found.difference is not None
    assert found.difference.mean == pytest.approx(sum(differences) / 3)
    assert Findings.model_validate_json((runs / "tiny/study.json").read_text()) == three

    stopping = Listener(say=said.append)
    stopping.stop.signal = 15
    with pytest.raises(Stopped):
        carry_out_study(STUDY, study_recipe(STUDY, 4, texts), runs, stopping)
    assert said[-1] == "tiny: 6 of 8 runs done, 2 to go"
    stopped = json.loads((runs / "tiny" / "study.json").read_text())
    assert (stopped["status"], stopped["seeds"]) == ("stopped", [0, 1, 2])

    # asking for fewer seeds again drops none that is done
    again = carry_out_study(STUDY, study_recipe(STUDY, 2, texts), runs, Listener())
    assert again.seeds == [0, 1, 2]
    assert again.claims == three.claims

    monkeypatch.setitem(STUDIES, "tiny", STUDY)
    command = ["study", "tiny", *(f"{k}={v}" for k, v in texts.items()), "--runs", str(runs)]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0
    assert "3 seeds: 3 suggest, 6 make a claim; --seeds 6 trains 3 more" in shown.output
    assert str(runs / "tiny" / "report.html") in shown.output

    anew = carry_out_study(STUDY, study_recipe(STUDY, 2, texts), runs, Listener(), fresh=True)
    assert anew.seeds == [0, 1]
    assert anew.numbers["low"]["new"] == two.numbers["low"]["new"]


def test_every_arm_first_chooses_its_rate_on_a_seed_that_is_not_reported(
    tmp_path: Path, texts: dict[str, Any]
) -> None:
    """The arm whose second stage is at a hundredth of the rate takes the higher of two rates."""
    rates = Dial("rate", (1e-4, 1e-2), lambda recipe, rate: {"schedule.peak_lr": rate}, newest)
    study, runs = replace(STUDY, dial=rates), tmp_path / "runs"
    found = carry_out_study(study, study_recipe(study, 2, texts), runs, Listener())
    assert found.chosen == {"high": 1e-2, "low": 1e-2}
    assert found.seeds == [0, 1]
    assert {arm["schedule.peak_lr"] for arm in found.arms.values()} == {1e-2}
    tried = [Run(folder) for folder in sorted((runs / "tiny-rate").glob("*-[12]"))]
    assert [(run.manifest.arm, run.manifest.seed) for run in tried] == [
        ("high-1", SEED),
        ("high-2", SEED),
        ("low-1", SEED),
        ("low-2", SEED),
    ]
    assert newest(tried[1]) < newest(tried[0]) - 0.1


def newest(run: Run) -> float:
    value = released("new")(run)
    assert value is not None
    return value


def test_what_was_never_reached_can_be_read_again(
    tmp_path: Path, write_run: Callable[..., Run]
) -> None:
    write_run(tmp_path / "low/seed-0", {("new", "release", 200): {"new": 1.0}})
    never = replace(STUDY, measures={"new": lambda run: math.inf})
    found = write_findings(never, study_recipe(STUDY, 2, {}), tmp_path, "done")
    text = (tmp_path / "study.json").read_text()
    assert json.loads(text)["numbers"] == {"low": {"new": {"0": "Infinity"}}}
    assert Findings.model_validate_json(text) == found


def test_only_finished_runs_count(tmp_path: Path, write_run: Callable[..., Run]) -> None:
    for arm, loss in (("low", 3.0), ("high", 2.0)):
        for seed in range(3):
            losses = {("new", "release", 200): {"old": 1.0, "new": loss + seed}}
            run = write_run(tmp_path / arm / f"seed-{seed}", losses)
            if (arm, seed) == ("low", 2):
                run.save(status="stopped")
    recipe = study_recipe(STUDY, 3, {})
    found = write_findings(STUDY, recipe, tmp_path, "stopped")
    assert found.numbers["low"]["new"] == {0: 3.0, 1: 4.0}
    assert found.claims[0].seeds == [0, 1]


def test_arms_follow_what_the_user_overrides() -> None:
    recipe = study_recipe(STUDY, 2, {"schedule.peak_lr": 0.2})
    assert recipe.resolve("low").schedule_of(1).peak_lr == pytest.approx(0.002)
    assert recipe.resolve("high").schedule_of(1).peak_lr == 0.2


def test_data_points_a_source_to_files_and_keeps_the_rest(
    tmp_path: Path, texts: dict[str, Any]
) -> None:
    source = study_recipe(STUDY, 2, texts).sources["old"]
    assert source.files == [str(tmp_path / "old/*.txt")]
    assert (source.installed, source.max_bytes) == (None, 20_000)


@pytest.mark.parametrize(
    ("num_seeds", "overrides", "sentence"),
    [
        (1, {}, "a study compares paired seeds, got 1; give it 2 or more"),
        (2, {"arms": {}}, "arms: a study has its own arms"),
        (2, {"seeds": [1, 2]}, "seeds: a study has its own arms, and --seeds says how many"),
        (2, {"data.cpp": "*.txt"}, "data.cpp: the study has no such source; it has data.old, da"),
        (2, {"train.batchsize": 2}, "recipe.train.batchsize: unknown key; did you mean 'batch_si"),
    ],
)
def test_what_is_refused(num_seeds: int, overrides: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)):
        study_recipe(STUDY, num_seeds, overrides)


def test_tables_show_means_differences_and_what_is_missing() -> None:
    numbers = values([1.0, 1.1, 1.2], [1.5, 1.7, 1.6])
    findings = Findings(
        study="tiny",
        status="done",
        question="Which?",
        paper="A, 2023",
        unit="bits per byte",
        notes=[],
        seeds=[0, 1, 2],
        arms={},
        numbers=numbers,
        claims=judge([BELOW, EQUAL], numbers),
    )
    table = numbers_table(findings)
    assert [list(column.cells) for column in table.columns] == [["low", "high"], ["1.100", "1.600"]]
    claims = [list(column.cells) for column in claims_table(findings).columns]
    assert claims[0] == ["suggested", "", "suggested", ""]
    assert claims[1] == [
        "low learns more",
        "new: low below high: -0.500 (-0.748 to -0.252)",
        "no matter",
        "new: low within 0.75 of high: -0.500 (-0.748 to -0.252)",
    ]
    fewer = claims_table(findings.model_copy(update={"seeds": [0, 1, 2, 3]})).columns[1].cells
    assert "over 3 seeds" in list(fewer)[1]
    sentence = what_is_missing(findings)
    assert sentence is not None and "--seeds 6 trains 3 more" in sentence
    assert what_is_missing(findings.model_copy(update={"seeds": list(range(6))})) is None
