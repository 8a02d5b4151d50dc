"""The model of a stage in numbers, once there is one."""

from transformers import PreTrainedModel

from evergrow.models.describe import describe
from evergrow.recipe import Recipe
from evergrow.run import Counts
from evergrow.train.ladder import ladder
from evergrow.train.two_stage import flops_per_token


def count(recipe: Recipe, index: int, model: PreTrainedModel) -> Counts:
    """The numbers of the model that stage ``index`` trains."""
    length, two_stage = recipe.train_of(index).sequence_length, recipe.stages[index].two_stage
    facts = describe(model, length)
    sub_models = {}
    if two_stage is not None:
        sub_models = {
            depth: flops_per_token(model, facts.flops_per_token, length, depth, two_stage.layers)
            for depth in ladder(facts.num_layers, two_stage.layers)
        }
    return Counts(
        num_parameters=facts.num_parameters,
        num_layers=facts.num_layers,
        flops_per_token=facts.flops_per_token,
        checkpoint_bytes=facts.checkpoint_bytes,
        sub_models=sub_models,
    )
