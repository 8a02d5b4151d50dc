"""Rates against hand-computed values, and every schedule bug seen in other engines."""

import math
import random
from itertools import pairwise
from typing import get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from evergrow.config import Config, decode
from evergrow.errors import InputError
from evergrow.schedules import (
    SHAPES,
    WSD,
    Anneal,
    AnnealShape,
    Constant,
    Cosine,
    Infinite,
    Linear,
    ScheduleConfig,
    Segment,
    Shape,
    StageSchedule,
    branch,
    curve,
    extend,
    num_steps,
    plan_stage,
    rate,
)
from evergrow.warmup import warmup_steps

# every kind, with the values that bend it furthest from the others
FAMILY: dict[str, ScheduleConfig] = {
    "infinite": Infinite(peak_lr=3e-3),
    "infinite-inverse-sqrt": Infinite(
        peak_lr=3e-3, cooldown_shape="inverse_sqrt", timescale=7.5, floor=0.55, warmup=0.0
    ),
    "infinite-linear": Infinite(
        peak_lr=3e-3, cooldown_shape="linear", anneal=Anneal(shape="cosine")
    ),
    "wsd": WSD(peak_lr=1e-3, floor=0.0, anneal=Anneal(fraction=0.2, shape="one_minus_sqrt")),
    "cosine": Cosine(peak_lr=2e-3),
    "linear": Linear(peak_lr=1e-3),
    "constant": Constant(peak_lr=1e-3, warmup=0.1),
}
family = pytest.mark.parametrize("config", FAMILY.values(), ids=FAMILY.keys())


def plan(config: ScheduleConfig, steps: int = 200, tokens_per_step: int = 512) -> StageSchedule:
    return plan_stage(config, 0, steps * tokens_per_step, tokens_per_step, None)


def segment(from_lr: float, to_lr: float, shape: Shape, timescale: float | None = None) -> Segment:
    return Segment(
        start=100, end=200, from_lr=from_lr, to_lr=to_lr, shape=shape, timescale=timescale
    )


def test_every_kind_of_schedule_is_in_the_family() -> None:
    kinds = {
        member.model_fields["kind"].default for member in get_args(get_args(ScheduleConfig)[0])
    }
    assert {config.kind for config in FAMILY.values()} == kinds


def test_every_named_shape_has_its_function() -> None:
    assert set(SHAPES) == set(get_args(Shape))
    assert set(get_args(AnnealShape)) < set(SHAPES)


@pytest.mark.parametrize(
    ("shape", "timescale", "quarter"),
    [
        ("linear", None, 0.775),
        ("cosine", None, 0.1 + 0.45 * (1 + math.sqrt(0.5))),
        ("exponential", None, 10**-0.25),
        ("one_minus_sqrt", None, 0.55),
        # f(x) = 1/sqrt(1 + 8x) - 1: f(1/4) = 1/sqrt(3) - 1, f(1) = -2/3
        ("inverse_sqrt", 8.0, 1 - 0.9 * (1 - 1 / math.sqrt(3)) * 1.5),
    ],
)
def test_shapes_at_a_quarter_and_at_their_ends(
    shape: Shape, timescale: float | None, quarter: float
) -> None:
    piece = (segment(1.0, 0.1, shape, timescale),)
    assert rate(piece, 125) == pytest.approx(quarter, rel=1e-12)
    assert rate(piece, 100) == 1.0
    assert rate(piece, 200) == 0.1
    assert rate(piece, 10**9) == 0.1


def test_rounding_crosses_neither_end() -> None:
    # from + (to - from) * 1 is 5.000000000000002e-05 here, and the cosine begins above its start
    assert rate((segment(5e-4, 5e-5, "linear"),), 200) == 5e-5
    long = Segment(start=0, end=10**17, from_lr=0.02, to_lr=0.002, shape="cosine")
    assert rate((long,), 1) == 0.02


def test_at_a_jump_the_step_that_ends_there_has_the_old_rate() -> None:
    held = Segment(start=200, end=None, from_lr=0.9, to_lr=0.9, shape="constant")
    line = (segment(1.0, 0.5, "linear"), held)
    assert [rate(line, tokens) for tokens in (199, 200, 201)] == [0.505, 0.5, 0.9]


def test_a_bend_of_almost_nothing_is_a_straight_line() -> None:
    assert rate((segment(1.0, 0.0, "inverse_sqrt", 1e-300),), 150) == pytest.approx(0.5)


