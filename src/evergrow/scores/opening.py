"""The objectives of a Run opened: what trains a stage, and what measures each source."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from evergrow.data.forms import open_stock
from evergrow.errors import InputError
from evergrow.objectives import OBJECTIVES
from evergrow.objectives.config import Form, ObjectiveConfig, TrainConfig, resolved
from evergrow.objectives.objective import Given, Objective
from evergrow.recipe import Recipe
from evergrow.stream.tokenizer import load_tokenizer


@dataclass(frozen=True)
class Opened:
    """The data folders of a Run, its tokenizer, and the kind of model that it trains."""

    recipe: Recipe
    stocks: Mapping[str, Any]
    tokenizer: PreTrainedTokenizerFast | None
    kind: str
    seed: int

    @classmethod
    def at(
        cls, recipe: Recipe, root: Path, data: Mapping[str, str], kind: str, seed: int
    ) -> "Opened":
        """Open the folders that ``data`` names by source, relative to ``root``."""
        stocks = {name: open_stock(root / path) for name, path in data.items()}
        tokenizer = None if recipe.of_pictures else load_tokenizer(root / "tokenizer")
        return cls(recipe, stocks, tokenizer, kind, seed)

    def config_at(self, index: int, form: Form | None = None) -> ObjectiveConfig:
        """What stage ``index`` learns; of another ``form`` than its own what is usual there.

        Raises InputError for an objective that the model does not fit.
        """
        own, train = self.recipe.form_at(index), self.recipe.train_of(index)
        if form is not None and form != own:
            train = train.model_copy(update={"objective": None})
        model = self.recipe.model
        name = f"preset {model.preset}" if model.preset else f"model.from {model.from_}"
        try:
            return resolved(train, form or own, self.kind, name)
        except ValueError as error:
            raise InputError(f"recipe.{error}") from error

    def objective_at(self, index: int, form: Form | None = None) -> Objective:
        """The objective of stage ``index``, or of another form of data with its settings."""
        recipe, config = self.recipe, self.config_at(index, form)
        measured = [n for n in recipe.measured if recipe.form_of(n) == config.form]
        given = Given(
            config=config,
            train=recipe.train_of(index),
            lengths=[recipe.train_of(i).sequence_length for i in recipe.path_of(index)],
            stocks=self.stocks,
            learnt=[name for name in recipe.streams if name in measured],
            measured=measured,
            tokenizer=self.tokenizer,
            start=recipe.model,
            seed=self.seed,
            part=recipe.evaluate.part,
            sample_tokens=recipe.evaluate.sample_tokens,
        )
        return OBJECTIVES[config.kind](given)

    def place_of(self, source: str) -> tuple[int, Form]:
        """The stage whose settings measure a source: its first reader, else one of its form."""
        recipe, form = self.recipe, self.recipe.form_of(source)
        stages = range(len(recipe.stages))
        readers = [i for i in stages if source in recipe.stages[i].weights]
        alike = [i for i in stages if recipe.form_at(i) == form]
        return [*readers, *alike, 0][0], form

    @cached_property
    def measuring(self) -> dict[str, Objective]:
        """What measures each source that is learnt or evaluated."""
        made: dict[tuple[int, Form], Objective] = {}
        found = {}
        for source in self.recipe.measured:
            place = self.place_of(source)
            if place not in made:
                made[place] = self.objective_at(*place)
            found[source] = made[place]
        return found

    def settings_of(self, source: str) -> TrainConfig:
        """The settings by which a source is measured."""
        return self.recipe.train_of(self.place_of(source)[0])
