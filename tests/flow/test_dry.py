from pathlib import Path

import pytest
from flow.tiny import PER_STEP, tiny

from evergrow.flow.dry import draw_plan
from evergrow.listener import Listener


def test_a_plan_writes_nothing_and_counts_what_is_shared_once(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = tiny(arms={"a": {}, "b": {"replay.fraction": 0.5}})
    plan = draw_plan(recipe, base, Listener())
    assert list(tmp_path.rglob("*")) == []
    first, second = plan.arms
    assert (first.shared, second.shared) == ([], ["one"])
    two = first.stages[1]
    assert (two.num_steps, two.tokens, two.released_from) == (12, 12 * PER_STEP, 21)
    assert two.reads == {"sea": 9 * PER_STEP, "land": 3 * PER_STEP}
    assert second.stages[1].reads == {"sea": 6 * PER_STEP, "land": 6 * PER_STEP}
    assert max(first.stages[0].rates) == pytest.approx(3e-3, rel=0.05)
    trained = 3 * (12 + 3) * PER_STEP
    assert plan.seconds == pytest.approx(trained / plan.tokens_per_second)