def test_infinite_schedule_on_hand_numbers() -> None:
    stage = plan(Infinite(peak_lr=1e-3), steps=200, tokens_per_step=1)
    assert rate(stage.trunk, 1) == pytest.approx(0.5e-3)  # warm-up of 2 steps
    assert rate(stage.trunk, 2) == 1e-3
    assert rate(stage.trunk, 62) == pytest.approx((1 + 0.55) / 2 * 1e-3)  # middle of 120 steps
    assert rate(stage.trunk, 122) == 0.55e-3
    assert rate(stage.trunk, 10**12) == 0.55e-3
    assert stage.fork == 170
    assert stage.release is not None
    assert rate(stage.release, 170) == 0.55e-3
    assert rate(stage.release, 185) == pytest.approx(math.sqrt(0.55 * 0.1) * 1e-3)  # geometric mean
    assert rate(stage.release, 200) == 0.1 * 1e-3


def test_cosine_starts_again_in_every_stage_from_where_the_last_one_stopped() -> None:
    config = Cosine(peak_lr=1e-3, warmup=0.1)
    first = plan_stage(config, 0, 1000, 10, None)
    second = plan_stage(config, 1000, 2000, 10, (config, first))
    assert rate(first.trunk, 10) == pytest.approx(1e-4)
    assert rate(first.trunk, 100) == 1e-3
    assert rate(first.trunk, 550) == pytest.approx(0.55e-3)
    assert rate(first.trunk, 1000) == 1e-4
    assert rate(second.trunk, 1010) == pytest.approx(1e-4 + 0.9e-3 / 20)
    assert rate(second.trunk, 1200) == 1e-3
    assert rate(second.trunk, 3000) == 1e-4
    assert (second.release, second.fork) == (None, None)


def test_linear_takes_over_the_rate_reached_and_falls_to_zero() -> None:
    infinite = Infinite(peak_lr=1e-3)
    first = plan_stage(infinite, 0, 1000, 10, None)
    second = plan_stage(Linear(), 1000, 500, 10, (infinite, first))
    assert rate(second.trunk, 1010) == pytest.approx(0.55e-3 * 49 / 50)
    assert rate(second.trunk, 1500) == 0.0


def test_constant_holds_its_rate_after_the_warm_up() -> None:
    stage = plan_stage(Constant(peak_lr=1e-3, warmup=0.5), 0, 40, 10, None)
    assert [rate(stage.trunk, t) for t in (10, 20, 30, 40, 4000)] == [5e-4, 1e-3, 1e-3, 1e-3, 1e-3]


@family
def test_a_loaded_schedule_gives_the_same_rate_at_any_token(config: ScheduleConfig) -> None:
    # gpt-neox PR #1194: a state without the timescale and the constant rate resumed elsewhere
    stage = plan(config)
    loaded = decode(
        StageSchedule, StageSchedule.model_validate_json(stage.model_dump_json()).model_dump(), "x"
    )
    draw = random.Random(0)
    for _ in range(500):
        tokens = draw.randrange(0, 250 * 512)
        assert rate(loaded.trunk, tokens) == rate(stage.trunk, tokens)
        if stage.release and tokens >= stage.release[0].start:
            assert rate(loaded.release or (), tokens) == rate(stage.release, tokens)


@family
def test_a_recipe_written_back_resolved_is_the_same_schedule(config: ScheduleConfig) -> None:
    adapter: TypeAdapter[ScheduleConfig] = TypeAdapter(ScheduleConfig)
    again = adapter.validate_python(config.model_dump())
    assert again == config  # equal although every default is now spelt out: the trunk must go on
    assert plan(again) == plan(config)


@family
def test_never_below_the_floor_and_never_negative(config: ScheduleConfig) -> None:
    # gpt-neox PR #1194: inverse square root returned before its clamp
    # vmoe #220: a cooldown that went on below zero past its end
    stage = plan(config)
    for segments in (stage.trunk, stage.release or ()):
        for piece in segments:
            low, high = sorted((piece.from_lr, piece.to_lr))
            ends = piece.end or piece.start + 1000
            assert all(low <= rate((piece,), t) <= high for t in range(piece.start, ends, 97))
        if segments:
            assert rate(segments, 10**15) == segments[-1].to_lr >= 0


@family
def test_the_first_step_moves_and_the_peak_is_met(config: ScheduleConfig) -> None:
    stage = plan(config)
    rates = [rate(stage.trunk, step * 512) for step in range(1, 201)]
    assert rates[0] > 0
    if warmup_steps(config.warmup, config.usual_warmup, 200, 0) > 0:
        assert max(rates) == config.peak_lr


