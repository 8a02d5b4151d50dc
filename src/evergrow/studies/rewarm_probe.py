"""Do short probes propose the peak rate that is best at full length?

What ``evergrow rewarm`` does to a finished model, and the same grid of rates at LONGER times the
tokens: English of installed packages, then the standard library of Python, as the study rewarm.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import mean

from evergrow.recipe import Recipe
from evergrow.report.proposal import FACTORS, proposed
from evergrow.report.rewarm import Probe
from evergrow.run import Run
from evergrow.scores.store import losses
from evergrow.studies import rewarm
from evergrow.studies.findings import Arms, Settings, Values
from evergrow.studies.harness import Claim, Study
from evergrow.studies.readings import released, scores_of

SHORT, FULL = "short", "full"
LONGER = 5
WITHIN = 1  # steps of the grid
MOST_LOST = (None, 0.3, 0.15)  # the rules asked: no limit, and two on what the old may lose

RECIPE: Settings = {
    **rewarm.RECIPE,
    "name": "rewarm-probe",
    "description": "Short probes of a peak rate against the same grid at full length.",
    "stages": [
        {"name": "old", "data": "old", "tokens": "300k"},
        {"name": "new", "from": "old.release", "data": "new", "tokens": "25.6k"},
    ],
    "held_out": {"tokens": "10k"},
    "evaluate": {"sample_tokens": 0},
}


def arms(recipe: Recipe) -> Arms:
    """Every rate of the grid for the tokens of a probe and for LONGER times as many."""
    peak = recipe.schedule.peak_lr
    assert peak is not None, "a cosine says its peak"
    tokens = recipe.stages[1].length
    return {
        f"{length}-{place}": {
            "stages.1.schedule": {"kind": "infinite", "peak_lr": factor * peak},
            "stages.1.tokens": times * tokens,
        }
        for length, times in ((SHORT, 1), (FULL, LONGER))
        for place, factor in enumerate(FACTORS)
    }


def _before(source: str) -> Callable[[Run], float]:
    """A source under the finished model, of which a Run's last stage begins."""
    return lambda run: losses(scores_of(run, run.manifest.stages[0].key))[source].loss


def _gained(run: Run) -> float | None:
    after = released("new")(run)
    return None if after is None else _before("new")(run) - after


def _lost(run: Run) -> float | None:
    after = released("old")(run)
    return None if after is None else after - _before("old")(run)


def conclude(numbers: Values, runs: Sequence[Run]) -> list[str]:
    """For every rule what the probes propose and what is best at full length, seed by seed."""
    del runs
    seeds = _seeds(numbers)
    return [_compared(numbers, seeds, limit) for limit in MOST_LOST] if seeds else []


def _compared(numbers: Values, seeds: Sequence[int], limit: float | None) -> str:
    places = [[_place(numbers, length, seed, limit) for length in (SHORT, FULL)] for seed in seeds]
    near = sum(abs(short - full) <= WITHIN for short, full in places)
    said = [
        f"seed {seed}: {FACTORS[short]:g} and {FACTORS[full]:g}"
        for seed, (short, full) in zip(seeds, places, strict=True)
    ]
    cost = mean(
        _at(numbers, FULL, full, seed).net - _at(numbers, FULL, short, seed).net
        for seed, (short, full) in zip(seeds, places, strict=True)
    )
    asked = "no limit on what is lost" if limit is None else f"at most {limit:g} lost"
    return (
        f"{asked}: proposed and best share of the peak, {', '.join(said)}; within one step of the "
        f"grid on {near} of {len(seeds)} seeds; at full length the proposal has {cost:.3f} bits "
        "per byte less of gained less lost, on average"
    )


def _seeds(numbers: Values) -> list[int]:
    """The seeds of which every probe is there."""
    names = [f"{length}-{place}" for length in (SHORT, FULL) for place in range(len(FACTORS))]
    found = [set(numbers.get(name, {}).get("gained", {})) for name in names]
    return sorted(set.intersection(*found))


def _at(numbers: Values, length: str, place: int, seed: int) -> Probe:
    arm: Mapping[str, Mapping[int, float]] = numbers[f"{length}-{place}"]
    gained, lost = arm["gained"][seed], arm["lost"][seed]
    return Probe(name=str(place), peak=FACTORS[place], new=0, old={}, gained=gained, lost=lost)


def _place(numbers: Values, length: str, seed: int, limit: float | None) -> int:
    """Where in the grid the rate lies that the rule of ``evergrow rewarm`` takes."""
    grid = [_at(numbers, length, place, seed) for place in range(len(FACTORS))]
    return int(proposed(grid, limit).name)


def _claims(length: str) -> list[Claim]:
    """The dial: a higher rate gains more, step by step, and loses more."""
    steps = [(i, i + 1) for i in range(len(FACTORS) - 1)]
    first, last = f"{length}-0", f"{length}-{len(FACTORS) - 1}"
    return [
        *(
            Claim(
                f"{length}: {FACTORS[high]:g} of the peak gains more than {FACTORS[low]:g}",
                (f"{length}-{high}", "gained"),
                "above",
                (f"{length}-{low}", "gained"),
            )
            for low, high in steps
        ),
        Claim(f"{length}: the highest rate loses most", (last, "lost"), "above", (first, "lost")),
    ]


STUDY = Study(
    question="Do short probes of a peak rate propose what is best at full length?",
    paper="Gupta et al. 2023, arXiv 2308.04014",
    recipe=RECIPE,
    arms=arms,
    measures={"gained": _gained, "lost": _lost, "new": released("new"), "old": released("old")},
    claims=[*_claims(SHORT), *_claims(FULL)],
    notes=[
        f"short-0 to short-{len(FACTORS) - 1} are probes at {FACTORS[0]:g} to {FACTORS[-1]:g} of "
        f"the peak, full-0 and on the same rates for {LONGER} times the tokens; gained and lost "
        "are against the finished model."
    ],
    conclude=conclude,
)
