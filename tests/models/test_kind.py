"""The kind of a model, by the name of its class."""

import pytest
from transformers import BertConfig, BertForMaskedLM, BertModel, GPT2Config, GPT2LMHeadModel

from evergrow.models.kind import forward_settings, kind_of, kind_of_architecture

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
