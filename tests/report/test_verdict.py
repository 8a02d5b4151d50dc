"""Sentences and tiles that claim no more than the run shows, and deny nothing of it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from evergrow.report.folder import RunFolder, read_run_folder
from evergrow.report.verdict import (
    Row,
    best_arm,
    forgotten_tile,
    headline,
    in_plain_words,
    learnt_tile,
    mean_rise,
    over_seeds,
)
from evergrow.statistics import compare

Make = Callable[..., Path]
CONTINUED = {"arms": ("cosine",), "streams": ("english",), "start": "some/model"}


def test_headline_names_least_and_most_forgetting_and_gives_no_verdict(made: Make) -> None:
    folder = read_run_folder(made())
    scores = {arm.name: arm.scores.forgetting or 0.0 for arm in folder.arms if arm.scores}
    least, most = min(scores, key=lambda a: scores[a]), max(scores, key=lambda a: scores[a])
    text = headline(folder)
    assert f"{least} forgot least ({scores[least]:.3f} bits per byte on average)" in text
    assert f"{most} most ({scores[most]:.2f})" in text
    assert text.endswith("One seed: no verdict.")
    assert over_seeds(folder) == ""
    assert mean_rise(folder.arms[0]) == pytest.approx(scores["infinite"])


def test_what_is_only_measured_is_in_headline_and_tile(made: Make) -> None:
    folder = read_run_folder(made(**CONTINUED, only_measured=("old",)))
    assert headline(folder).endswith("Forgot old: 2.28 \u2192 2.70 (+0.42).")
    tile = forgotten_tile(folder, [])
    assert (tile.large, tile.unit, tile.is_loss) == ("+0.42", "bits per byte of old", True)
    assert tile.rows == [Row("old (measured only)", "2.28 \u2192 2.70 (+0.42)", True)]


def test_one_stream_denies_no_forgetting_that_was_not_measured(made: Make) -> None:
    folder = read_run_folder(made(**CONTINUED))
    assert headline(folder).startswith("Learnt english 3.05 \u2192 2.9")
    unmeasured = "Nothing older was measured, so nothing is said of forgetting."
    assert headline(folder).endswith(unmeasured)
    assert forgotten_tile(folder, []).unit == unmeasured


def test_tiles_of_several_arms_have_their_ends(made: Make) -> None:
    folder = read_run_folder(made())
    rises = {arm.name: mean_rise(arm) or 0.0 for arm in folder.arms}
    tile = forgotten_tile(folder, [])
    assert tile.large == f"{min(rises.values()):.2f} to {max(rises.values()):.2f}"
    assert [row.name for row in tile.rows] == sorted(rises, key=lambda name: rises[name])
    learnt = learnt_tile(folder)
    assert [row.name for row in learnt.rows] == ["english", "python", "cpp"]
    assert best_arm(folder).name in learnt.unit
    assert best_arm(folder).scores == min(
        (arm.scores for arm in folder.arms if arm.scores), key=lambda s: s.average or 9
    )


def test_what_was_not_learnt_cannot_be_forgotten(made: Make) -> None:
    tile = forgotten_tile(read_run_folder(made()), ["cosine: python"])
    assert (tile.large, tile.is_loss) == ("\u2013", False)
    assert "Not all was learnt" in tile.unit


def test_before_the_first_release_nothing_is_judged(made: Make) -> None:
    folder = read_run_folder(made(progress=0.1, status="running"))
    assert headline(folder) == "Nothing has been released yet, so there is nothing to judge."
    assert learnt_tile(folder).large == forgotten_tile(folder, []).large == "\u2013"


def test_gains_on_old_streams_are_not_called_forgetting(made: Make) -> None:
    folder = with_rises(made, {"cosine": -0.077, "cosine-replay": -0.162})
    text = headline(folder)
    told = "Nothing was forgotten: what was known before ended 0.08 to 0.16 bits per byte lower"
    assert told in text
    assert "forgot least" not in text
    assert forgotten_tile(folder, []).large == "nothing"


def test_more_streams_than_there_is_room_for_are_counted(made: Make) -> None:
    names = tuple(f"old-{number}" for number in range(8))
    tile = forgotten_tile(read_run_folder(made(**CONTINUED, only_measured=names)), [])
    assert (len(tile.shown), tile.num_more) == (6, 2)


def test_classes_show_shares_and_the_trivial_answer(made: Make) -> None:
    path = made(**CONTINUED)
    summary = json.loads((path / "summary.json").read_text())
    change = summary["arms"]["cosine"]["changes"][0]
    change["first"]["beside"] = {"accuracy": 0.1, "balanced_accuracy": 0.1, "auroc": 0.5}
    ends = {
        "accuracy": 0.9,
        "balanced_accuracy": 0.8,
        "auroc": 0.95,
        "majority": 0.2,
        "floor": 0.69,
    }
    change["last"]["beside"] = ends
    (path / "summary.json").write_text(json.dumps(summary))
    tile = learnt_tile(read_run_folder(path))
    assert (tile.large, tile.unit) == ("0.10 \u2192 0.90", "accuracy")
    rows = tile.rows
    assert rows[0].name == "english, bits per byte"
    assert [(row.name.strip(), row.text) for row in rows[1:]] == [
        ("accuracy", "0.10 \u2192 0.90"),
        ("balanced accuracy", "0.10 \u2192 0.80"),
        ("AUROC", "0.50 \u2192 0.95"),
        ("the commonest class alone", "0.20"),
        ("the best constant", "0.69"),
    ]


def test_with_seeds_the_comparison_is_paired_and_in_plain_words(made: Make) -> None:
    folder = read_run_folder(made(num_seeds=3, arms=("cosine", "cosine-replay")))
    assert "no verdict" not in headline(folder)
    text = over_seeds(folder)
    assert text.startswith("Over three seeds cosine-replay forgot 0.")
    assert "less than cosine, in every one (95 % interval 0." in text
    assert text.endswith("Three seeds are a hint; six make a claim.")


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ([1.0, 1.1], "Two seeds are too few to compare a with b; run three or more."),
        ([1.0, 2.1, 2.0], "Over three seeds no difference between a and b is shown: "
         "\u22120.30 bits, and anything from \u22121.81 to +1.21 fits. One of 1.88 would have been "
         "seen four times out of five."),
        ([1.0, 1.1, 0.9, 1.0, 1.0, 1.0], "Over six seeds a forgot 1.00 bits less than b, in every "
         "one (95 % interval 0.93 to 1.07). That is a result."),
    ],
)  # fmt: skip
def test_seeds_in_words_claim_what_they_may(first: list[float], said: str) -> None:
    second = [2.0] * len(first)
    found = compare(first, second, "a", "b")
    pairs = list(zip(first, second, strict=True))
    assert in_plain_words(found, pairs, "a", "b", "forgot", "bits") == said


def with_rises(made: Make, rises: dict[str, float]) -> RunFolder:
    """Two arms whose first stream rose so far."""
    path = made(arms=tuple(rises), streams=("english", "python"))
    summary = json.loads((path / "summary.json").read_text())
    for arm, rise in rises.items():
        english = summary["arms"][arm]["changes"][0]
        english["last"]["loss"] = english["lowest"]["loss"] + rise
    (path / "summary.json").write_text(json.dumps(summary))
    return read_run_folder(path)
