"""Characters: as Python's own tests of a string say, in every plane."""

from evergrow.corpus.signals.characters import (
    DIGIT,
    LETTER,
    LETTER_OR_DIGIT,
    TOKEN,
    UPPER,
    kinds_of,
    long_runs,
    num_with,
)


def test_as_python_says() -> None:
    text = "aZ9 é²½Ⅷ٣ßǅ中🙂𝐀𠀀\U000e0041\udc80\n"
    kinds = kinds_of(text)
    for bit, test in (
        (LETTER, str.isalpha),
        (DIGIT, str.isdigit),
        (LETTER_OR_DIGIT, str.isalnum),
        (UPPER, str.isupper),
    ):
        assert [bool(kind & bit) for kind in kinds] == list(map(test, text))
        assert num_with(kinds, bit) == sum(map(test, text))
    assert len(kinds_of("")) == 0


def test_long_runs_of_a_kind() -> None:
    kinds = kinds_of("ab-c d_9xyz é12345")
    assert long_runs(kinds, TOKEN, 4) == [(0, 4), (5, 11), (13, 18)]
    assert long_runs(kinds, TOKEN, 7) == []
    assert long_runs(kinds_of(""), TOKEN, 1) == []
