"""Does a model forget less on an infinite schedule than on repeated cosine, and with replay?

Singh et al. 2025, Beyond Cosine Decay (2503.02844): DCLM, the Stack, German. Here: the quickstart's
three streams, over seeds. Every number is a release's: annealed on a fork, or at the cosine's end.
"""

from collections.abc import Callable

from evergrow.errors import InputError
from evergrow.recipe import Recipe
from evergrow.run import Run, root_of
from evergrow.schedules import Infinite
from evergrow.stage.summary import summarise_run
from evergrow.studies.findings import Arms, Expected, Settings
from evergrow.studies.harness import Claim, Study

REPLAY = 0.25
# An infinite schedule's mean rate up to its first release is 1.17 times a cosine's of the same peak
# (0.642 against 0.55 of it); a little model is better for that alone.
MATCHED = 0.55 / 0.642

RECIPE: Settings = {
    "name": "infinite",
    "description": "Infinite against repeated cosine, after Singh et al. 2025.",
    "workers": 2,
    "sources": {
        name: {"installed": name, "max_bytes": "3M", "drop_repeated_lines": 40}
        for name in ("english", "python", "cpp")
    },
    "tokenizer": {"vocab_size": 2048, "sources": ["english", "python", "cpp"]},
    "model": {"preset": "olmo2", "hidden": 96, "layers": 2},
    "train": {"sequence_length": 128, "batch_size": 4},
    "schedule": {"kind": "infinite", "peak_lr": 5e-3},
    "stages": [
        {"name": name, "data": name, "tokens": "200k"} for name in ("english", "python", "cpp")
    ],
    "evaluate": {"every": "20k", "part": "12k", "sample_tokens": 0},
}


def arms(recipe: Recipe) -> Arms:
    """Two schedules of one peak, each without and with replay; a control of equal mean rate."""
    if not isinstance(recipe.schedule, Infinite):
        raise InputError(
            "schedule.kind: the study sets an infinite schedule against a cosine of the same "
            f"peak, got {recipe.schedule.kind}; for another schedule write a recipe"
        )
    infinite = recipe.schedule.model_dump()
    peak = recipe.schedule.peak_lr
    cosine = {"schedule": {"kind": "cosine", "peak_lr": peak, "floor": recipe.schedule.floor}}
    replay = {"replay.fraction": REPLAY}
    return {
        "infinite": {},
        "infinite-replay": replay,
        "cosine": cosine,
        "cosine-replay": {**cosine, **replay},
        "matched-replay": {"schedule": {**infinite, "peak_lr": peak * MATCHED}, **replay},
    }


def measure(name: str) -> Callable[[Run], float | None]:
    """A measure of the loss matrix."""
    return lambda run: getattr(summarise_run(run, root_of(run)), name)


def cell(row: int, column: int) -> Callable[[Run], float | None]:
    """One cell of the loss matrix; rows are stages, columns streams."""
    return lambda run: summarise_run(run, root_of(run)).loss_matrix[row][column]


MEASURES = {
    "average": measure("average"),
    "forgetting": measure("forgetting"),
    "transient peak": measure("transient_peak"),
    "first, after stage 1": cell(0, 0),
    "newest": cell(-1, -1),
}


def both(text: str, measure: str, expected: Expected) -> list[Claim]:
    """The infinite schedule against the cosine, without replay and with it."""
    return [
        Claim(f"{text}, without replay", ("infinite", measure), expected, ("cosine", measure)),
        Claim(
            f"{text}, with replay",
            ("infinite-replay", measure),
            expected,
            ("cosine-replay", measure),
        ),
    ]


def replay(text: str, measure: str, expected: Expected) -> list[Claim]:
    """Replay against none, on both schedules."""
    return [
        Claim(f"{text}, {arm}", (f"{arm}-replay", measure), expected, (arm, measure))
        for arm in ("infinite", "cosine")
    ]


CLAIMS = [
    *replay("replay forgets less", "forgetting", "below"),
    *replay("replay ends lower on average", "average", "below"),
    *replay("replay learns the newest stream less", "newest", "above"),
    *both("infinite forgets less", "forgetting", "below"),
    *both("infinite ends lower on average", "average", "below"),
    *both("infinite rises less at a switch", "transient peak", "below"),
    Claim(
        "infinite is lower before any shift",
        ("infinite", "first, after stage 1"),
        "below",
        ("cosine", "first, after stage 1"),
    ),
    Claim(
        "of equal mean rate in stage 1, infinite forgets less",
        ("matched-replay", "forgetting"),
        "below",
        ("cosine-replay", "forgetting"),
    ),
    Claim(
        "of equal mean rate in stage 1, infinite ends lower on average",
        ("matched-replay", "average"),
        "below",
        ("cosine-replay", "average"),
    ),
]

STUDY = Study(
    question="Does an infinite schedule forget less than repeated cosine, and what does replay do?",
    paper="Singh et al. 2025, arXiv 2503.02844",
    recipe=RECIPE,
    arms=arms,
    measures=MEASURES,
    claims=CLAIMS,
)
