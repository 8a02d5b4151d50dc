"""The kind of a model, by the name of its class."""

from typing import get_args

import pytest
from transformers import BertConfig, BertForMaskedLM, BertModel, GPT2Config, GPT2LMHeadModel

from evergrow.models.config import RULES, Preset, kind_of_preset
from evergrow.models.kind import (
    KINDS,
    OF_PICTURES,
    Kind,
    forward_settings,
    kind_of,
    kind_of_architecture,
)

SIZES = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 9}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Olmo2ForCausalLM", "causal"),
        ("BertLMHeadModel", "causal"),
        ("BertForMaskedLM", "masked"),
        ("ModernBertForMaskedLM", "masked"),
        ("XLMWithLMHeadModel", "causal"),
        ("BartForConditionalGeneration", None),
        ("BertForSequenceClassification", None),
        ("ViTMAEForPreTraining", "patches"),
        ("ViTForImageClassification", "classes"),
        ("ResNetForImageClassification", "classes"),
        ("", None),
    ],
)
def test_names_of_transformers(name: str, kind: str | None) -> None:
    assert kind_of_architecture(name) == kind


def test_models() -> None:
    masked = BertForMaskedLM(BertConfig(**SIZES, intermediate_size=8))
    assert kind_of(masked) == "masked"
    assert forward_settings(masked) == {}
    causal = GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=9))
    assert kind_of(causal) == "causal"
    assert forward_settings(causal) == {"use_cache": False}
    assert kind_of(BertModel(BertConfig(**SIZES, intermediate_size=8))) == "causal"


# Of each kind: how transformers loads it, and what the hub calls its use.
FACTS = {
    "causal": ("AutoModelForCausalLM", "text-generation"),
    "masked": ("AutoModelForMaskedLM", "fill-mask"),
    "patches": ("AutoModelForPreTraining", "image-feature-extraction"),
    "classes": ("AutoModelForImageClassification", "image-classification"),
}


def test_every_kind_has_its_facts() -> None:
    found = {kind: (facts.auto_class.__name__, facts.pipeline) for kind, facts in KINDS.items()}
    assert found == FACTS
    assert KINDS.keys() == set(get_args(Kind))
    assert {"patches", "classes"} == OF_PICTURES


@pytest.mark.parametrize("preset", get_args(Preset))
def test_a_presets_kind_says_what_it_reads(preset: Preset) -> None:
    """That it is the kind of the model which the preset builds, test_presets and vision say."""
    assert (kind_of_preset(preset) in OF_PICTURES) == (RULES[preset].pictures is not None)
