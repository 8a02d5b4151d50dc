"""Kinds of model by what they are trained to tell, known by the architecture's name."""

from typing import Any, NamedTuple

from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageClassification,
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from evergrow.models.config import Kind


class Facts(NamedTuple):
    """What transformers builds and loads a kind with, and what the hub calls it."""

    auto_class: Any
    name: str
    pipeline: str
    of_pictures: bool


KINDS: dict[Kind, Facts] = {
    "causal": Facts(AutoModelForCausalLM, "causal language model", "text-generation", False),
    "masked": Facts(AutoModelForMaskedLM, "masked language model", "fill-mask", False),
    "patches": Facts(
        AutoModelForPreTraining, "masked autoencoder of pictures", "image-feature-extraction", True
    ),
    "classes": Facts(
        AutoModelForImageClassification, "classifier of pictures", "image-classification", True
    ),
}
OF_PICTURES = frozenset(kind for kind, facts in KINDS.items() if facts.of_pictures)
MASKED_AUTOENCODER = "ViTMAEForPreTraining"

_IMAGE_CLASSIFIERS = {
    name
    for found in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES.values()
    for name in ([found] if isinstance(found, str) else found)
}
_SEQUENCE_TO_SEQUENCE = "ForConditionalGeneration"  # stands in both of transformers' lists


def kind_of_architecture(name: str) -> Kind | None:
    """The kind of the class ``name``, such as BertForMaskedLM; None when it is of none.

    The few names in both lists of transformers (XLM, Flaubert) count as causal.
    """
    if name.endswith(_SEQUENCE_TO_SEQUENCE):
        return None
    if name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values():
        return "causal"
    if name in MODEL_FOR_MASKED_LM_MAPPING_NAMES.values():
        return "masked"
    if name == MASKED_AUTOENCODER:
        return "patches"
    return "classes" if name in _IMAGE_CLASSIFIERS else None


def kind_of(model: object) -> Kind:
    """The kind of a model; one that transformers does not list is causal."""
    return kind_of_architecture(type(model).__name__) or "causal"


def forward_settings(model: object) -> dict[str, bool]:
    """What a call for logits is given besides its tokens: a causal model is to keep no cache."""
    return {"use_cache": False} if kind_of(model) == "causal" else {}
