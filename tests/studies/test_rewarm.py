import pytest

from evergrow.errors import InputError
from evergrow.schedules import plan_stage, rate
from evergrow.studies import STUDIES
from evergrow.studies.harness import study_recipe

STUDY = STUDIES["rewarm"]


def stage_rates(arm: str, **overrides: object) -> list[float]:
    """The rate of every step of an arm's last stage, planned as a run plans it."""
    recipe = study_recipe(STUDY, 2, overrides).resolve(arm)
    per_step, previous, start = recipe.train.tokens_per_step, None, 0
    steps, planned = 0, None
    for index, stage in enumerate(recipe.stages):
        start += steps * per_step
        steps = stage.tokens // per_step
        planned = plan_stage(recipe.schedule_of(index), start, steps * per_step, per_step, previous)
        previous = (recipe.schedule_of(index), planned)
    assert planned is not None
    return [rate(planned.trunk, start + (i + 1) * per_step) for i in range(steps)]


def test_peaks_are_half_and_twice_that_of_the_finished_model() -> None:
    assert [max(stage_rates(arm)) for arm in ("half-peak", "rewarm", "double-peak")] == (
        pytest.approx([1.25e-3, 2.5e-3, 5e-3])
    )
    assert max(stage_rates("half-peak", **{"schedule.peak_lr": 1e-3})) == pytest.approx(5e-4)
    assert stage_rates("double-peak")[-1] == pytest.approx(5e-4)  # a tenth of its own peak


def test_the_floor_stays_where_the_finished_model_ended() -> None:
    assert stage_rates("floor") == pytest.approx([2.5e-4] * 390)
    assert stage_rates("same-data-floor") == pytest.approx([2.5e-4] * 390)


def test_warm_ups_last_0_1_2_and_10_percent_of_390_steps() -> None:
    def warm_up(arm: str) -> int:
        rates = stage_rates(arm)
        return 1 + rates.index(max(rates))

    arms = ("rewarm", "warmup-2", "warmup-10")
    assert [warm_up(arm) for arm in arms] == [4, 8, 39]
    # no warm-up: the cosine has begun to fall by the first step
    assert stage_rates("warmup-0")[0] == pytest.approx(2.5e-3, rel=1e-4)


def test_all_arms_begin_the_last_stage_alike_and_learn_equal_tokens() -> None:
    recipe = study_recipe(STUDY, 2, {"stages.1.tokens": 100_000})
    for arm in recipe.arms:
        resolved = recipe.resolve(arm)
        last = resolved.stages[-1]
        assert last.tokens == 100_000
        assert last.optimizer_state == "reset"  # a finished model has none to keep
        assert resolved.stages[:-1] == ([] if arm == "scratch" else recipe.stages[:1])
        assert last.data == ("old" if arm.startswith("same-data") else "new")
        assert resolved.measured in (["old", "new"], ["new", "old"])


def test_the_same_data_is_read_once_so_that_its_windows_are_fresh() -> None:
    assert study_recipe(STUDY, 2, {}).sources["old"].max_epochs == 1


def test_another_schedule_is_refused() -> None:
    with pytest.raises(InputError, match="a cosine that came to its end, got wsd"):
        study_recipe(STUDY, 2, {"schedule.kind": "wsd"})
