"""A finished model learns new data: does its learning rate have to rise again, and how far?

Gupta et al. 2023, How to (re)warm your model? (2308.04014): Pythia 410M, the Pile, then SlimPajama.
Here: English of installed packages, then the standard library of Python.
"""

from evergrow.errors import InputError
from evergrow.recipe import Recipe
from evergrow.schedules import Cosine
from evergrow.studies.findings import Arms, Settings
from evergrow.studies.harness import Claim, Study
from evergrow.studies.readings import at_start, early_peak, released

EARLY = 0.05  # of the stage
NO_MATTER = 0.029  # bits per byte: 0.02 nats

RECIPE: Settings = {
    "name": "rewarm",
    "description": "A finished model re-warmed on new data, after Gupta et al. 2023.",
    "workers": 2,
    "sources": {
        # read once at most, so that learning the same data goes on with windows not seen before
        "old": {
            "installed": "english",
            "max_bytes": "3M",
            "drop_repeated_lines": 40,
            "max_epochs": 1,
        },
        "new": {"installed": "python", "max_bytes": "3M", "drop_repeated_lines": 40},
    },
    "model": {"preset": "olmo2", "hidden": 96, "layers": 2},
    "train": {"sequence_length": 128, "batch_size": 4},
    "schedule": {"kind": "cosine", "peak_lr": 2.5e-3},
    "stages": [
        {"name": "old", "data": "old", "tokens": "400k"},
        # A finished model, as one finds it, comes without the state of its optimiser.
        {"name": "new", "data": "new", "tokens": "200k", "optimizer_state": "reset"},
    ],
    "evaluate": {"every": "2k", "part": "2k", "sources": ["old", "new"], "sample_tokens": 0},
}


def arms(recipe: Recipe) -> Arms:
    """Re-warming as the recipe says, and what differs from it in one thing."""
    if not isinstance(recipe.schedule, Cosine):
        raise InputError(
            f"schedule.kind: the study is about a cosine that came to its end, "
            f"got {recipe.schedule.kind}; for another schedule write a recipe"
        )
    cosine = recipe.schedule.model_dump()
    peak = recipe.schedule.peak_lr
    floor = {"kind": "constant"}  # goes on at the rate where stage 1 ended
    same_data = {"stages.1.name": "again", "stages.1.data": recipe.stages[0].data}
    return {
        "rewarm": {},
        "half-peak": {"stages.1.schedule": {**cosine, "peak_lr": peak / 2}},
        "double-peak": {"stages.1.schedule": {**cosine, "peak_lr": peak * 2}},
        "floor": {"stages.1.schedule": floor},
        "warmup-0": {"stages.1.schedule": {**cosine, "warmup": 0.0}},
        "warmup-2": {"stages.1.schedule": {**cosine, "warmup": 0.02}},
        "warmup-10": {"stages.1.schedule": {**cosine, "warmup": 0.1}},
        "same-data": same_data,
        "same-data-floor": {**same_data, "stages.1.schedule": floor},
        "scratch": {"stages": recipe.to_data()["stages"][1:]},
    }


def _same(arm: str, percent: int, beyond: str = "") -> list[Claim]:
    """The length of the warm-up does not matter at the end, on new data and on old."""
    return [
        Claim(
            f"a warm-up of {percent} % ends like one of 1 %{beyond}",
            (arm, measure),
            "equal",
            ("rewarm", measure),
            NO_MATTER,
        )
        for measure in ("new", "old")
    ]


CLAIMS = [
    Claim(
        "a lower peak learns the new data worse", ("half-peak", "new"), "above", ("rewarm", "new")
    ),
    Claim(
        "a higher peak learns the new data better",
        ("double-peak", "new"),
        "below",
        ("rewarm", "new"),
    ),
    Claim("a lower peak forgets less", ("half-peak", "old"), "below", ("rewarm", "old")),
    Claim("a higher peak forgets more", ("double-peak", "old"), "above", ("rewarm", "old")),
    Claim(
        "re-warming learns the new data better than staying at the floor",
        ("rewarm", "new"),
        "below",
        ("floor", "new"),
    ),
    Claim("staying at the floor forgets less", ("floor", "old"), "below", ("rewarm", "old")),
    Claim(
        "re-warming beats a new model on equal new tokens",
        ("rewarm", "new"),
        "below",
        ("scratch", "new"),
    ),
    Claim(
        "re-warming first raises the old loss",
        ("rewarm", "old early peak"),
        "above",
        ("rewarm", "old at start"),
    ),
    Claim(
        "it rises more than without re-warming",
        ("rewarm", "old early peak"),
        "above",
        ("floor", "old early peak"),
    ),
    Claim(
        "re-warming first raises the new loss",
        ("rewarm", "new early peak"),
        "above",
        ("rewarm", "new at start"),
    ),
    Claim(
        "re-warming on the same data raises its loss",
        ("same-data", "old early peak"),
        "above",
        ("same-data", "old at start"),
    ),
    Claim(
        "it rises more than at the floor, so not by the emptied optimiser",
        ("same-data", "old early peak"),
        "above",
        ("same-data-floor", "old early peak"),
    ),
    Claim(
        "without warm-up the old loss spikes higher",
        ("warmup-0", "old early peak"),
        "above",
        ("rewarm", "old early peak"),
    ),
    *_same("warmup-0", 0),
    *_same("warmup-2", 2),
    *_same("warmup-10", 10, ", beyond the paper's 2 %"),
]

STUDY = Study(
    question="Must the rate of a finished model rise again on new data, and how far?",
    paper="Gupta et al. 2023, arXiv 2308.04014",
    recipe=RECIPE,
    arms=arms,
    measures={
        "new": released("new"),
        "old": released("old"),
        "new at start": at_start("new"),
        "new early peak": early_peak("new", EARLY),
        "old at start": at_start("old"),
        "old early peak": early_peak("old", EARLY),
    },
    claims=CLAIMS,
)
