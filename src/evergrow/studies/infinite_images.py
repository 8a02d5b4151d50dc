"""Infinite against repeated cosine for masked autoencoders (Singh et al. 2025, arXiv 2503.02844).

Digits two classes at a time; or, with a user's pictures, digits, then those, then digits again.
Every number is a release's: annealed on a fork, or at the cosine's end.
"""

from collections.abc import Callable
from pathlib import Path

from evergrow.recipe import Recipe, decode_recipe
from evergrow.run import Run, root_of
from evergrow.stage.summary import summarise_run
from evergrow.studies import infinite
from evergrow.studies.findings import Arms, Settings
from evergrow.studies.harness import Study
from evergrow.studies.infinite import both, cell, measure, replay
from evergrow.studies.readings import scores_of

TASKS = {
    "zero-one": ["0", "1"],
    "two-three": ["2", "3"],
    "four-five": ["4", "5"],
    "six-seven": ["6", "7"],
    "eight-nine": ["8", "9"],
}

RECIPE: Settings = {
    "name": "infinite-image",
    "description": "Infinite against repeated cosine on pictures, after Singh et al. 2025.",
    "workers": 2,
    "sources": {name: {"pictures": "digits", "only": only} for name, only in TASKS.items()},
    "held_out": {"fraction": 0.15},
    "model": {"preset": "vit_mae", "hidden": 48, "layers": 2, "heads": 2, "patch": 2},
    "train": {"batch_size": 32, "optimizer": {"weight_decay": 0.05}},
    # The constant of masked autoencoders in the paper: 0.25 of the peak.
    "schedule": {"kind": "infinite", "peak_lr": 3e-3, "constant": 0.25},
    "stages": [{"name": name, "data": name, "images": "48k"} for name in TASKS],
    "evaluate": {"every": "12k", "sample_tokens": 0},
}
SIZE = 28  # pixels; digits are enlarged to it beside a user's pictures


def study_of(data: str | None) -> Study:
    """The study on digits, or with the pictures that the glob ``data`` names between them."""
    recipe = RECIPE if data is None else _between_digits(data)
    streams = [stage.name for stage in decode_recipe({**recipe}).stages]
    return Study(
        question="Does a masked autoencoder forget less on an infinite schedule than on repeated "
        "cosine, and what does replay do?",
        paper="Singh et al. 2025, arXiv 2503.02844",
        recipe=recipe,
        arms=arms,
        measures={
            "average": measure("average"),
            "forgetting": measure("forgetting"),
            "transient peak": measure("transient_peak"),
            "first, after stage 1": cell(0, 0),
            "newest": cell(-1, -1),
            "linear probe": _probe(streams[-1]),
            "linear probe of the first weights": _probe(None),
            "streams not learnt": _num_unlearnt,
        },
        claims=CLAIMS,
        unit="squared error of normalised pixels",
        notes=[
            "A stream that was not learnt, no better than the mean picture, cannot be forgotten: "
            "where the last column is above 0, read nothing into forgetting."
        ],
    )


def _between_digits(data: str) -> Settings:
    """Digits 0 to 4, the user's pictures, digits 5 to 9, all of one size."""
    files = str(Path.cwd() / Path(data).expanduser())
    halves = {"digits-low": ["0", "1", "2", "3", "4"], "digits-high": ["5", "6", "7", "8", "9"]}
    digits = {
        name: {"pictures": "digits", "only": only, "size": SIZE} for name, only in halves.items()
    }
    own = {"images": [files], "size": SIZE, "duplicates": "drop"}
    sources = {"digits-low": digits["digits-low"], "own": own, "digits-high": digits["digits-high"]}
    model = {"preset": "vit_mae", "hidden": 64, "layers": 2, "heads": 2, "patch": 4}
    return {
        **RECIPE,
        "name": "infinite-image-own",
        "sources": sources,
        "model": model,
        "stages": [{"name": name, "data": name, "images": "40k"} for name in sources],
        "evaluate": {"every": "10k", "part": 200, "sample_tokens": 0},
    }


def arms(recipe: Recipe) -> Arms:
    """Those on text but the control, whose factor is of another constant."""
    return {name: arm for name, arm in infinite.arms(recipe).items() if name != "matched-replay"}


def _probe(stage: str | None) -> Callable[[Run], float | None]:
    """The mean accuracy of the linear probe over the sources that have labels."""

    def read(run: Run) -> float | None:
        keys = {None: run.manifest.start.key, **{s.name: s.key for s in run.manifest.stages}}
        found = [
            probed.accuracy
            for score in (scores_of(run, keys[stage]) if stage in keys else [])
            for probed in score.probes
            if (probed.features, probed.probe) == ("model", "linear")
        ]
        return sum(found) / len(found) if found else None

    return read


def _num_unlearnt(run: Run) -> float:
    """Streams whose own release is no better than the mean picture: forgetting means nothing."""
    return float(len(summarise_run(run, root_of(run)).not_learnt))


CLAIMS = [
    *replay("replay forgets less", "forgetting", "below"),
    *replay("replay ends lower on average", "average", "below"),
    *replay("replay learns the newest stream less", "newest", "above"),
    *both("infinite forgets less", "forgetting", "below"),
    *both("infinite ends lower on average", "average", "below"),
    *both("infinite rises less at a switch", "transient peak", "below"),
    *both("infinite's features are told better by a linear probe", "linear probe", "above"),
]
