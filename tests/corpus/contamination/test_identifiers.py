import re

import numpy as np
import pytest
from xxhash import xxh3_64_intdigest

from evergrow.corpus.contamination.identifiers import identifiers
from evergrow.corpus.words import split_words


def hashes(names: list[str]) -> list[int]:
    return [xxh3_64_intdigest(name.encode()) for name in names]


@pytest.mark.parametrize(
    "text",
    [
        "def has_close_elements(numbers: List[float], threshold=0.5) -> bool:\n    x+=a[i][j]**2",
        'It was, "said" he --\tthe best_of times; it\'s 3.14 (or so)...',
        "",
        "!!! --- ???",
        "Größe naïve ÉCOLE",
    ],
)
def test_as_a_pattern_finds_them_in_the_text(text: str) -> None:
    assert identifiers(split_words(text)).tolist() == hashes(re.findall(r"\w+", text.lower()))


def test_scripts_without_spaces_have_a_word_a_character() -> None:
    assert identifiers(split_words("素数を list_a 返す")).tolist() == hashes(
        ["素", "数", "を", "list_a", "返", "す"]
    )


def test_layout_case_and_quotes_do_not_count() -> None:
    written = identifiers(split_words("def f(a, b):\n    return 'A'+b"))
    again = identifiers(split_words('DEF F( a,b ) : return "a" + B'))
    assert np.array_equal(written, again)


def test_words_that_come_later_are_learnt() -> None:
    first = identifiers(split_words("one two"))
    assert identifiers(split_words("two three_new_words one")).tolist() == [
        first[1],
        *hashes(["three_new_words"]),
        first[0],
    ]
