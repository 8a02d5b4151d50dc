from pathlib import Path

import pytest

from evergrow.corpus.chats import base_of, chat_files, read_chats
from evergrow.corpus.config import ChatSourceConfig
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.questions import Question, module_of, questions
from evergrow.recipe import decode_recipe

CODE = b'''
"""A module says what it is, which nobody asked."""

def half(number, /, digits=2, *rest, up=False):
    """Divide a number
    by two, rounded.

    Nothing of this is told.
    """

def _hidden():
    """Return what nobody should call."""

def short():
    """Too short."""

def table():
    """name  value  of a table without a sentence"""

class Cup:
    """Hold tea until somebody drinks it."""

    async def fill(self, tea):
        """Pour tea into the cup until it is full."""

        def inner():
            """Measure what is in it, which nobody can call."""
'''


def test_questions_by_hand() -> None:
    assert list(questions(CODE, "kitchen.shelf")) == [
        Question(
            "What does kitchen.shelf.half(number, digits) do?", "Divide a number by two, rounded."
        ),
        Question("What is kitchen.shelf.Cup?", "Hold tea until somebody drinks it."),
        Question(
            "What does kitchen.shelf.Cup.fill(tea) do?", "Pour tea into the cup until it is full."
        ),
    ]


def test_modules_are_named_as_they_are_imported() -> None:
    assert module_of("json/decoder.py") == "json.decoder"
    assert module_of("json/__init__.py") == "json"
    assert module_of("textwrap.py") == "textwrap"


def test_every_install_has_chats(tmp_path: Path) -> None:
    config = ChatSourceConfig(installed="questions")
    files = chat_files(config, tmp_path, "questions")
    assert all((base_of(config, tmp_path) / file.name).exists() for file in files)
    chats = list(read_chats(config, files, Quarantine("questions", 0.001)))
    found = {chat.messages[0]["content"]: chat.messages[1]["content"] for chat in chats}
    assert len(found) > 2000
    asked = found["What does textwrap.dedent(text) do?"]
    assert asked == "Remove any common leading whitespace from every line in `text`."


def test_a_recipe_takes_them_as_a_source_of_chats() -> None:
    stage = {"name": "tell", "data": "questions", "examples": 100}
    recipe = {
        "name": "x",
        "sources": {"questions": {"installed": "questions"}},
        "tokenizer": {"folder": "t"},
        "model": {"from": "m"},
        "train": {"batch_size": 2, "sequence_length": 32},
        "schedule": {"kind": "constant", "peak_lr": 1e-3},
        "stages": [stage],
    }
    assert decode_recipe(recipe).form_at(0) == "examples"
    both = {**recipe, "sources": {"questions": {"installed": "questions", "chats": "a.jsonl"}}}
    with pytest.raises(Exception, match=r"give chats .* or installed: questions, one of the two"):
        decode_recipe(both)
