"""Words of scripts without spaces, and how the rest of a chunk stays as it was."""

# ruff: noqa: RUF001 -- every script
import pytest

from evergrow.corpus.unspaced import runs, split_run
from evergrow.corpus.words import num_words, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("我们去公园散步，看到了许多花。", "我们|去|公园|散步|，|看到|了|许多|花|。"),
        ("我們去公園散步", "我們|去|公園|散步"),
        ("今日は天気がいい", "今日|は|天気|が|いい"),
        ("ทดสอบการนับคำ", "ทดสอบ|การ|นับ|คำ"),
        ("用Python3写的", "用|Python3|写|的"),
        ("see 公园, don't", "see|公园|,|do|n't"),
        ("한국어 문장입니다.", "한국어|문장입니다|."),
    ],
)
def test_words(text: str, words: str) -> None:
    assert split_words(text).words == words.split("|")


def test_no_character_is_lost() -> None:
    text = "漢字かな交じり文。ภาษาไทย，中文abc" * 40
    assert "".join(split_words(text).words) == text
    assert "".join(runs(text)) == text
    assert "".join(split_run("漢字かな")) == "漢字かな"


def test_lines_count_words_and_not_spaces() -> None:
    assert num_words("one two  three") == 3
    assert num_words("我们去公园散步") == 4
