from pathlib import Path

import pytest
from flow.planning import planned
from flow.tiny import PER_STEP, tiny

from evergrow.errors import InputError
from evergrow.flow.plan import first_difference


def test_stages_count_their_steps_from_init() -> None:
    one, two = planned(tiny())
    assert (one.first_step, one.num_steps, one.fork_step) == (0, 12, 9)
    assert (two.first_step, two.num_steps, two.fork_step) == (12, 12, 21)
    assert (one.begin.kind, two.begin.kind, two.begin.stage) == ("start", "trunk", 0)
    assert (one.path, two.path) == ([0], [0, 1])
    assert (two.clock, two.per_step, two.counted) == (12 * PER_STEP, PER_STEP, "tokens")
    assert one.ledger.replay_shares == (0, 1)  # a first stage has nothing to replay
    assert two.ledger.replay_shares == (1, 3)
    assert two.ledger.num_samples == 48
    assert (two.seen["sea-0"].first, two.seen["sea-0"].last) == (0, 36)
    assert two.seen["land-0"].replayed == 12


def test_a_budget_is_never_exceeded() -> None:
    record = planned(tiny(stages__0__tokens=12 * PER_STEP + 100))[0]
    assert (record.num_steps, record.tokens) == (12, 12 * PER_STEP)


def test_a_longer_last_stage_keeps_its_trunk() -> None:
    before = planned(tiny())
    after = planned(tiny(stages__1__tokens=24 * PER_STEP), before)
    assert after[0] == before[0]
    assert after[1].schedule == before[1].schedule
    assert (after[1].fork_step, after[1].status) == (30, "pending")
    assert after == planned(tiny(stages__1__tokens=24 * PER_STEP))


def test_more_epochs_than_allowed_are_refused() -> None:
    recipe = tiny(sources__sea__max_epochs=0.05)
    with pytest.raises(InputError, match=r"stages\[1\] would read sea-0 0.07 times"):
        planned(recipe)


def test_more_epochs_of_a_corpus_than_allowed_are_refused() -> None:
    of_sea = {"sources": ["sea"], "max_epochs": 0.05}
    recipe = tiny(corpora={"waves": of_sea}, stages__1__data="waves")
    with pytest.raises(InputError, match=r"stages\[1\] would read waves-0 0.07 times"):
        planned(recipe)


def test_the_first_difference_that_matters() -> None:
    old, new = tiny().to_data(), tiny(train__threads=2, stages__1__optimizer_state="reset")
    assert first_difference(old, new.to_data()) == (
        "stages[1].optimizer_state",
        "keep",
        "reset",
    )
    assert first_difference(old, tiny(workers=2, train__log_every=9).to_data())[0] == ""
    assert first_difference(old, tiny(schedule__floor=0.2).to_data())[0] == "schedule.floor"


def test_a_path_is_no_part_of_a_plan(tmp_path: Path) -> None:
    other = tiny(sources__sea__files=[str(tmp_path / "*.txt")])
    assert planned(other) == planned(tiny())


def test_stages_form_a_tree_and_count_from_their_own_beginning() -> None:
    stages = [
        *tiny().to_data()["stages"],
        {"name": "three", "data": "sky", "tokens": 8 * PER_STEP, "from": "start"},
        {"name": "four", "data": "sky", "tokens": 8 * PER_STEP, "from": "one"},
        {"name": "five", "data": "sky", "tokens": 8 * PER_STEP, "from": "one.release"},
    ]
    found = planned(tiny(stages=stages, sources__sky={"files": ["sky/*.txt"]}))
    assert [s.path for s in found] == [[0], [0, 1], [2], [0, 3], [0, 4]]
    assert [s.first_step for s in found] == [0, 12, 0, 12, 12]
    assert [s.begin.kind for s in found] == ["start", "trunk", "start", "trunk", "release"]
    three, four, five = found[2:]
    assert "land-0" not in three.seen  # its way knows no land, so there is none to replay
    assert four.seen["land-0"].replayed == 8 == five.seen["land-0"].replayed
    assert four.schedule == found[0].schedule  # the trunk's rate goes on
    assert five.schedule[0]["start"] == 12 * PER_STEP  # a release has stopped: it begins anew


def test_a_stage_has_settings_of_its_own() -> None:
    own = {"batch_size": 2, "sequence_length": 64, "optimizer": {"weight_decay": 0.0}}
    one, two = planned(tiny(stages__1__train=own, replay__fraction=0.25))
    assert (one.per_step, two.per_step, two.num_steps) == (128, 112, 13)
    assert (one.ledger.sizes["land-0"], two.ledger.sizes["sea-0"]) == (500, 250)
    assert two.ledger.num_samples == 26
    assert two.seen["land-0"].tokens == 6 * 32  # replayed as it was read, in windows of 32
    assert two.seen["sea-0"].tokens == 20 * 64


def test_masked_replay_needs_windows_of_one_length() -> None:
    bert = {"preset": "bert", "hidden": 16, "layers": 2}
    with pytest.raises(InputError, match=r"stage 'two' would replay 'one', .* windows of 32"):
        planned(tiny(model=bert, stages__1__train={"sequence_length": 64}))
