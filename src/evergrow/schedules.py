"""Learning rates as piecewise functions of the tokens consumed: a trunk, and releases off it.

Nothing here has state. A schedule is resolved once into segments in absolute trunk tokens, the
segments are stored whole with the run, and a step's rate is a function of them and one integer.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self, assert_never

from pydantic import Field, model_validator

from evergrow.config import Config
from evergrow.errors import InputError
from evergrow.warmup import warmup_steps

Shape = Literal["linear", "cosine", "exponential", "one_minus_sqrt", "inverse_sqrt", "constant"]
AnnealShape = Literal["exponential", "linear", "one_minus_sqrt", "cosine"]

_CURVE_POINTS = 33  # per bent segment; the eye sees no corner at report width


Bend = Annotated[float | None, Field(gt=0, description="inverse_sqrt only, null elsewhere")]


class Segment(Config):
    """The rate goes from ``from_lr`` to ``to_lr`` while ``start`` < tokens <= ``end``."""

    start: int = Field(ge=0, description="trunk tokens consumed when the segment begins")
    end: int | None = Field(
        description="trunk tokens at its last step; null = open, the segment goes on"
    )
    from_lr: float = Field(
        ge=0, description="rate at `start`; no step uses it, the first is one step in"
    )
    to_lr: float = Field(ge=0, description="rate of the step that ends at `end`")
    shape: Shape
    timescale: Bend = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"a segment ends after its start {self.start}, got end {self.end}")
        if self.end is None and self.shape != "constant":
            raise ValueError(
                f"only a constant segment may be open, got shape {self.shape!r} without end"
            )
        if self.shape == "constant" and self.from_lr != self.to_lr:
            raise ValueError(
                f"a constant segment has one rate, got {self.from_lr} and {self.to_lr}"
            )
        if self.shape == "exponential" and min(self.from_lr, self.to_lr) == 0:
            raise ValueError(f"an exponential never meets 0, got {self.from_lr} to {self.to_lr}")
        if (self.shape == "inverse_sqrt") != (self.timescale is not None):
            raise ValueError(f"timescale belongs to inverse_sqrt alone, got {self.timescale}")
        return self


def linear(segment: Segment, x: float) -> float:
    """from + (to - from) x."""
    return segment.from_lr + (segment.to_lr - segment.from_lr) * x


def cosine(segment: Segment, x: float) -> float:
    """to + (from - to)/2 (1 + cos(pi x)).

    Ibrahim et al. 2403.08763 Eq. 2; also the cooldown of Singh et al. 2503.02844 Eq. 1.
    """
    return segment.to_lr + (segment.from_lr - segment.to_lr) / 2 * (1 + math.cos(math.pi * x))


def exponential(segment: Segment, x: float) -> float:
    """from (to/from)^x: the anneal of Singh et al. 2503.02844 Eq. 1, x = (n - N_d)/t_a.

    One public implementation divides by t_a + N_d and never reaches the floor; the authors' code
    does not.
    """
    return segment.from_lr * (segment.to_lr / segment.from_lr) ** x


def one_minus_sqrt(segment: Segment, x: float) -> float:
    """to + (from - to)(1 - sqrt(x)): the cooldown of Hagele et al. 2405.18392."""
    return segment.to_lr + (segment.from_lr - segment.to_lr) * (1 - math.sqrt(x))


def inverse_sqrt(segment: Segment, x: float) -> float:
    """from + (to - from) f(x)/f(1) with f(x) = 1/sqrt(1 + timescale x) - 1.

    From gpt-neox PR #1194, the code of Singh et al. 2503.02844.
    """
    assert segment.timescale is not None
    here, last = math.sqrt(1 + segment.timescale * x), math.sqrt(1 + segment.timescale)
    bend = x * (last * (1 + last)) / (here * (1 + here))  # = f(x)/f(1), without its cancellation
    return segment.from_lr + (segment.to_lr - segment.from_lr) * bend


def constant(segment: Segment, x: float) -> float:
    """The rate of the segment, wherever ``x`` is."""
    del x
    return segment.to_lr


SHAPES: dict[Shape, Callable[[Segment, float], float]] = {
    "linear": linear,
    "cosine": cosine,
    "exponential": exponential,
    "one_minus_sqrt": one_minus_sqrt,
    "inverse_sqrt": inverse_sqrt,
    "constant": constant,
}


def rate(segments: Sequence[Segment], tokens: int) -> float:
    """The learning rate of the optimiser step that ends at ``tokens`` consumed.

    So the first step of a warm-up is above 0, the peak is met exactly at the warm-up's last step
    and a floor exactly at an anneal's. Past the end of the last closed segment its ``to_lr``
    holds: never negative, never below the floor.
    """
    assert tokens >= segments[0].start, (
        f"{tokens} tokens lie before the schedule, {segments[0].start}"
    )
    for segment in segments:
        if segment.end is None or tokens <= segment.end:
            return _value(segment, tokens)
    return segments[-1].to_lr


def _value(segment: Segment, tokens: int) -> float:
    """The segment's rate at ``tokens``; ``from_lr`` at its start."""
    if segment.end is None or tokens >= segment.end:
        return segment.to_lr
    x = (tokens - segment.start) / (segment.end - segment.start)
    low, high = sorted((segment.from_lr, segment.to_lr))
    return min(max(SHAPES[segment.shape](segment, x), low), high)  # rounding must not cross a floor


