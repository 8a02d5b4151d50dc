import pytest

from evergrow.studies import STUDIES
from evergrow.studies.decay import PERCENT, name_of
from evergrow.studies.harness import study_recipe


def test_arms_differ_from_the_study_infinite_in_the_decay_alone() -> None:
    decay, infinite = (study_recipe(STUDIES[name], 2, {}) for name in ("decay", "infinite"))
    usual = infinite.resolve("infinite-replay")
    for percent in PERCENT:
        found = decay.resolve(name_of(percent))
        assert found.schedule.anneal.fraction == pytest.approx(percent / 100)
        assert found.replay == usual.replay
        kept = {"anneal"}
        assert found.schedule.model_dump(exclude=kept) == usual.schedule.model_dump(exclude=kept)
    assert decay.stages[0].tokens == 3 * infinite.stages[0].tokens
    assert decay.stages[1:] == infinite.stages[1:]
