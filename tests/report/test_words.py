"""Numbers as text, and sentences that claim no more than the run shows."""

import json
from collections.abc import Callable
from pathlib import Path

from evergrow.report.folder import read_run_folder
from evergrow.report.words import MEASURES, best_arms, bits, count, headline, listing, size, verdict

Make = Callable[..., Path]


def test_numbers_as_text() -> None:
    assert [count(n) for n in (0, 812, 8412.7, 179_200, 999_800, 2.5e9)] == [
        "0", "812", "8.41k", "179k", "1M", "2.5B"
    ]  # fmt: skip
    assert bits(-0.0594) == "\u22120.059"
    assert bits(None) == bits(float("nan")) == "\u2013"
    assert [size(n) for n in (812, 1_500_000)] == ["812 B", "1.5 MB"]
    assert listing(["a", "b", "c"]) == "a, b and c"


def test_headline_names_least_and_most_forgetting_and_gives_no_verdict(made: Make) -> None:
    folder = read_run_folder(made())
    scores = {arm.name: arm.scores.forgetting for arm in folder.arms if arm.scores}
    least, most = (
        min(scores, key=lambda a: scores[a] or 0),
        max(scores, key=lambda a: scores[a] or 0),
    )
    text = headline(folder)
    assert f"{least} forgot least ({scores[least]:.3f} bits per byte on average)" in text
    assert f"{most} most ({scores[most]:.2f})" in text
    assert text.endswith("One seed: no verdict.")
    assert verdict(folder) == ""


def test_with_seeds_the_comparison_is_paired(made: Make) -> None:
    folder = read_run_folder(made(num_seeds=3, arms=("cosine", "cosine-replay")))
    assert "no verdict" not in headline(folder)
    assert "cosine-replay below cosine, a line for the log" in verdict(folder)
    assert "3 seeds" in verdict(folder)


def test_one_stream_says_that_nothing_could_be_forgotten(made: Make) -> None:
    folder = read_run_folder(made(arms=("infinite",), streams=("english",), start="some/model"))
    assert headline(folder).startswith("The model learnt english (3.05 \u2192 2.9")
    assert headline(folder).endswith("With one stream, nothing could be forgotten.")


def test_before_the_first_release_nothing_is_judged(made: Make) -> None:
    folder = read_run_folder(made(progress=0.1, status="running"))
    assert headline(folder) == "Nothing has been released yet, so there is nothing to judge."


def test_best_follows_the_measures_direction_and_ignores_ties(made: Make) -> None:
    folder = read_run_folder(made())
    measures = {measure.key: measure for measure in MEASURES}
    values = {arm.name: arm.scores for arm in folder.arms if arm.scores}
    lowest = min(values, key=lambda name: values[name].average or 0)
    highest = max(values, key=lambda name: values[name].backward_transfer or 0)
    assert best_arms(folder, measures["average"]) == {lowest}
    assert best_arms(folder, measures["backward_transfer"]) == {highest}
    assert best_arms(folder, measures["tokens_per_second"]) == set()
    alone = read_run_folder(made(arms=("cosine",)))
    assert best_arms(alone, measures["average"]) == set()


def test_gains_on_old_streams_are_not_called_forgetting(made: Make) -> None:
    path = made(arms=("cosine", "cosine-replay"))
    summary = json.loads((path / "summary.json").read_text())
    for arm, forgetting in (("cosine", -0.077), ("cosine-replay", -0.162)):
        summary["arms"][arm]["forgetting"] = forgetting
    (path / "summary.json").write_text(json.dumps(summary))
    text = headline(read_run_folder(path))
    assert "Nothing was forgotten: earlier streams ended 0.08 to 0.16 bits per byte lower" in text
    assert "forgot least" not in text
