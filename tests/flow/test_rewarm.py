import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from flow.tiny import contents, sky

from evergrow.errors import InputError
from evergrow.flow.rewarm import arm_of, probes_of, rewarm
from evergrow.listener import Listener
from evergrow.models.rates import Rates
from evergrow.report.proposal import FACTORS, proposed, why
from evergrow.report.rewarm import Probe

SMALL = {"held_out.tokens": 500, "train.threads": 1, "train.batch_size": 2}


def probe(peak: float, gained: float, lost: float) -> Probe:
    return Probe(name=arm_of(peak), peak=peak, new=1.0, old={}, gained=gained, lost=lost)


GRID = [probe(1e-4, 0.1, 0.01), probe(2e-4, 0.3, 0.15), probe(4e-4, 0.5, 0.3)]


def test_the_rule_takes_what_is_gained_less_what_is_lost_within_the_limit() -> None:
    assert proposed(GRID) is GRID[2]  # .09, .15, .2
    assert proposed(GRID, 0.2) is GRID[1]
    assert proposed(GRID, 0.05) is GRID[0]
    assert proposed(GRID, 0.001) is GRID[0]  # none is within it: the one that loses least


def test_the_reason_says_the_rule_and_what_speaks_against() -> None:
    floor = probe(1e-5, 0.02, 0.0)
    said = why(GRID[2], GRID, floor, None)
    assert said.startswith("0.0004 has the largest gain on the new less the loss on the old: ")
    assert "+0.500 - 0.300 = +0.200 bits per byte; no training has 0, the floor rate 1e-05" in said
    assert "It is the highest of the grid: --peak-lr 0.0004 looks further." in said
    assert "looks further" not in why(GRID[1], GRID, floor, 0.2)
    assert "No rate loses as little as 0.001" in why(GRID[0], GRID, floor, 0.001)
    worse = [probe(1e-4, 0.1, 0.2), probe(2e-4, 0.1, 0.3), probe(4e-4, 0.1, 0.4)]
    assert "No rate gains more than it loses" in why(worse[0], worse, floor, None)
    assert "Staying at the floor is better" in why(worse[0], worse, floor, None)


def test_arms_are_named_by_their_rates() -> None:
    assert [arm_of(rate) for rate in (1e-3, 1.25e-3, 3e-5)] == [
        "peak-1e-3", "peak-1_25e-3", "peak-3e-5",
    ]  # fmt: skip


def test_old_text_is_asked_for(base: Path, model: Path) -> None:
    rates = Rates(1e-3, 1e-4, "as given")
    for evaluate in ({}, {"new": sky(base)}):
        with pytest.raises(InputError, match="--evaluate: give old text as name=files"):
            probes_of(str(model), sky(base), evaluate, 999, "r", rates, Listener(), SMALL)


def test_probes_stand_beside_the_model_and_are_not_trained_twice(
    base: Path, lived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before, said = contents(lived / "main"), list[str]()
    old = {"land": [str(base / "land" / "*.txt")]}

    def go(**more: Any) -> Any:
        listener = Listener(say=said.append)
        return rewarm(
            str(lived / "main"), sky(base), old, 8 * 64, tmp_path, listener, settings=SMALL, **more
        )

    found = go()
    assert contents(lived / "main") == before
    peaks = [one.peak for one in found.probes]
    assert peaks == pytest.approx([factor * 3e-3 for factor in FACTORS])  # its own recorded peak
    assert "of the peak 0.003 (its evergrow.json)" in found.grid
    assert found.floor.peak == pytest.approx(3e-4)
    for one in (*found.probes, found.floor):
        assert one.gained == pytest.approx(found.before["new"] - one.new)
        assert one.lost == pytest.approx(one.old["land"] - found.before["land"])
    assert found.peak == proposed(found.probes).peak
    words = shlex.split(found.command)
    assert words[:2] == ["evergrow", "continue"]
    assert float(words[words.index("--peak-lr") + 1]) == pytest.approx(found.peak, rel=1e-2)
    root = tmp_path / "rewarm-two"
    assert "full one is proposed" in (root / "rewarm.html").read_text()
    rates = {step["lr"] for step in metrics(root / arm_of(3e-3))}
    assert max(rates) <= 3e-3

    said.clear()
    assert go() == found
    assert any("done before; nothing is trained" in line for line in said)
    with pytest.raises(InputError, match="made of another model, other files, settings or tokens"):
        rewarm(
            str(lived / "main"), sky(base), {"sea": sky(base)}, 999, tmp_path, Listener(),
            settings=SMALL,
        )  # fmt: skip


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