def curve(segments: Sequence[Segment], start: int, end: int) -> list[tuple[int, float]]:
    """Few points (tokens, rate) that draw ``start`` to ``end``; a jump is two at one place."""
    points: list[tuple[int, float]] = []
    for segment in segments:
        low = max(segment.start, start)
        high = end if segment.end is None else min(segment.end, end)
        if low >= high:
            continue
        gaps = 1 if segment.shape in ("linear", "constant") else min(_CURVE_POINTS - 1, high - low)
        places = [low + (high - low) * i // gaps for i in range(gaps + 1)]
        points += [(t, _value(segment, t)) for t in places]
    if points and points[-1][0] < end:
        points.append((end, points[-1][1]))
    return [p for i, p in enumerate(points) if i == 0 or p != points[i - 1]]


PeakRate = Annotated[float, Field(gt=0, description="highest learning rate")]
PeakOrReached = Annotated[
    float | None, Field(gt=0, description="first rate; null = where the previous stage stopped")
]
Held = Annotated[float, Field(gt=0, le=1, description="rate held on, a fraction of peak_lr")]
Floor = Annotated[float, Field(ge=0, le=1, description="last rate, a fraction of peak_lr")]
Warmup = Annotated[
    Annotated[float, Field(ge=0, lt=1)] | None,
    Field(
        description="LENGTH, a fraction of the first stage's tokens; default: 0.01, of "
        "linear and constant 0, no shorter than a loaded model's optimiser needs"
    ),
]
Cooldown = Annotated[float, Field(gt=0, le=1, description="LENGTH, a share of the first stage")]
AnnealLength = Annotated[
    float, Field(gt=0, lt=1, description="LENGTH, a fraction of the tokens of the stage it ends")
]
Timescale = Annotated[float, Field(gt=0, description="bend of cooldown_shape inverse_sqrt only")]


class Anneal(Config):
    """How a release leaves the trunk: its length and its way down to the floor."""

    fraction: AnnealLength = 0.15
    shape: AnnealShape = Field(default="exponential", description="of the way down")


class Infinite(Config):
    """Warm-up and cooldown once, then constant for ever; releases anneal on branches.

    Singh et al. 2503.02844 Eq. 1.
    """

    kind: Literal["infinite"] = "infinite"
    peak_lr: PeakRate
    constant: Held = 0.55  # language: 3e-4 to 1.65e-4 in 2403.08763 section 7; 0.25 for MAE
    floor: Floor = 0.1
    usual_warmup: ClassVar[float] = 0.01
    warmup: Warmup = None
    cooldown: Cooldown = 0.6
    cooldown_shape: Literal["cosine", "inverse_sqrt", "linear"] = Field(
        default="cosine", description="of the way from the peak to the constant"
    )
    timescale: Timescale = 10.0
    anneal: Anneal = Anneal()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.floor > self.constant:
            raise ValueError(
                "floor lies at or below constant (both are fractions of peak_lr), "
                f"got floor {self.floor} above constant {self.constant}; lower floor"
            )
        warmup = self.usual_warmup if self.warmup is None else self.warmup
        if warmup + self.cooldown > 1:
            raise ValueError(
                "warmup + cooldown are lengths and fit in the first stage (sum at most 1), "
                f"got {warmup} + {self.cooldown}; shorten one of them"
            )
        _refuse_zero_floor(self.floor, self.anneal)
        return self


class WSD(Config):
    """Warm-up once, then stable at the peak; releases decay on branches (MiniCPM, 2404.06395)."""

    kind: Literal["wsd"] = "wsd"
    peak_lr: PeakRate
    floor: Floor = 0.1
    usual_warmup: ClassVar[float] = 0.01
    warmup: Warmup = None
    anneal: Anneal = Anneal()

    @model_validator(mode="after")
    def _check(self) -> Self:
        _refuse_zero_floor(self.floor, self.anneal)
        return self


class Cosine(Config):
    """Warm-up and half a cosine to the floor, again in every stage; re-warms a finished model."""

    kind: Literal["cosine"] = "cosine"
    peak_lr: PeakRate
    floor: Floor = 0.1
    usual_warmup: ClassVar[float] = 0.01
    warmup: Warmup = None


class Linear(Config):
    """A straight line to the floor; by default from the rate reached (OLMo 2 mid-training)."""

    kind: Literal["linear"] = "linear"
    peak_lr: PeakOrReached = None
    floor: Floor = 0.0
    usual_warmup: ClassVar[float] = 0.0
    warmup: Warmup = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        _refuse_aimless_warmup(self.peak_lr, self.warmup)
        return self


class Constant(Config):
    """One rate, with no anneal; without ``peak_lr`` the one where the previous stage stopped."""

    kind: Literal["constant"] = "constant"
    peak_lr: PeakOrReached = None
    usual_warmup: ClassVar[float] = 0.0
    warmup: Warmup = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        _refuse_aimless_warmup(self.peak_lr, self.warmup)
        return self


ScheduleConfig = Annotated[Infinite | Cosine | WSD | Linear | Constant, Field(discriminator="kind")]


def _refuse_zero_floor(floor: float, anneal: Anneal) -> None:
    if floor == 0 and anneal.shape == "exponential":
        raise ValueError(
            "an exponential anneal never meets 0, got floor 0; choose anneal.shape linear, "
            "one_minus_sqrt or cosine, or a floor above 0"
        )


def _refuse_aimless_warmup(peak_lr: float | None, warmup: float | None) -> None:
    if peak_lr is None and warmup:
        raise ValueError(
            f"a warm-up needs a rate to rise to, got warmup {warmup} without peak_lr; "
            "give peak_lr or leave out warmup"
        )


class StageSchedule(Config):
    """One stage in absolute trunk tokens: the trunk, and the release that leaves it at ``fork``."""

    trunk: tuple[Segment, ...] = Field(min_length=1)
    release: tuple[Segment, ...] | None = Field(description="null = the release is the trunk's end")
    fork: int | None = Field(description="trunk tokens at which the release branches off")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for segments in (self.trunk, self.release or ()):
            for before, after in pairwise(segments):
                if before.end != after.start:
                    raise ValueError(
                        f"segments follow each other, got end {before.end} and start {after.start}"
                    )
        begins = self.release[0].start if self.release else None
        if begins != self.fork:
            raise ValueError(
                f"the release begins at the fork, got start {begins} and fork {self.fork}"
            )
        return self


def num_steps(num_tokens: int, tokens_per_step: int) -> int:
    """The whole steps that a budget of tokens pays for: rounded down, a budget is never exceeded.

    Raises InputError when it does not pay for one.
    """
    if num_tokens < tokens_per_step:
        raise InputError(
            f"a stage of {num_tokens} tokens is shorter than one step of {tokens_per_step} tokens; "
            "give it more tokens or make the batch smaller"
        )
    return num_tokens // tokens_per_step


def plan_stage(
    config: ScheduleConfig,
    start: int,
    num_tokens: int,
    tokens_per_step: int,
    previous: tuple[ScheduleConfig, StageSchedule] | None,
    least_warmup: int = 0,
) -> StageSchedule:
    """Resolve ``config`` for a stage of ``num_tokens`` that begins at ``start`` trunk tokens.

    ``least_warmup`` are the steps that a warm-up takes at least where ``config`` leaves it open.
    The trunk of an open-ended schedule simply goes on when the previous stage had an equal one.
    Otherwise the clock starts at ``start`` and the warm-up rises from the rate at which the
    previous trunk stopped, or from 0 at the first stage. Lengths are rounded to the nearest whole
    step, so that a schedule is the same in steps and in tokens. Raises InputError when the stage
    is too short for its parts, or when a rate must be taken over and there is none.
    """
    steps = num_steps(num_tokens, tokens_per_step)
    if previous is not None and previous[0] == config and not isinstance(config, Cosine | Linear):
        return _with_release(config, previous[1].trunk, start, steps, tokens_per_step)
    stopped_lr = None if previous is None else rate(previous[1].trunk, start)
    warm = warmup_steps(config.warmup, config.usual_warmup, steps, least_warmup)
    resolved = config.model_copy(update={"warmup": warm / steps})
    trunk = _lay_trunk(resolved, start, steps, tokens_per_step, stopped_lr)
    return _with_release(config, trunk, start, steps, tokens_per_step)


def extend(
    schedule: StageSchedule,
    config: ScheduleConfig,
    start: int,
    num_tokens: int,
    tokens_per_step: int,
) -> StageSchedule:
    """The same trunk with a later end and fork; ``num_tokens`` is the new length from ``start``.

    The new fork may lie before the old end: the trunk is then left at a place it has already
    passed. Raises InputError for schedules planned to their end, and for a shorter stage.
    """
    if isinstance(config, Cosine | Linear):
        raise InputError(
            f"a {config.kind} is planned to its end and cannot be made longer; "
            "continue with a new stage, or use an infinite schedule"
        )
    extended = _with_release(
        config, schedule.trunk, start, num_steps(num_tokens, tokens_per_step), tokens_per_step
    )
    old_end = schedule.release[-1].end if schedule.release else None
    new_end = extended.release[-1].end if extended.release else None
    if old_end is not None and new_end is not None and new_end < old_end:
        raise InputError(
            f"a stage that ends at {old_end} tokens cannot end at {new_end}: "
            "its tokens may only grow; use a new run name for a shorter stage"
        )
    return extended


def branch(
    trunk: Sequence[Segment], at: int, num_tokens: int, floor_lr: float, shape: AnnealShape
) -> tuple[Segment, ...]:
    """Anneal from the trunk's rate at ``at`` tokens; the last of ``num_tokens`` has ``floor_lr``.

    Raises InputError when there is no trunk or nothing to anneal there, or for an exponential
    to zero.
    """
    if at < trunk[0].start:
        raise InputError(
            f"the trunk begins at {trunk[0].start} tokens, an anneal cannot leave it at {at}; "
            "choose a later place"
        )
    if num_tokens <= 0:
        raise InputError(f"an anneal takes at least one token, got {num_tokens}; give it a length")
    from_lr = rate(trunk, at)
    if from_lr == 0 or from_lr < floor_lr:
        raise InputError(
            f"the rate at {at} tokens is {from_lr:g}, an anneal to {floor_lr:g} cannot lower it; "
            "choose another place or a lower floor"
        )
    if floor_lr == 0 and shape == "exponential":
        raise InputError(
            "an exponential anneal never meets 0; choose linear, one_minus_sqrt or cosine, "
            "or a floor above 0"
        )
    return _piece(at, at + num_tokens, from_lr, floor_lr, shape)


def _with_release(
    config: ScheduleConfig, trunk: tuple[Segment, ...], start: int, steps: int, tokens_per_step: int
) -> StageSchedule:
    """Add the planned anneal: the last round(fraction * steps) steps of the stage, at least one.

    The nearest whole step is taken because a fork can only lie between two steps.
    """
    if not isinstance(config, Infinite | WSD):
        return StageSchedule(trunk=trunk, release=None, fork=None)
    anneal_steps = max(1, round(config.anneal.fraction * steps))
    fork = start + (steps - anneal_steps) * tokens_per_step
    has_warmup = trunk[0].from_lr != config.peak_lr
    if has_warmup and trunk[0].end is not None and fork < trunk[0].end:
        raise InputError(
            f"a stage of {steps} steps has no room for its warm-up and an anneal of "
            f"{anneal_steps} steps; give the stage more tokens, or shorten warmup or "
            "anneal.fraction"
        )
    floor_lr = config.floor * config.peak_lr
    release = branch(trunk, fork, anneal_steps * tokens_per_step, floor_lr, config.anneal.shape)
    return StageSchedule(trunk=trunk, release=release, fork=fork)


def _lay_trunk(
    config: ScheduleConfig, start: int, steps: int, tokens_per_step: int, stopped_lr: float | None
) -> tuple[Segment, ...]:
    """A trunk whose clock starts at ``start``; ``stopped_lr`` is None at the first stage."""
    peak_lr = _peak_lr(config, stopped_lr)
    # a warm-up of one step is none: that step has the peak
    warmup_steps = round((config.warmup or 0.0) * steps)
    warm = start + warmup_steps * tokens_per_step
    warmup = _piece(start, warm, stopped_lr or 0.0, peak_lr, "linear")
    match config:
        case WSD() | Constant():
            return warmup + _piece(warm, None, peak_lr, peak_lr, "constant")
        case Cosine() | Linear():
            if warmup_steps == steps:
                raise InputError(
                    f"a stage of {steps} steps has no room after its warm-up of {warmup_steps} "
                    "steps; give the stage more tokens or shorten warmup"
                )
            end = start + steps * tokens_per_step
            return warmup + _piece(warm, end, peak_lr, config.floor * peak_lr, config.kind)
        case Infinite():
            cooled = warm + max(1, round(config.cooldown * steps)) * tokens_per_step
            held_lr = config.constant * peak_lr
            shape = config.cooldown_shape
            timescale = config.timescale if shape == "inverse_sqrt" else None
            cooldown = _piece(warm, cooled, peak_lr, held_lr, shape, timescale)
            return warmup + cooldown + _piece(cooled, None, held_lr, held_lr, "constant")
        case _:
            assert_never(config)


def _peak_lr(config: ScheduleConfig, stopped_lr: float | None) -> float:
    """The rate to warm up to; a schedule without one takes over the rate reached."""
    if config.peak_lr is not None:
        return config.peak_lr
    if not stopped_lr:
        found = (
            "there is no previous stage"
            if stopped_lr is None
            else "the previous stage stopped at rate 0"
        )
        raise InputError(
            f"a {config.kind} schedule without peak_lr goes on from the previous stage's rate, "
            f"but {found}; give peak_lr"
        )
    return stopped_lr


def _piece(
    start: int,
    end: int | None,
    from_lr: float,
    to_lr: float,
    shape: Shape,
    timescale: float | None = None,
) -> tuple[Segment, ...]:
    """One segment, or none when it has no length."""
    if start == end:
        return ()
    return (
        Segment(
            start=start, end=end, from_lr=from_lr, to_lr=to_lr, shape=shape, timescale=timescale
        ),
    )
