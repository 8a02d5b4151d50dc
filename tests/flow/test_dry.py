from pathlib import Path

import pytest
from flow.tiny import PER_STEP, tiny

from evergrow.flow import dry
from evergrow.flow.dry import draw_plan
from evergrow.listener import Listener
from evergrow.recipe import Recipe


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


def test_of_large_sources_a_little_is_read_and_that_is_said(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int | None] = []
    said: list[str] = []

    def planned(units: object, recipe: Recipe, *rest: object) -> None:
        read.extend(source.max_bytes for source in recipe.sources.values())
        raise InterruptedError

    monkeypatch.setattr(dry, "READ_BYTES", 9_000)
    monkeypatch.setattr(dry, "plan", planned)
    whole = sum(path.stat().st_size for path in (base / "land").iterdir())
    assert whole > 9_000
    sea = {"files": ["sea/*.txt"], "max_bytes": 8_000}
    recipe = tiny(sources={"land": {"files": "land"}, "sea": sea})
    with pytest.raises(InterruptedError):
        draw_plan(recipe, base, Listener(say=said.append))
    assert read == [9_000, 8_000]
    assert len(said) == 1
    assert said[0].startswith("land: --dry reads 0 MB of 0 MB; whether it would be read more often")
