"""What a recipe's stages with adapters (train.lora) cannot be beside."""

from evergrow.models.config import LoraConfig, ModelConfig
from evergrow.recipe.stages import Beginning, StageConfig

_BESIDE = {
    "grow": "makes new weights that need training",
    "two_stage": "trains the weights of sub-models",
    "depth": "says which layers train (for adapters, lora.targets does)",
}


def refuse_beside(
    stage: StageConfig, begin: Beginning, lora: LoraConfig, model: ModelConfig
) -> None:
    """Raise ValueError where a stage with adapters also says how the weights below them train, or
    would release an adapter without a base that can be loaded."""
    name = next((name for name in _BESIDE if getattr(stage, name) is not None), None)
    if name is not None:
        raise ValueError(
            f"stage {stage.name!r}: {name} {_BESIDE[name]}, and train.lora freezes all of them; "
            f"remove {name}, or set train: {{lora: null}} in this stage"
        )
    if begin.kind == "start" and model.optimizer is not None:
        raise ValueError(
            f"model.optimizer: {model.optimizer} brings moments of the model's weights, which "
            f"stage {stage.name!r} does not train (train.lora); remove it"
        )
    is_loadable = begin.kind in ("release", "model") or (begin.kind == "start" and model.from_)
    if lora.release == "adapter" and not is_loadable:
        raise ValueError(
            f"stage {stage.name!r}: train.lora.release is adapter, which needs a base that others "
            "can load; begin at STAGE.release or a loaded model, or set it to merged"
        )


def refuse_growth_after(stage: StageConfig, parent: StageConfig) -> None:
    """Raise ValueError for a stage that grows where ``parent`` trained adapters."""
    if stage.grow is not None:
        raise ValueError(
            f"stage {stage.name!r} grows after {parent.name!r}, whose optimiser knows adapters "
            "only (train.lora); put a stage without adapters between the two, or grow first"
        )
