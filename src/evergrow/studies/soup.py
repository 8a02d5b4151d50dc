"""Is the average of several data orders better than they are, and than one of as much compute?

OLMo 2 (2501.00656, section 4.5 and Table 14): three orders of one mid-training mix, averaged, are
as good as the best of them in 22 of 24 cells. Here: English, then a mix with Python and C++, linear
from the rate of the trunk to zero. Every number is the mean over what both stages learnt.
"""

from collections.abc import Callable

from evergrow.lineage import AVERAGE, Soup
from evergrow.recipe import Recipe
from evergrow.run import Run, root_of
from evergrow.stage.summary import summarise_run
from evergrow.studies.findings import Arms, Settings
from evergrow.studies.harness import Claim, Study

ORDERS = 3
NAMES = ("english", "python", "cpp")

RECIPE: Settings = {
    "name": "soup",
    "description": "Orders of mid-training and their average, after OLMo 2.",
    "workers": 2,
    "sources": {
        name: {"installed": name, "max_bytes": "3M", "drop_repeated_lines": 40} for name in NAMES
    },
    "tokenizer": {"vocab_size": 2048, "sources": [*NAMES]},
    "model": {"preset": "olmo2", "hidden": 96, "layers": 2},
    "train": {"sequence_length": 128, "batch_size": 4},
    "schedule": {"kind": "infinite", "peak_lr": 5e-3},
    "stages": [
        {"name": "english", "data": "english", "tokens": "400k"},
        {
            "name": "mid",
            "mixture": {"english": 0.5, "python": 0.25, "cpp": 0.25},
            "tokens": "150k",
            "schedule": {"kind": "linear"},
        },
    ],
    "evaluate": {"sample_tokens": 0},
}


def arms(recipe: Recipe) -> Arms:
    """The last stage in several orders, and in one that is as long as all of them."""
    last = len(recipe.stages) - 1
    return {
        "orders": {f"stages.{last}.orders": ORDERS},
        "long": {f"stages.{last}.tokens": ORDERS * recipe.stages[last].length},
    }


def of_soup(read: Callable[[list[float], float], float]) -> Callable[[Run], float | None]:
    """A number of the losses of a Run's orders and of their average; None without a soup."""

    def measured(run: Run) -> float | None:
        soup = run.manifest.stages[-1].soup
        return None if soup is None else read(*losses_of(soup))

    return measured


def losses_of(soup: Soup) -> tuple[list[float], float]:
    """The losses of the orders, and that of their average."""
    found = {one.name: one.loss for one in soup.candidates}
    average = found.pop(AVERAGE)
    return [*found.values()], average


def release(run: Run) -> float | None:
    """The loss of a Run's last release."""
    return summarise_run(run, root_of(run)).average


CLAIMS = [
    Claim(
        "the average is lower than its orders are on the mean",
        ("orders", "average"),
        "below",
        ("orders", "mean order"),
    ),
    Claim(
        "the average is lower than the best of its orders",
        ("orders", "average"),
        "below",
        ("orders", "best order"),
    ),
    Claim(
        "one order of as many tokens as all of them ends lower than their average",
        ("long", "release"),
        "below",
        ("orders", "average"),
    ),
]

STUDY = Study(
    question="Is the average of three data orders better than they are, and than one three times "
    "as long?",
    paper="OLMo 2, 2025, arXiv 2501.00656",
    recipe=RECIPE,
    arms=arms,
    measures={
        "average": of_soup(lambda orders, average: average),
        "mean order": of_soup(lambda orders, average: sum(orders) / len(orders)),
        "best order": of_soup(lambda orders, average: min(orders)),
        "release": release,
    },
    claims=CLAIMS,
    notes=(
        "The best order is the best on the text that it is measured on, so it is flattered a "
        "little beside the average, which is not chosen.",
    ),
)
