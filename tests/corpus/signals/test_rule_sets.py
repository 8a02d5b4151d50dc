"""C4, FineWeb, DCLM and OLMo 2: counted by hand."""

# ruff: noqa: RUF001 -- every script
import pytest

from evergrow.corpus.document import Document
from evergrow.corpus.signals import GROUPS
from evergrow.corpus.signals.c4 import count_sentences, judged_lines
from evergrow.corpus.signals.olmo2 import most_repeats
from evergrow.corpus.words import split_texts, split_words


def values_of(group: str, text: str) -> dict[str, float]:
    values = GROUPS[group].compute(Document.of(text, "s", "p"), split_words(text))
    return dict(zip(GROUPS[group].fields, values, strict=True))


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("This line stays.", "kept"),
        ("  So does this one!\t", "kept"),
        ("It ends after this.[12]", "kept"),
        ("It does not end after this.[note]", "not_ended"),
        ("It does not end", "not_ended"),
        ("It goes on...", "not_ended"),
        ("Two words.", "few_words"),
        ("Please turn on JavaScript now.", "javascript"),
        ("See our Privacy Policy for that.", "policy"),
        (f"A word {'o' * 1001} is long.", "long_word"),
        (f"A word {'o' * 1000} is not.", "kept"),
    ],
)
def test_c4_judges_a_line(line: str, verdict: str) -> None:
    assert [judged.verdict for judged in judged_lines(line)] == [verdict]


def test_c4_counts_lines_sentences_and_what_drops_the_page() -> None:
    found = values_of(
        "c4",
        "It came. It saw! Did it? Yes.\nA { is here now.\nLorem ipsum and JavaScript {.\nno end {",
    )
    assert found == {
        "kept_lines": 2,
        "long_word_lines": 0,
        "not_ended_lines": 1,
        "few_words_lines": 0,
        "javascript_lines": 1,
        "policy_lines": 0,
        "lorem_ipsum_lines": 1,  # before JavaScript cuts the line
        "brace_lines": 1,  # only where a line would stay
        "sentences": 5,
    }


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        (["One. Two."], 2),
        (["One.", "Two."], 2),
        (['He said "No." Then left.'], 2),
        (["Really?!? Yes..."], 2),
        (["No end here", "", "..."], 2),
        ([], 0),
    ],
)
def test_sentences_of_lines(lines: list[str], count: int) -> None:
    assert count_sentences(*split_texts(lines)) == count


def test_fineweb_by_hand() -> None:
    found = values_of("fineweb", f"{'x' * 31}.\nshort.\n \nshort.\n{'y' * 30}")
    assert found == {
        "num_lines": 4,
        "ended_lines": 3 / 4,
        "short_lines": 3 / 4,
        "repeated_line_characters": 6 / 75,
        "newlines_per_word": 4 / 7,
    }


def test_dclm_counts_the_words_of_lines_it_would_edit() -> None:
    lines = [
        "LOUD AND cleaR",  # 8 of 14 characters are upper case
        "2024",
        "1.2k likes!",
        "word",
        "",
        "You have three items in cart",
        "Sign-in to the page",
        "The story so far Read more...",
        "these nine words of prose are what will stay",
    ]
    found = values_of("dclm", "\n".join(lines))
    total = 3 + 1 + 2 + 1 + 6 + 4 + 6 + 9
    assert found == pytest.approx(
        {
            "uppercase": 3 / total,
            "numeric": 1 / total,
            "counters": 2 / total,
            "single_words": 1 / total,
            "phrases": (3 + 1 + 2) / total,
            "removed_words": 13 / total,
        }
    )


@pytest.mark.parametrize(
    ("text", "times", "size"),
    [
        ("a b c", 1, 1),
        ("a a a b", 3, 1),
        ("x " + "a b " * 32, 32, 2),
        ("a b " * 5 + "a", 5, 2),
        (" ".join("abcdefghijklm") + " " + " ".join("abcdefghijklm"), 2, 13),
        (" ".join("abcdefghijklmn") + " " + " ".join("abcdefghijklmn"), 1, 1),
        ("", 0, 0),
    ],
)
def test_olmo2_finds_what_stands_in_a_row(text: str, times: int, size: int) -> None:
    assert most_repeats(split_words(text).ids_W) == (times, size)


def test_olmo2_shares_are_of_words_with_letters_or_digits() -> None:
    found = values_of("olmo2", "one one two three - - - -")
    assert (found["most_frequent_word"], found["two_most_frequent_words"]) == (2 / 4, 3 / 4)


def test_lines_of_other_scripts_end_and_have_words() -> None:
    for line in ("我们去公园散步，看到了许多花。", "हम सुबह बगीचे में गए।", "قال «هذا كتاب جديد جدا»"):
        [judged] = judged_lines(line)
        assert judged.verdict == "kept", line
    chinese = "我们去公园散步。\n看到了许多花。\n今天天气很好。"
    assert values_of("dclm", chinese)["removed_words"] == 0