@family
def test_rates_are_the_same_with_steps_and_with_tokens_as_the_clock(config: ScheduleConfig) -> None:
    in_tokens, in_steps = plan(config, 173, 384), plan(config, 173, 1)
    for step in range(1, 180):
        assert rate(in_tokens.trunk, step * 384) == rate(in_steps.trunk, step)
    assert (in_tokens.fork or 0) == (in_steps.fork or 0) * 384


@family
def test_no_jump_at_the_borders(config: ScheduleConfig) -> None:
    stage = plan(config)
    line = stage.trunk
    for before, after in pairwise(line):
        assert before.to_lr == after.from_lr
    if stage.release:
        assert stage.release[0].from_lr == rate(line, stage.release[0].start)


@family
def test_the_clock_of_a_later_stage_starts_at_its_start(config: ScheduleConfig) -> None:
    before = Constant(peak_lr=4e-4)
    earlier = plan_stage(before, 0, 5000, 10, None)
    late = plan_stage(config, 5000, 2000, 10, (before, earlier))
    alone = plan_stage(config, 0, 2000, 10, None)
    settled = 5000 + warmup_steps(config.warmup, config.usual_warmup, 200, 0) * 10
    for tokens in range(settled + 10, 7000, 10):
        assert rate(late.trunk, tokens) == rate(alone.trunk, tokens - 5000)
    if warmup_steps(config.warmup, config.usual_warmup, 200, 0) > 0:
        assert late.trunk[0].from_lr == 4e-4


@pytest.mark.parametrize("shape", get_args(AnnealShape))
def test_an_anneal_meets_its_floor_exactly_at_the_last_step(shape: AnnealShape) -> None:
    # a public implementation divides by t_a + N_d and stops above the floor
    stage = plan_stage(WSD(peak_lr=3e-3, anneal=Anneal(shape=shape)), 0, 70_000, 7, None)
    assert stage.release is not None
    assert stage.fork == 59_500
    assert rate(stage.release, 70_000) == 0.1 * 3e-3
    assert rate(stage.release, 70_000 - 7) > 0.1 * 3e-3
    assert rate(stage.release, 59_507) < 3e-3


def test_the_cooldown_is_a_length_and_not_a_boundary() -> None:
    config = Infinite(peak_lr=1.0, warmup=0.2, cooldown=0.5)
    stage = plan_stage(config, 0, 1000, 10, None)
    assert [(s.start, s.end) for s in stage.trunk] == [(0, 200), (200, 700), (700, None)]
    assert rate(stage.trunk, 690) > 0.55
    assert rate(stage.trunk, 700) == 0.55


def test_the_timescale_bends_the_cooldown() -> None:
    config = Infinite(
        peak_lr=1.0, warmup=0, cooldown=0.5, cooldown_shape="inverse_sqrt", timescale=8
    )
    # f(1/4) / f(1) as in the table of shapes above
    expected = 1 - 0.45 * (1 - 1 / math.sqrt(3)) * 1.5
    assert rate(plan(config, 80, 1).trunk, 10) == pytest.approx(expected)


def test_an_anneal_may_leave_a_cooldown_but_no_warm_up() -> None:
    config = Infinite(peak_lr=1.0, warmup=0, cooldown=1.0, cooldown_shape="linear")
    stage = plan(config, 100, 1)
    assert stage.release is not None
    assert stage.release[0].from_lr == pytest.approx(1 - 0.45 * 0.85)


def test_no_warm_up_starts_at_the_peak() -> None:
    stage = plan_stage(Cosine(peak_lr=1e-3, warmup=0), 0, 1000, 10, None)
    assert stage.trunk[0].from_lr == 1e-3
    assert len(stage.trunk) == 1


def test_a_trunk_goes_on_under_an_equal_config_and_the_fork_moves() -> None:
    config = Infinite(peak_lr=1e-3)
    first = plan_stage(config, 0, 1000, 10, None)
    second = plan_stage(Infinite(peak_lr=1e-3, floor=0.1), 1000, 500, 10, (config, first))
    assert second.trunk == first.trunk
    assert second.fork == 1500 - 80  # 7.5 steps of 50 are 8: ties go to the even number
    assert second.release is not None
    assert second.release[-1].end == 1500
    other = plan_stage(Infinite(peak_lr=2e-3), 1000, 2000, 10, (config, first))
    assert other.trunk[0].start == 1000
    assert other.trunk[0].from_lr == first.trunk[-1].to_lr


