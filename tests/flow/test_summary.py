import json
from pathlib import Path

import numpy as np
import pytest
from flow.tiny import PER_STEP, carry, losses_at, tiny

from evergrow.run import Run
from evergrow.stage.records import Evaluation, read_lines
from evergrow.stage.summary import summarise_run
from evergrow.statistics import t_interval


def pair(run: Run, stage: str | None) -> list[float]:
    found = losses_at(run, stage)
    return [found["land"].loss, found["sea"].loss]


def test_the_numbers_are_those_computed_by_hand(whole: Path) -> None:
    run = Run(whole)
    numbers = summarise_run(run, whole.parent)
    before, one, two = (pair(run, stage) for stage in (None, "one", "two"))
    assert numbers.streams == ["one", "two"]
    assert numbers.before == before
    assert numbers.loss_matrix == [one, two]
    assert numbers.average == pytest.approx((two[0] + two[1]) / 2)
    assert numbers.forgetting == pytest.approx(two[0] - one[0])
    assert numbers.backward_transfer == pytest.approx(one[0] - two[0])
    assert before[1] is not None
    assert numbers.forward_transfer == pytest.approx(before[1] - one[1])
    looks = read_lines(whole / "evals.jsonl", Evaluation)
    curve = [e.loss for e in looks if (e.stage, e.source) == ("two", "land")]
    assert len(curve) == 3  # at the start, after 5 and after 10 of 12 steps
    assert numbers.transient_peak == pytest.approx(max(c - curve[0] for c in curve))
    assert numbers.num_tokens == 24 * PER_STEP
    assert numbers.num_tokens_total == (24 + 3 + 3) * PER_STEP  # both anneals
    assert numbers.releases == {"one": "main/releases/one", "two": "main/releases/two"}
    assert (numbers.extra, numbers.others) == ({}, {})


def test_a_mixture_counts_by_its_weights_and_the_rest_is_extra(base: Path, tmp_path: Path) -> None:
    sources = {name: {"files": [f"{name}/*.txt"]} for name in ("land", "sea", "sky")}
    stages = [
        {"name": "both", "mixture": {"land": 0.75, "sea": 0.25}, "tokens": 6 * PER_STEP},
        {"name": "two", "data": "sea", "tokens": 6 * PER_STEP},
    ]
    recipe = tiny(sources=sources, stages=stages, evaluate__sources=["sky"])
    carried = carry(recipe, tmp_path, base)
    numbers = carried.summary.arms["main"]
    run = Run(carried.folder / "main")
    one = pair(run, "both")
    assert numbers.loss_matrix[0] == pytest.approx([0.75 * one[0] + 0.25 * one[1], one[1]])
    assert numbers.extra == {
        name: [losses_at(run, s)[name].loss for s in (None, "both", "two")]
        for name in ("land", "sky")  # sea has a stage of its own
    }
    streams = [(change.stream, change.is_learnt) for change in numbers.changes]
    assert streams == [("land", True), ("sea", True), ("sky", False)]  # each source once
    ends = [change.last.loss for change in numbers.changes if change.last]
    last = losses_at(run, "two")
    assert ends == [last[name].loss for name in ("land", "sea", "sky")]


def test_several_seeds_give_means_and_intervals(base: Path, tmp_path: Path) -> None:
    arms = {"a": {}, "b": {"replay.fraction": 0.5}}
    stages = [{**s, "tokens": 4 * PER_STEP} for s in tiny().to_data()["stages"]]
    carried = carry(tiny(seeds=[0, 1], arms=arms, stages=stages), tmp_path, base)
    for arm in arms:
        numbers = carried.summary.arms[arm]
        seeds = [numbers.seeds[seed] for seed in ("0", "1")]
        assert seeds[0].average != seeds[1].average
        averages = [seed.average for seed in seeds]
        assert numbers.average == pytest.approx(np.mean(averages))
        interval = t_interval(averages)
        assert numbers.intervals["average"] == (interval.low, interval.high)
        matrices = [seed.loss_matrix for seed in seeds]
        assert np.allclose(np.array(numbers.loss_matrix), np.mean(np.array(matrices), axis=0))
        assert numbers.num_tokens == 8 * PER_STEP
    written = json.loads((carried.folder / "summary.json").read_text())
    assert written["arms"].keys() == arms.keys()


def test_other_leaves_stand_beside_the_last_one(base: Path, tmp_path: Path) -> None:
    stages = [
        {"name": "one", "data": "land", "tokens": 4 * PER_STEP},
        {"name": "two", "data": "sea", "tokens": 4 * PER_STEP},
        {"name": "fresh", "data": "sea", "tokens": 4 * PER_STEP, "from": "start"},
        {"name": "last", "data": "sea", "tokens": 4 * PER_STEP, "from": "one.release"},
    ]
    carried = carry(tiny(stages=stages), tmp_path, base)
    run, numbers = Run(carried.folder / "main"), carried.summary.arms["main"]
    found = {
        s: {name: line.loss for name, line in losses_at(run, s).items()}
        for s in ("one", "two", "fresh", "last")
    }
    assert (numbers.streams, [*numbers.others]) == (["one", "last"], ["two", "fresh"])
    assert numbers.forgetting == pytest.approx(found["last"]["land"] - found["one"]["land"])
    assert numbers.others["two"].streams == ["one", "two"]
    lost = found["two"]["land"] - found["one"]["land"]
    assert numbers.others["two"].forgetting == pytest.approx(lost)
    assert numbers.others["fresh"].loss_matrix == [[found["fresh"]["sea"]]]
    assert numbers.num_tokens == 8 * PER_STEP
    assert numbers.num_tokens_total == 4 * (4 + 1) * PER_STEP  # four trunks, four anneals
