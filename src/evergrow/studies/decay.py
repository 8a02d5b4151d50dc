"""How long must the rate fall before a release, and what holds whatever that length?

Hu et al. 2024, MiniCPM (2404.06395, section 4.3): a decay over 10 % of the tokens suffices, one of
2.5 % does not. Asked of the study infinite's three streams, with a first stage three times as long.
"""

from evergrow.recipe import Recipe
from evergrow.studies.findings import Arms, Settings
from evergrow.studies.harness import Claim, Study
from evergrow.studies.infinite import MEASURES
from evergrow.studies.infinite import RECIPE as INFINITE
from evergrow.studies.infinite import arms as arms_of_infinite
from evergrow.studies.rewarm import NO_MATTER

PERCENT = (2.5, 10, 15, 20)  # of a stage, in which the rate falls to its floor
USUAL = 15
STREAMS = ("english", "python", "cpp")

RECIPE: Settings = {
    **INFINITE,
    "name": "decay",
    "description": "How long the rate falls before a release, after Hu et al. 2024.",
    "stages": [
        {"name": name, "data": name, "tokens": tokens}
        for name, tokens in zip(STREAMS, ("600k", "200k", "200k"), strict=True)
    ],
}


def arms(recipe: Recipe) -> Arms:
    """Infinite schedules that differ in their decay, and what replay and a cosine do beside."""
    known = arms_of_infinite(recipe)
    falls = {
        name_of(percent): {
            **known["infinite-replay"],
            "schedule.anneal.fraction": percent / 100,
        }
        for percent in PERCENT
    }
    return {name: known[name] for name in ("infinite", "cosine", "cosine-replay")} | falls


def name_of(percent: float) -> str:
    """The arm whose rate falls over so much of every stage."""
    return f"decay-{percent:g}".replace(".", "_")


def _short(percent: float, text: str, number: str) -> Claim:
    """A shorter decay than the usual one ends higher."""
    return Claim(text, (name_of(percent), number), "above", (name_of(USUAL), number))


def _alike(percent: float) -> Claim:
    """Another decay ends like the usual one."""
    text = f"a decay of {percent:g} % ends like one of {USUAL} %"
    ends = (name_of(percent), "average"), (name_of(USUAL), "average")
    return Claim(text, ends[0], "equal", ends[1], NO_MATTER)


def _whatever(percent: float) -> list[Claim]:
    """What the study infinite found, under another decay."""
    arm = name_of(percent)
    return [
        Claim(
            f"at {percent:g} % the infinite schedule rises less at a switch",
            (arm, "transient peak"),
            "below",
            ("cosine-replay", "transient peak"),
        ),
        Claim(
            f"at {percent:g} % the infinite schedule ends lower on average",
            (arm, "average"),
            "below",
            ("cosine-replay", "average"),
        ),
        Claim(
            f"at {percent:g} % replay forgets less",
            (arm, "forgetting"),
            "below",
            ("infinite", "forgetting"),
        ),
    ]


STUDY = Study(
    question="How long must the rate fall before a release, and what holds whatever that length?",
    paper="Hu et al. 2024, arXiv 2404.06395; Singh et al. 2025, arXiv 2503.02844",
    recipe=RECIPE,
    arms=arms,
    measures=MEASURES,
    claims=[
        _short(2.5, "a decay of 2.5 % ends higher than one of 15 %", "average"),
        _short(2.5, "also after the long first stage alone", "first, after stage 1"),
        _alike(10),
        _alike(20),
        *(claim for percent in PERCENT for claim in _whatever(percent)),
        Claim(
            "replay forgets less, cosine",
            ("cosine-replay", "forgetting"),
            "below",
            ("cosine", "forgetting"),
        ),
        Claim(
            "infinite forgets less, without replay",
            ("infinite", "forgetting"),
            "below",
            ("cosine", "forgetting"),
        ),
    ],
    notes=("The first stage is three times as long as in the study infinite.",),
)
