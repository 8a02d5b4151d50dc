"""The model of a stage in numbers, once there is one."""

from transformers import PreTrainedModel

from evergrow.models.describe import FP32, describe
from evergrow.models.lora import adapter_size
from evergrow.recipe import Recipe
from evergrow.run import Counts
from evergrow.train.ladder import ladder
from evergrow.train.two_stage import flops_per_token

BYTES_A_PARAMETER = 3 * FP32  # of a checkpoint: itself and two moments


def count(recipe: Recipe, index: int, model: PreTrainedModel) -> Counts:
    """The numbers of the model that stage ``index`` trains, before it has any adapters."""
    train, two_stage = recipe.train_of(index), recipe.stages[index].two_stage
    length = train.sequence_length
    facts = describe(model, length)
    num_trained = None if train.lora is None else adapter_size(model, train.lora)
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
        checkpoint_bytes=facts.checkpoint_bytes
        if num_trained is None
        else BYTES_A_PARAMETER * num_trained,
        num_trained=num_trained,
        sub_models=sub_models,
    )
