"""Texts that are right, and the nearest ones that are not."""

import random
import re
from decimal import Decimal

import pytest

from evergrow.evals.suites.verifiers import VERIFIERS, exact, f1, number, number_in


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("She sells 16 - 3 = 13 eggs.\n#### 1,234.50", "1234.50"),
        ("It is 5-3=2", "2"),
        ("so 16-3", "3"),
        ("the loss is -3", "-3"),
        ("that makes -$1,000,000.", "-1000000"),
        ("first 7, then $.5", ".5"),
        ("#### 18 of 20", "18"),
        ("in 2024.", "2024"),
        ("1,2 and 12,34", "34"),
        ("no number", None),
        ("12 ####", None),
    ],
)
def test_the_number_that_a_text_answers(text: str, found: str | None) -> None:
    assert number_in(text) == (None if found is None else Decimal(found))


def test_equal_numbers_are_right_however_written() -> None:
    assert number("about $1,000.00", "x\n#### 1000") == 1
    assert number("1000.1", "#### 1000") == 0
    assert number("", "#### 0") == 0


def written_answers(seed: int) -> list[str]:
    """Two thousand answers in GSM8K's form."""
    draw = random.Random(seed)
    numbers = [draw.choice([draw.randrange(10), draw.randrange(-99, 10**6)]) for _ in range(2000)]
    return [f"So {n} - 1 = <<{n}-1={n - 1}>>{n - 1}.\n#### {n:,}" for n in numbers]


def corrupted(answer: str, right: Decimal) -> list[str]:
    """The same with another number: one more, ten times it and one, its digits turned."""
    before = answer.rsplit("####", 1)[0]
    turned = Decimal(re.sub("[^0-9]", "", str(right))[::-1] or "0")
    others = {right + 1, 10 * right + 1, turned} - {right}
    return [f"{before}#### {other}" for other in others]


def test_right_and_corrupted_answers_are_told_apart() -> None:
    for answer in written_answers(0):
        right = number_in(answer)
        assert right is not None
        assert number(answer, answer) == 1
        assert sum(number(other, answer) for other in corrupted(answer, right)) == 0


def test_exact_forgives_case_articles_and_punctuation() -> None:
    assert exact(" The Eiffel-Tower! ", "eiffeltower") == 1
    assert exact("an answer", "Answer.") == 1
    assert exact("answers", "answer") == 0
    assert exact("", "a") == 1  # an article alone is no word


def test_f1_is_the_harmonic_mean_over_words() -> None:
    # told 3 words, wanted 2, common 2: precision 2/3, recall 1.
    assert f1("the big red house", "red house") == pytest.approx(0.8)
    assert f1("red red", "red") == pytest.approx(2 / 3)
    assert f1("blue", "red") == 0
    assert f1("", "red") == 0


@pytest.mark.parametrize("name", VERIFIERS)
def test_every_verifier_takes_the_answer_and_no_other(name: str) -> None:
    assert VERIFIERS[name]("#### 42", "#### 42") == 1
    assert VERIFIERS[name]("#### 7", "#### 42") == 0
