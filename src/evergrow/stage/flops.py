"""Operations of training, counted step by step: models grow, and sub-models cost less."""

from dataclasses import dataclass

from evergrow.config import decode
from evergrow.recipe import Recipe
from evergrow.run import Counts, Manifest
from evergrow.train.ladder import SubModels, ladder


def counts_of(manifest: Manifest, index: int) -> Counts:
    """The numbers of the model of stage ``index``, once it has begun."""
    found = manifest.stages[index].model
    assert found is not None, f"{manifest.stages[index].name} has not begun"
    return found


def sub_models(manifest: Manifest, recipe: Recipe, index: int) -> SubModels | None:
    """The rule of two-stage training in stage ``index``; None when it trains the whole model."""
    record, two_stage = manifest.stages[index], recipe.stages[index].two_stage
    if two_stage is None:
        return None
    depths = ladder(counts_of(manifest, index).num_layers, two_stage.layers)
    last_step = record.first_step + round(two_stage.fraction * record.num_steps)
    return SubModels(tuple(depths), two_stage.layers, last_step, manifest.seed)


@dataclass(frozen=True)
class StepCosts:
    """Operations of a stage's optimiser steps; those that train a sub-model cost less."""

    whole: float
    by_depth: dict[int, float]
    rule: SubModels | None

    def of(self, step: int) -> float:
        """Of step ``step``, counted from 1 since init."""
        depth = self.rule.depth_at(step) if self.rule else None
        return self.whole if depth is None else self.by_depth[depth]

    def between(self, after: int, last: int) -> float:
        """Of the steps after ``after`` up to and with ``last``."""
        whole_from = after if self.rule is None else min(last, max(after, self.rule.last_step))
        sub_models = sum(self.of(step) for step in range(after + 1, whole_from + 1))
        return sub_models + self.whole * (last - whole_from)


def step_costs(manifest: Manifest, index: int) -> StepCosts:
    """What the steps of stage ``index`` cost, once it has begun."""
    record, counts = manifest.stages[index], counts_of(manifest, index)
    tokens = record.per_step
    recipe = decode(Recipe, manifest.recipe, "manifest.recipe")
    return StepCosts(
        float(counts.flops_per_token * tokens),
        {depth: float(cost * tokens) for depth, cost in counts.sub_models.items()},
        sub_models(manifest, recipe, index),
    )


def stage_flops(manifest: Manifest, index: int) -> tuple[float, float]:
    """Operations of a whole stage: its trunk, and the fork that its release was made on."""
    record, costs = manifest.stages[index], step_costs(manifest, index)
    end = record.last_step
    fork = 0.0 if record.fork_step is None else costs.between(record.fork_step, end)
    return costs.between(record.first_step, record.trunk_end), fork
