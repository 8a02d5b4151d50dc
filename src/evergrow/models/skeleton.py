"""A model without weights: modules and shapes of any architecture, from config.json alone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from transformers import (
    CONFIG_MAPPING,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageClassification,
    AutoModelForMaskedImageModeling,
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.core_model_loading import revert_weight_conversion
from transformers.initialization import no_init_weights
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
    MODEL_FOR_MASKED_IMAGE_MODELING_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_PRETRAINING_MAPPING_NAMES,
    MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
    MODEL_MAPPING_NAMES,
)

from evergrow.errors import InputError
from evergrow.models.family import OLD_ENDINGS
from evergrow.models.quiet import undisturbed

_KINDS: tuple[tuple[Any, Mapping[Any, Any]], ...] = (
    (AutoModelForCausalLM, MODEL_FOR_CAUSAL_LM_MAPPING_NAMES),
    (AutoModelForMaskedLM, MODEL_FOR_MASKED_LM_MAPPING_NAMES),
    (AutoModel, MODEL_MAPPING_NAMES),
    (AutoModelForImageClassification, MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES),
    (AutoModelForPreTraining, MODEL_FOR_PRETRAINING_MAPPING_NAMES),
    (AutoModelForSequenceClassification, MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES),
    (AutoModelForTokenClassification, MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES),
    (AutoModelForQuestionAnswering, MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES),
    (AutoModelForMaskedImageModeling, MODEL_FOR_MASKED_IMAGE_MODELING_MAPPING_NAMES),
)


def skeleton(config: Mapping[str, Any]) -> PreTrainedModel:
    """The architecture of a config.json's content, in evaluation mode, parameters on "meta".

    Buffers (rotary frequencies, position ids) are real. Raises InputError for an architecture
    that is none of these: a causal or masked language model, a classifier of texts, tokens or
    images, a reader that finds answers, an encoder, a masked autoencoder.
    """
    name = (config.get("architectures") or ["none"])[0]
    model_type = config.get("model_type")
    for auto, names in _KINDS:
        known = names.get(str(model_type), ())
        if name in ((known,) if isinstance(known, str) else known):
            settings: Any = settings_of(config)
            settings._attn_implementation = None  # SDPA, where the architecture has it
            settings._experts_implementation = "eager"  # the others have no float64
            with undisturbed(), no_init_weights(), _parameters_on_meta():
                model = auto.from_config(settings, dtype=torch.float32)
                model.tie_weights()  # what is not drawn is not tied either
            for module in model.modules():
                if isinstance(module, nn.Embedding):
                    module.padding_idx = None  # as in training, that row has a gradient
            return model.eval()
    raise InputError(
        f"config.json: architecture {name} of model_type {model_type} is none that transformers "
        "knows as a language model, an encoder, a classifier or a masked autoencoder; "
        "correct config.json"
    )


def settings_of(config: Mapping[str, Any]) -> PreTrainedConfig:
    """What transformers makes of config.json; raises InputError for sizes that it refuses."""
    model_type = str(config.get("model_type"))
    try:
        return CONFIG_MAPPING[model_type].from_dict(dict(config))
    except StrictDataclassError as error:
        reason = str(error).splitlines()[-1].partition(": ")[2]
        raise InputError(
            f"config.json: transformers takes no such {model_type} ({reason.rstrip('.')}); "
            "correct the file, or choose other sizes"
        ) from error


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


def split_parts(
    model: PreTrainedModel, stored: Iterable[str]
) -> dict[str, dict[str, tuple[int, ...]]]:
    """Module's parameter name -> the tensors that a file splits it into, and their shapes.

    transformers holds all experts of a block in one parameter [experts, ...]; files hold each
    expert's matrices: those of one kind after another, all experts of a kind in turn.
    """
    names, found = set(stored), {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if name not in names and parameter.ndim == 3:
            parts = revert_weight_conversion(model, {name: parameter})
            if len(parts) > 1 and names.issuperset(parts):
                found[name] = {part: tuple(tensor.shape) for part, tensor in parts.items()}
    return found


def joined(parts: Sequence[Tensor], num_experts: int) -> Tensor:
    """The parameter [experts, ...] of the parts that ``split_parts`` lists."""
    kinds = [parts[start : start + num_experts] for start in range(0, len(parts), num_experts)]
    return torch.stack([torch.cat(of_one) for of_one in zip(*kinds, strict=True)])


def stored_names(model: PreTrainedModel, stored: Iterable[str]) -> dict[str, str]:
    """Module's parameter name -> the name under which a file stores it.

    transformers names modules of some architectures (ViT) anew and keeps the old names in files.
    A file may also leave out the base model's prefix ("wte.weight" for "transformer.wte.weight"),
    have it where the model is the base itself, end a norm's names as BERT's first files do, and
    store a tied weight once. A parameter that a file splits has its own name. Raises InputError
    for one that no file holds.
    """
    names = set(stored)
    names |= split_parts(model, names).keys()
    prefix = f"{model.base_model_prefix}."
    tied: Mapping[str, str] = model.all_tied_weights_keys
    found = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if name in names:
            found[name] = name
            continue
        candidates = [*revert_weight_conversion(model, {name: parameter})]
        candidates += [tied[name]] if name in tied else []
        candidates += [
            name.removesuffix(ending) + old
            for ending, old in OLD_ENDINGS.items()
            if name.endswith(ending)
        ]
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
