"""A model without weights: modules and shapes of any architecture, from config.json alone."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import (
    CONFIG_MAPPING,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageClassification,
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.core_model_loading import revert_weight_conversion
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_PRETRAINING_MAPPING_NAMES,
    MODEL_MAPPING_NAMES,
)

from evergrow.errors import InputError
from evergrow.models.quiet import undisturbed

_KINDS: tuple[tuple[Any, Mapping[Any, Any]], ...] = (
    (AutoModelForCausalLM, MODEL_FOR_CAUSAL_LM_MAPPING_NAMES),
    (AutoModelForMaskedLM, MODEL_FOR_MASKED_LM_MAPPING_NAMES),
    (AutoModel, MODEL_MAPPING_NAMES),
    (AutoModelForImageClassification, MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES),
    (AutoModelForPreTraining, MODEL_FOR_PRETRAINING_MAPPING_NAMES),
)


def skeleton(config: Mapping[str, Any]) -> PreTrainedModel:
    """The architecture of a config.json's content, in evaluation mode, parameters on "meta".

    Buffers (rotary frequencies, position ids) are real. Raises InputError for an architecture
    that is no causal or masked language model, encoder, image classifier or masked autoencoder.
    """
    name = (config.get("architectures") or ["none"])[0]
    model_type = config.get("model_type")
    for auto, names in _KINDS:
        if names.get(str(model_type)) == name:
            settings: PreTrainedConfig = CONFIG_MAPPING[str(model_type)].from_dict(dict(config))
            with undisturbed(), _parameters_on_meta():
                model = auto.from_config(settings, dtype=torch.float32, attn_implementation="sdpa")
            for module in model.modules():
                if isinstance(module, nn.Embedding):
                    module.padding_idx = None  # as in training, that row has a gradient
            return model.eval()
    raise InputError(
        f"config.json: architecture {name} of model_type {model_type} is none that transformers "
        "knows as a language model, an encoder, an image classifier or a masked autoencoder; "
        "correct config.json"
    )


@contextmanager
def _parameters_on_meta() -> Iterator[None]:
    """Each parameter loses its memory the moment it is registered; nothing is ever drawn."""
    register = nn.Module.register_parameter

    def register_shape(self: nn.Module, name: str, param: nn.Parameter | None) -> None:
        if param is not None and not param.is_meta:  # a tied one stays the same object
            param = nn.Parameter(param.to("meta"), requires_grad=param.requires_grad)
        register(self, name, param)

    nn.Module.register_parameter = register_shape
    try:
        yield
    finally:
        nn.Module.register_parameter = register


def stored_names(model: PreTrainedModel, stored: Iterable[str]) -> dict[str, str]:
    """Module's parameter name -> the name under which a file stores it.

    transformers names modules of some architectures (ViT) anew and keeps the old names in files.
    A file may also leave out the base model's prefix ("wte.weight" for "transformer.wte.weight"),
    have it where the model is the base itself, and store a tied weight once. Raises InputError for
    a parameter that no file holds.
    """
    names = set(stored)
    prefix = f"{model.base_model_prefix}."
    tied: Mapping[str, str] = model.all_tied_weights_keys
    found = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if name in names:
            found[name] = name
            continue
        candidates = [*revert_weight_conversion(model, {name: parameter})]
        candidates += [tied[name]] if name in tied else []
        candidates += [n.removeprefix(prefix) for n in (name, *candidates)]
        candidates += [prefix + name]
        match = next((n for n in candidates if n in names), None)
        if match is None:
            raise InputError(
                f"{name}: {type(model).__name__} needs this weight and no file holds it; "
                "copy the whole model again, or correct config.json"
            )
        found[name] = match
    return found