def test_a_short_later_stage_anneals_at_least_one_step() -> None:
    config = WSD(peak_lr=1e-3)
    first = plan_stage(config, 0, 1000, 10, None)
    second = plan_stage(config, 1000, 10, 10, (config, first))
    assert second.fork == 1000
    assert second.release is not None
    assert rate(second.release, 1010) == 1e-4


def test_a_longer_stage_keeps_its_trunk_and_forks_later() -> None:
    config = Infinite(peak_lr=1e-3)
    stage = plan_stage(config, 0, 1000, 10, None)
    longer = extend(stage, config, 0, 2000, 10)
    assert longer.trunk == stage.trunk
    assert longer.fork == 1700
    assert longer.release is not None
    assert rate(longer.release, 2000) == 1e-4
    assert extend(stage, config, 0, 1000, 10) == stage
    with pytest.raises(InputError, match="may only grow"):
        extend(stage, config, 0, 900, 10)
    held = plan_stage(Constant(peak_lr=1e-3), 0, 1000, 10, None)
    assert extend(held, Constant(peak_lr=1e-3), 0, 2000, 10) == held


@pytest.mark.parametrize("config", [Cosine(peak_lr=1e-3), Linear(peak_lr=1e-3)])
def test_a_schedule_planned_to_its_end_cannot_be_made_longer(config: Cosine | Linear) -> None:
    stage = plan_stage(config, 0, 1000, 10, None)
    with pytest.raises(InputError, match=f"a {config.kind} is planned to its end .* infinite"):
        extend(stage, config, 0, 2000, 10)


def test_an_anneal_leaves_the_trunk_as_it_was() -> None:
    stage = plan_stage(Infinite(peak_lr=1e-3), 0, 1000, 10, None)
    before = stage.model_dump()
    piece = branch(stage.trunk, 400, 100, 0.0, "linear")
    assert rate(piece, 400) == rate(stage.trunk, 400)
    assert rate(piece, 450) == pytest.approx(rate(stage.trunk, 400) / 2)
    assert rate(piece, 500) == 0.0
    assert stage.model_dump() == before


def test_anneals_that_cannot_be() -> None:
    trunk = plan_stage(Infinite(peak_lr=1e-3), 500, 1000, 10, None).trunk
    with pytest.raises(InputError, match="begins at 500 tokens, an anneal cannot leave it at 400"):
        branch(trunk, 400, 100, 0.0, "linear")
    with pytest.raises(InputError, match="takes at least one token, got 0"):
        branch(trunk, 600, 0, 0.0, "linear")
    with pytest.raises(InputError, match=r"cannot lower it; choose another place"):
        branch(trunk, 10**6, 100, 0.6e-3, "linear")
    with pytest.raises(InputError, match="cannot lower it"):
        branch(trunk, 500, 100, 0.0, "linear")
    with pytest.raises(InputError, match="an exponential anneal never meets 0; choose linear"):
        branch(trunk, 600, 100, 0.0, "exponential")


def test_a_drawn_curve_has_few_points_and_lies_on_the_schedule() -> None:
    stage = plan(Infinite(peak_lr=1e-3), 1000, 512)
    points = curve(stage.trunk, 0, 1000 * 512)
    assert points[0] == (0, 0.0)
    assert points[-1] == (1000 * 512, 0.55e-3)
    assert len(points) == 1 + 33 + 1  # warm-up's start, bent cooldown, constant's end
    assert all(value == rate(stage.trunk, tokens) for tokens, value in points)
    assert curve(stage.trunk, 900 * 512, 1000 * 512) == [
        (900 * 512, 0.55e-3),
        (1000 * 512, 0.55e-3),
    ]
    jump = (
        segment(1.0, 0.5, "linear"),
        Segment(start=200, end=None, from_lr=0.9, to_lr=0.9, shape="constant"),
    )
    assert curve(jump, 100, 300) == [(100, 1.0), (200, 0.5), (200, 0.9), (300, 0.9)]
    assert curve((segment(1.0, 0.5, "linear"),), 100, 300)[-1] == (300, 0.5)


