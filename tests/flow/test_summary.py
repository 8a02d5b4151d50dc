import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flow.tiny import PER_STEP, carry, tiny

from evergrow.flow.summary import summarise_run
from evergrow.run import Run
from evergrow.statistics import t_interval


def losses(lines: list[dict[str, Any]], stage: str | None, leg: str) -> list[float]:
    found = {e["source"]: e["loss"] for e in lines if (e["stage"], e["leg"]) == (stage, leg)}
    return [found["land"], found["sea"]]


def test_the_numbers_are_those_computed_by_hand(whole: Path) -> None:
    run = Run(whole)
    evals = run.read("evals")
    numbers = summarise_run(run, whole.parent)
    before = losses(evals, None, "start")
    one, two = losses(evals, "one", "release"), losses(evals, "two", "release")
    assert numbers["before"] == before
    assert numbers["loss_matrix"] == [one, two]
    assert numbers["average"] == pytest.approx((two[0] + two[1]) / 2)
    assert numbers["forgetting"] == pytest.approx(two[0] - one[0])
    assert numbers["backward_transfer"] == pytest.approx(one[0] - two[0])
    assert numbers["forward_transfer"] == pytest.approx(before[1] - one[1])
    curve = [
        e["loss"] for e in evals if (e["stage"], e["leg"], e["source"]) == ("two", "trunk", "land")
    ]
    assert len(curve) == 3  # at the start, after 5 and after 10 of 12 steps
    assert numbers["transient_peak"] == pytest.approx(max(c - curve[0] for c in curve))
    assert numbers["num_tokens"] == 24 * PER_STEP
    assert numbers["num_tokens_total"] == (24 + 3 + 3) * PER_STEP  # both anneals
    assert numbers["releases"] == {"one": "main/releases/one", "two": "main/releases/two"}
    assert numbers["extra"] == {}


def test_a_mixture_counts_by_its_weights_and_the_rest_is_extra(base: Path, tmp_path: Path) -> None:
    sources = {name: {"files": [f"{name}/*.txt"]} for name in ("land", "sea", "sky")}
    stages = [
        {"name": "both", "mixture": {"land": 0.75, "sea": 0.25}, "tokens": 6 * PER_STEP},
        {"name": "two", "data": "sea", "tokens": 6 * PER_STEP},
    ]
    recipe = tiny(sources=sources, stages=stages, evaluate__sources=["sky"])
    carried = carry(recipe, tmp_path, base)
    numbers = carried.summary["arms"]["main"]
    evals = Run(carried.folder / "main").read("evals")
    one = losses(evals, "both", "release")
    assert numbers["loss_matrix"][0] == pytest.approx([0.75 * one[0] + 0.25 * one[1], one[1]])
    sky = [e["loss"] for e in evals if e["source"] == "sky" and not e["partial"]]
    assert numbers["extra"] == {"sky": sky}
    assert len(sky) == 3


def test_several_seeds_give_means_and_intervals(base: Path, tmp_path: Path) -> None:
    arms = {"a": {}, "b": {"replay.fraction": 0.5}}
    stages = [{**s, "tokens": 4 * PER_STEP} for s in tiny().to_data()["stages"]]
    carried = carry(tiny(seeds=[0, 1], arms=arms, stages=stages), tmp_path, base)
    for arm in arms:
        numbers = carried.summary["arms"][arm]
        seeds = [numbers["seeds"][seed] for seed in ("0", "1")]
        assert seeds[0]["average"] != seeds[1]["average"]
        averages = [seed["average"] for seed in seeds]
        assert numbers["average"] == pytest.approx(np.mean(averages))
        interval = t_interval(averages)
        assert numbers["intervals"]["average"] == [interval.low, interval.high]
        matrices = [seed["loss_matrix"] for seed in seeds]
        assert np.allclose(numbers["loss_matrix"], np.mean(matrices, axis=0))
        assert numbers["num_tokens"] == 8 * PER_STEP
    written = json.loads((carried.folder / "summary.json").read_text())
    assert written["arms"].keys() == arms.keys()
