import subprocess
import sys
from pathlib import Path

import pytest
from flow.planning import DATA, keys
from flow.tiny import tiny

from evergrow.flow import units
from evergrow.flow.units import unfold


def test_one_unit_an_arm_and_seed() -> None:
    assert [u.folder for u in unfold(tiny())] == ["main"]
    arms = {"a": {}, "b": {"replay.fraction": 0}}
    assert [u.folder for u in unfold(tiny(arms=arms))] == ["a", "b"]
    both = unfold(tiny(arms=arms, seeds=[3, 5]))
    assert [u.folder for u in both] == ["a/seed-3", "b/seed-3", "a/seed-5", "b/seed-5"]
    assert [u.recipe.replay.fraction for u in both] == [0.25, 0, 0.25, 0]


def test_the_keys_are_those_of_runs_that_exist() -> None:
    # Checked in: with others, a run that was begun before could not go on.
    assert keys() == ["2d6f5849656cf47d", "4147c68e82f3a41c"]
    words = {"kind": "masked", "whole_words": True}
    bert = {"preset": "bert", "hidden": 16, "layers": 2}
    plain = keys(model=bert, replay__fraction=0)
    assert not {*plain} & {*keys(model=bert, replay__fraction=0, train__objective=words)}


def test_what_is_usual_may_be_said() -> None:
    assert keys(train__objective={"kind": "causal"}, train__clip_norm=1.0) == keys()
    assert keys(stages__1__from="one") == keys()
    assert keys(schedule__warmup=0.01) == keys() != keys(schedule__warmup=0.02)


def test_the_warm_up_of_fresh_moments_is_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    branched = {"stages__1__from": "one.release", "replay__fraction": 0}
    before, asked = keys(**branched), keys(schedule__warmup=0.01, **branched)
    assert before[0] == asked[0] and before[1] != asked[1]
    monkeypatch.setattr(units, "least_warmup", lambda beta2: 7)
    assert keys(**branched)[0] == before[0] and keys(**branched)[1] != before[1]
    assert keys(schedule__warmup=0.01, **branched) == asked


@pytest.mark.parametrize(
    "change",
    [
        {"train__log_every": 7},
        {"train__threads": 2},
        {"workers": 2},
        {"checkpoints__every": 999},
        {"description": "other words"},
        {"evaluate__every": 0},
        {"evaluate__sources": ["sky"], "sources__sky": {"files": ["sky/*.txt"]}},
        {"train__micro_batch_size": 2, "train__precision": "fp32", "train__compile": False},
    ],
)
def test_what_changes_no_byte_changes_no_key(change: dict[str, object]) -> None:
    assert keys(**change) == keys()


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"data": {**DATA, "land": "land-1"}},
        {"model__hidden": 32},
        {"train__batch_size": 8},
        {"schedule__peak_lr": 0.01},
    ],
)
def test_what_changes_a_byte_changes_every_key(change: dict[str, object]) -> None:
    assert not {*keys(**change)} & {*keys()}  # pyright: ignore


@pytest.mark.parametrize(
    "change",
    [
        {"replay__fraction": 0.5},
        {"stages__1__optimizer_state": "reset"},
        {"stages__1__tokens": 999},
        {"stages__1__from": "start"},
        {"stages__1__from": "one.release"},
        {"stages__1__train": {"batch_size": 2}},
        {"data": {**DATA, "sea": "sea-1"}},
    ],
)
def test_a_later_difference_leaves_the_first_stage_shared(change: dict[str, object]) -> None:
    one, two = keys(**change)  # pyright: ignore
    assert one == keys()[0]
    assert two != keys()[1]


LATER = """
import sys
from evergrow import config

class Config(config.Config):  # every settings class that is read after this has one field more
    a_setting_that_came_later: int | None = None

config.Config = Config
sys.path.insert(0, {tests!r})
from flow.planning import keys
from flow.tiny import tiny
assert "a_setting_that_came_later" in tiny().train.optimizer.model_dump()
print(*keys())
"""


def test_a_field_with_a_default_changes_no_key() -> None:
    code = LATER.format(tests=str(Path(__file__).parents[1]))
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == keys()


@pytest.mark.parametrize(
    "change",
    [
        {"stages__1__grow": {"to": {"hidden": 32, "heads": 4}}},
        {"stages__1__two_stage": {"layers": 1}},
    ],
)
def test_growth_is_part_of_its_stages_key(change: dict[str, object]) -> None:
    one, two = keys(**change)  # pyright: ignore
    assert (one, two != keys()[1]) == (keys()[0], True)
