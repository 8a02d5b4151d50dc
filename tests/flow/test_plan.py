from pathlib import Path

import pytest
from flow.tiny import PER_STEP, tiny

from evergrow.errors import InputError
from evergrow.flow.plan import first_difference, plan_stages
from evergrow.recipe import Recipe
from evergrow.run import StageRecord

DATA = {"land": "land-0", "sea": "sea-0"}
SIZES = {"land-0": 500, "sea-0": 500}


def planned(recipe: Recipe, recorded: list[StageRecord] | None = None) -> list[StageRecord]:
    return plan_stages(recipe, 0, DATA, SIZES, "tokenizer", recorded or [])


def test_stages_count_their_steps_from_init() -> None:
    one, two = planned(tiny())
    assert (one.first_step, one.num_steps, one.fork_step) == (0, 12, 9)
    assert (two.first_step, two.num_steps, two.fork_step) == (12, 12, 21)
    assert (one.parent, two.parent) == (None, one.key)
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
    data, sizes = {**DATA, "waves": "waves-0"}, {**SIZES, "waves-0": SIZES["sea-0"]}
    with pytest.raises(InputError, match=r"stages\[1\] would read waves-0 0.07 times"):
        plan_stages(recipe, 0, data, sizes, "tokenizer", [])


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