class Holder(Config):
    """Where a recipe holds its schedule."""

    schedule: ScheduleConfig


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"kind": "infinite", "peak_lr": 1, "floor": 0.6},
            "floor 0.6 above constant 0.55; lower floor",
        ),
        ({"kind": "infinite", "peak_lr": 1, "warmup": 0.5}, "at most 1.*got 0.5 \\+ 0.6; shorten"),
        ({"kind": "infinite", "peak_lr": 1, "floor": 0}, "never meets 0.*anneal.shape linear"),
        ({"kind": "wsd", "peak_lr": 1, "floor": 0}, "never meets 0.*anneal.shape linear"),
        (
            {"kind": "cosine", "peak_lr": 1, "floor": 1.5},
            "floor: .*less than or equal to 1, got 1.5",
        ),
        ({"kind": "cosine", "peak_lr": 0}, "peak_lr: .*greater than 0, got 0"),
        ({"kind": "cosine", "peak_lr": 1, "warmup": 1}, "warmup: .*less than 1, got 1"),
        ({"kind": "linear", "warmup": 0.1}, "got warmup 0.1 without peak_lr"),
        ({"kind": "constant", "warmup": 0.1}, "got warmup 0.1 without peak_lr"),
        ({"kind": "wsd", "peak_lr": 1, "anneal": {"fraction": 1}}, "fraction: .*less than 1"),
        ({"kind": "cosin", "peak_lr": 1}, "'cosin'"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        decode(Holder, {"schedule": settings}, "recipe")


def test_a_floor_of_zero_is_legal_with_a_shape_that_meets_it() -> None:
    stage = plan(Infinite(peak_lr=1e-3, floor=0, anneal=Anneal(shape="linear")))
    assert stage.release is not None
    assert rate(stage.release, 200 * 512) == 0.0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"end": 100}, "ends after its start 100"),
        ({"end": None}, "only a constant segment may be open"),
        ({"shape": "constant"}, "has one rate, got 1.0 and 0.5"),
        ({"shape": "exponential", "to_lr": 0}, "never meets 0"),
        ({"timescale": 3.0}, "timescale belongs to inverse_sqrt alone"),
        ({"shape": "inverse_sqrt"}, "timescale belongs to inverse_sqrt alone, got None"),
    ],
)
def test_segments_that_are_refused(changes: dict[str, object], sentence: str) -> None:
    whole = {"start": 100, "end": 200, "from_lr": 1.0, "to_lr": 0.5, "shape": "linear"}
    with pytest.raises(ValidationError, match=sentence):
        Segment.model_validate(whole | changes)


def test_stage_schedules_that_do_not_fit_together_are_refused() -> None:
    stage = plan_stage(Infinite(peak_lr=1e-3), 0, 1000, 10, None)
    with pytest.raises(ValidationError, match="segments follow each other"):
        StageSchedule(trunk=(stage.trunk[0], stage.trunk[2]), release=None, fork=None)
    with pytest.raises(ValidationError, match="got start 850 and fork 840"):
        StageSchedule(trunk=stage.trunk, release=stage.release, fork=840)


def test_a_budget_is_rounded_down_to_whole_steps() -> None:
    assert num_steps(180_000, 512) == 351
    stage = plan_stage(Cosine(peak_lr=1e-3), 0, 180_000, 512, None)
    assert stage.trunk[-1].end == 351 * 512
    with pytest.raises(InputError, match="511 tokens is shorter than one step of 512 tokens"):
        num_steps(511, 512)


def test_stages_too_short_for_their_parts() -> None:
    with pytest.raises(InputError, match="3 steps has no room after its warm-up of 3 steps"):
        plan_stage(Cosine(peak_lr=1e-3, warmup=0.9), 0, 30, 10, None)
    long_anneal = WSD(peak_lr=1e-3, warmup=0.5, anneal=Anneal(fraction=0.6))
    with pytest.raises(InputError, match="no room for its warm-up and an anneal of 6 steps"):
        plan_stage(long_anneal, 0, 100, 10, None)


def test_a_rate_to_take_over_must_be_there() -> None:
    with pytest.raises(InputError, match="there is no previous stage; give peak_lr"):
        plan_stage(Linear(), 0, 1000, 10, None)
    line = Linear(peak_lr=1e-3)
    first = plan_stage(line, 0, 1000, 10, None)
    with pytest.raises(InputError, match="stopped at rate 0; give peak_lr"):
        plan_stage(Constant(), 1000, 1000, 10, (line, first))


def test_a_schedule_warms_up_at_least_so_long() -> None:
    stage = plan_stage(WSD(peak_lr=1.0), 0, 4000, 10, None, 40)
    assert [rate(stage.trunk, 10 * step) for step in (1, 20, 40, 41)] == [1 / 40, 0.5, 1, 1]
    stage = plan_stage(Constant(peak_lr=1.0, warmup=0.0), 0, 4000, 10, None, 40)
    assert rate(stage.trunk, 10) == 1.0
