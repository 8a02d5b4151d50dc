"""What plans and keys stand on in tests: sources of a given size, without a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flow.tiny import tiny

from evergrow.flow.plan import Ground, plan_stages
from evergrow.flow.units import start_key
from evergrow.recipe import Recipe
from evergrow.run import Begin, StageRecord, Start
from evergrow.scores.opening import Opened
from evergrow.stream.tokenizer import train_tokenizer

DATA = {"land": "land-0", "sea": "sea-0", "sky": "sky-0", "waves": "waves-0"}


@dataclass(frozen=True)
class Windows:
    """A source of 16,000 tokens."""

    folder: Path

    def num_windows(self, sequence_length: int) -> int:
        return 16_000 // sequence_length

    def tokens_an_item(self, sequence_length: int) -> float:
        return float(sequence_length)


def ground(recipe: Recipe, seed: int = 0, data: Mapping[str, str] = DATA) -> Ground:
    """The ground of a recipe whose model is a preset."""
    stocks = {name: Windows(Path(folder)) for name, folder in data.items()}
    kind = "masked" if recipe.model.preset == "bert" else "causal"
    opened = Opened(recipe, stocks, train_tokenizer(["some text"], 300, True), kind, seed)
    start = Start(source="scratch", kind=kind, key=start_key(recipe, seed, "tokenizer", None))
    begins = []
    for index in range(len(recipe.stages)):
        found = recipe.begin_of(index)
        begins.append(Begin(kind=found.kind, stage=found.of if isinstance(found.of, int) else None))
    return Ground(opened, start, begins)


def planned(recipe: Recipe, recorded: list[StageRecord] | None = None) -> list[StageRecord]:
    return plan_stages(recipe, ground(recipe), recorded or [])


def keys(seed: int = 0, data: Mapping[str, str] = DATA, **changes: object) -> list[str]:
    recipe = tiny(**changes)
    return ground(recipe, seed, data).keys(recipe)
