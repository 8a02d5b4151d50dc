"""A small recipe to change, and the sentence of a mistake in it."""

from typing import Any

import pytest

from evergrow.errors import InputError
from evergrow.recipe import Recipe, decode_recipe
from evergrow.strict_yaml import parse_yaml

TEXT = """
name: tiny
sources:
  english: {files: [e.txt]}
  python: {files: [p.txt]}
model: {preset: olmo2, hidden: 32, layers: 1}
train: {sequence_length: 16, batch_size: 2}
schedule: {kind: infinite, peak_lr: 3e-4}
stages:
  - {name: one, data: english, tokens: 4k}
  - {name: two, mixture: {english: 0.25, python: 0.75}, tokens: 8k}
"""


def recipe(**overrides: Any) -> Recipe:
    return decode_recipe(
        parse_yaml(TEXT, "r"), {k.replace("__", "."): v for k, v in overrides.items()}
    )


def sentence(overrides: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        decode_recipe(parse_yaml(TEXT, "r"), overrides)
    return str(caught.value)


def of_stages(*stages: dict[str, Any], **overrides: Any) -> Recipe:
    """A recipe of stages that read english, with what differs of each."""
    made = [
        {"name": f"s{i}", "data": "english", "tokens": 100, **stage}
        for i, stage in enumerate(stages)
    ]
    return recipe(stages=made, **overrides)


CHATS = {
    "sources.chats": {"chats": ["c.jsonl"]},
    "stages.1": {"name": "two", "data": "chats", "examples": "2k"},
}
