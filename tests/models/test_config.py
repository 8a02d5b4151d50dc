"""Sizes by hand, one way to say a thing, and a YAML round trip."""

import subprocess
import sys
from typing import Any

import pytest
import yaml

from evergrow.config import decode
from evergrow.errors import InputError
from evergrow.models.config import ModelConfig, Sizes, explain


def sizes(**settings: Any) -> Sizes:
    return decode(ModelConfig, {"preset": "olmo2", **settings}, "model").sizes()


@pytest.mark.parametrize(
    ("hidden", "heads", "ffn"),
    [
        (16, 1, 64),
        (96, 3, 256),
        (320, 10, 864),
        (768, 12, 2048),
        (2048, 16, 5632),
        (4096, 32, 11008),  # OLMo 2 7B
        (5120, 40, 13824),  # OLMo 2 13B
    ],
)
def test_heads_and_ffn_follow_from_hidden(hidden: int, heads: int, ffn: int) -> None:
    assert sizes(hidden=hidden, layers=2) == Sizes(hidden, 2, heads, heads, ffn, tied=False)


@pytest.mark.parametrize(
    ("preset", "ffn", "tied"),
    [("llama", 2048, False), ("gpt_neox", 3072, False), ("bert", 3072, True)],
)
def test_each_family_has_its_own_feed_forward_and_head(preset: str, ffn: int, tied: bool) -> None:
    assert sizes(preset=preset, hidden=768, layers=12) == Sizes(768, 12, 12, 12, ffn, tied)


def test_given_sizes_win() -> None:
    given = {"hidden": 96, "layers": 2, "heads": 6, "kv_heads": 2, "ffn": 100, "tied": True}
    assert sizes(**given) == Sizes(**given)


def test_derived_sizes_are_explained_and_given_ones_are_not() -> None:
    config = ModelConfig(preset="olmo2", hidden=96, layers=2, kv_heads=3)
    assert explain(config) == [
        "heads 3: hidden 96 / 32, rounded",
        "ffn 256: 8/3 x 96, up to a multiple of 32",
    ]
    bert = ModelConfig(preset="bert", hidden=96, layers=2, heads=3, kv_heads=3)
    assert explain(bert) == ["ffn 384: 4 x 96"]
    assert explain(ModelConfig.model_validate({"from": "somewhere"})) == []


@pytest.mark.parametrize(
    "data",
    [
        {"preset": "olmo2", "hidden": 96, "layers": 2, "tied": False},
        {"preset": "olmo2", "hidden": 96, "layers": 2, "kv_heads": 1, "tied": True},
        {"preset": "bert", "hidden": 96, "layers": 2, "tied": True},
        {"from": "allenai/OLMo-2-0425-1B"},
    ],
)
def test_plain_data_comes_back_the_same_through_yaml(data: dict[str, Any]) -> None:
    config = decode(ModelConfig, data, "model")
    assert config.model_dump() == data
    assert decode(ModelConfig, yaml.safe_load(yaml.safe_dump(data)), "model") == config


def test_the_schema_for_editors_says_from() -> None:
    properties = ModelConfig.model_json_schema()["properties"]
    assert "from" in properties
    assert "from_" not in properties


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({}, "set either preset: olmo2 .* or from: .* got neither"),
        ({"preset": "olmo2", "from": "x"}, "got both"),
        ({"from": "x", "heads": 4}, "its own sizes, got heads beside from: x; remove them"),
        ({"from": "x", "tied": False}, "got tied beside from: x"),
        ({"preset": "olmo2", "hidden": 96}, "needs hidden and layers, got no layers"),
        ({"preset": "olmo2", "hidden": 100, "layers": 2}, "got hidden 100 with 3 heads; set hidd"),
        ({"preset": "olmo2", "hidden": 6, "layers": 2, "heads": 2}, "an even width"),
        (
            {"preset": "olmo2", "hidden": 96, "layers": 2, "kv_heads": 2},
            r"kv_heads must divide heads \(3\), got 2",
        ),
        (
            {"preset": "gpt_neox", "hidden": 96, "layers": 2, "heads": 8},
            "heads times a multiple of 8 .*got hidden 96 with 8 heads; .*multiple of 64",
        ),
        ({"preset": "bert", "hidden": 10, "layers": 2, "heads": 4}, "must be heads times a width,"),
        (
            {"preset": "bert", "hidden": 96, "layers": 2, "kv_heads": 1},
            r"preset bert has as many as heads \(3\), got 1; remove it or use preset: llama",
        ),
        ({"preset": "bert", "hidden": 96, "layers": 2, "tied": False}, "got false; set tied: true"),
        ({"preset": "olmo3", "hidden": 96, "layers": 2}, "model.preset: .*'olmo2'.*, got 'olmo3'"),
        ({"preset": "olmo2", "hiden": 96, "layers": 2}, "did you mean 'hidden'"),
        ({"from_": "x"}, "did you mean 'from'"),
    ],
)
def test_refusals(data: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        decode(ModelConfig, data, "model")


def test_importing_the_config_imports_no_torch() -> None:
    code = (
        "import sys, evergrow.models.config; print({'torch', 'transformers'} & sys.modules.keys())"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout == "set()\n"
