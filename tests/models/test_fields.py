"""Which fields of config.json can reach what a model computes."""

import pytest

from evergrow.models.families import FAMILIES
from evergrow.models.fields import is_read


@pytest.mark.parametrize(
    ("model_type", "name", "read"),
    [
        ("llama", "hidden_size", True),  # declared
        ("gpt_neox", "head_dim", True),  # asked for with getattr alone
        ("gpt2", "summary_last_dropout", True),
        ("llama", "per_layer_config", True),  # general code reads it
        ("llama", "rope_scaling", True),
        ("llama", "logit_multiplier", False),  # another family's
        ("gpt2", "n_special", False),
        ("bert", "top_k", False),  # a setting of generation, dropped
    ],
)
def test_what_transformers_reads(model_type: str, name: str, read: bool) -> None:
    assert is_read(model_type, name) == read


@pytest.mark.parametrize("family", FAMILIES)
def test_every_familys_code_is_found(family: str) -> None:
    assert is_read(family, "architectures")
    assert not is_read(family, "favourite_colour")
