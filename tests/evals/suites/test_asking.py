"""How items are asked: which ones, with what prompt and seed; and answers made elsewhere."""

import json
from pathlib import Path
from typing import Any

import pytest
from models.conftest import config, model, tokenizer
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.errors import InputError
from evergrow.evals.suites.asking import (
    Given,
    answer_all,
    asks_of,
    drawn,
    read_answers,
    sampling_of,
)
from evergrow.evals.suites.config import Asked
from evergrow.evals.suites.items import Answer, Head, Item, Suite
from evergrow.models.presets import Draws, draw_weights
from evergrow.models.sample import start_ids

__all__ = ["config", "model", "tokenizer"]


def suite_of(num: int, **head: Any) -> Suite:
    items = [Item(str(n), str(n), f"the sea {n}", Answer("x", "exact")) for n in range(num)]
    return Suite("sea", "answer", Head(suite="sea", **head), tuple(items), "0", "0")


def test_a_limit_draws_the_same_items_and_larger_ones_hold_smaller_ones() -> None:
    suite = suite_of(50)
    five, ten = ([item.id for item in drawn(suite, n)] for n in (5, 10))
    assert (len(five), len(ten)) == (5, 10)
    assert set(five) < set(ten)
    assert five == sorted(five, key=int) != ["0", "1", "2", "3", "4"]
    assert len(drawn(suite, None)) == len(drawn(suite, 99)) == 50


def test_an_answer_depends_on_its_item_and_sample_alone(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    draw_weights(model, seed=1, draws=Draws(0.5, 0.5, cut=3))
    suite, asked = suite_of(6), Asked(samples=3, max_tokens=5)
    given = answer_all(model, tokenizer, suite, suite.items, asked)
    assert [len(own) for own in given] == [3] * 6
    assert len({one.text for own in given for one in own}) > 12
    assert answer_all(model, tokenizer, suite, suite.items[2:4], asked) == given[2:4]
    fewer = answer_all(
        model, tokenizer, suite, suite.items, Asked(samples=2, max_tokens=5, temperature=0.8)
    )
    assert fewer == [own[:2] for own in given]
    other = answer_all(model, tokenizer, suite, suite.items, Asked(samples=3, max_tokens=5, seed=1))
    assert other != given
    assert all(one.cut for own in given for one in own if len(one.text) > 30)


def test_what_is_read_and_where_an_answer_ends(tokenizer: PreTrainedTokenizerBase) -> None:
    plain, told = suite_of(1), suite_of(1, template="Q {prompt} A", stop=["."], max_tokens=9)
    assert asks_of(plain, tokenizer, False)("so?") == "Question: so?\nAnswer:"
    assert asks_of(told, tokenizer, False)("so?") == "Q so? A"
    assert sampling_of(plain, Asked()).stop == ["\nQuestion:"]
    assert (sampling_of(plain, Asked()).max_tokens, sampling_of(plain, Asked()).temperature) == (
        512,
        0,
    )
    assert (sampling_of(told, Asked()).stop, sampling_of(told, Asked()).max_tokens) == (["."], 9)
    assert sampling_of(told, Asked(max_tokens=3, samples=2)).max_tokens == 3
    assert sampling_of(told, Asked(samples=2)).temperature == 0.8
    assert sampling_of(told, Asked(chat=True)).stop == []


def test_a_chat_is_asked_by_its_template_and_begins_once(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    chatty = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, eos_token="<|end|>"
    )
    with pytest.raises(InputError, match="--chat: the model's tokenizer has no chat template"):
        asks_of(suite_of(1), chatty, True)
    chatty.chat_template = (
        "<|end|>{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    prompt = asks_of(suite_of(1), chatty, True)("so?")
    assert prompt == "<|end|>user: so?\nassistant: "
    assert start_ids(chatty, prompt).count(0) == 1


def test_several_answers_at_temperature_0_are_refused() -> None:
    with pytest.raises(InputError, match="10 samples at temperature 0 are one answer 10 times"):
        sampling_of(suite_of(1), Asked(samples=10, temperature=0))


def rows(path: Path, *told: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in told))
    return path


def test_answers_made_elsewhere(tmp_path: Path) -> None:
    suite = suite_of(2)
    told = [{"task_id": "1", "completion": "b"}, {"id": 0, "text": "a"}]
    path = rows(tmp_path / "a.jsonl", *told, {"id": "0", "answer": "c"}, {"id": "1", "output": "d"})
    assert read_answers(path, suite, suite.items) == [
        [Given("a"), Given("c")],
        [Given("b"), Given("d")],
    ]
    assert read_answers(path, suite, suite.items[1:]) == [[Given("b"), Given("d")]]
    plain = rows(tmp_path / "p.jsonl", {"answer": "a"}, {"answer": "b"})  # by their place
    assert read_answers(plain, suite, suite.items) == [[Given("a")], [Given("b")]]


def test_answers_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--answers: .* is no file"):
        read_answers(tmp_path / "a.jsonl", suite_of(2), ())


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ([{"id": "0", "text": "a"}], "'1' has 0 answers and others have 1"),
        (
            [{"id": "0", "text": "a"}, {"id": "9", "text": "b"}],
            "row 2 answers '9', which the suite",
        ),
        ([{"id": "0"}], "row 1 has no text"),
    ],
)
def test_answers_that_are_refused(tmp_path: Path, told: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_answers(rows(tmp_path / "a.jsonl", *told), suite_of(2), suite_of(2).items)
